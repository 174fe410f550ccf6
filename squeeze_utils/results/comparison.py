"""Arms against a control: differences with intervals, as a table, a figure and a sentence.

The statistics are those of `results.statistics`: pairs of equal seeds where two arms share a
trained network, Welch's interval where they share nothing, or one with a pooled deviation where
the study declares that. The intervals of one table hold all at once.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from squeeze_utils.base.checks import choose
from squeeze_utils.base.verdicts import WORDS
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.study import Study
from squeeze_utils.results.figures import curve_style
from squeeze_utils.results.statistics import Difference, family, paired, pooled, welch
from squeeze_utils.results.tables import ACCURACY
from squeeze_utils.training.loop import Train

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LEAST = 2  # networks an arm needs for an interval
COLUMNS = ["mean", "low", "high", "n", "verdict"]


def share_a_training(one: Experiment, other: Experiment) -> bool:
    """Whether two experiments begin with the same trained network: model, images, seed, steps."""
    if (one.model, one.data, one.seed) != (other.model, other.data, other.seed):
        return False
    for a, b in zip(one.recipe, other.recipe, strict=False):
        if a != b:
            return False
        if isinstance(a, Train):
            return True
    return False


def arms_that_share(study: Study, by: str, control: Any) -> set[Any]:
    """The values of label `by` whose experiments share a training with the control's, each seed."""
    groups: dict[Any, dict[int, Experiment]] = {}
    for arm in study.arms:
        groups.setdefault(dict(arm.labels)[by], {})[arm.experiment.seed] = arm.experiment
    base = groups.get(control, {})
    return {
        name
        for name, found in groups.items()
        if name != control
        and (common := found.keys() & base.keys())
        and all(share_a_training(found[seed], base[seed]) for seed in common)
    }


def differences(
    frame: pd.DataFrame,
    by: str,
    control: Any,
    value: str = ACCURACY,
    shared: Collection[Any] = (),
    pools: bool = False,
    certain: Collection[Any] = (),
) -> dict[Any, Difference]:
    """Every arm minus the control, corrected for being judged together; arms of one seed are out.

    Arms in `shared` begin with the control's trained network: they are compared seed by seed. The
    others have Welch's interval, or with `pools` the one with the common deviation of all arms.
    An arm in `certain` is one number, the same for every seed: the other arm's pairs with it give
    the interval of a single sample.
    """
    known = frame.dropna(subset=[by, value])
    if known.duplicated([by, "seed"]).any():
        raise ValueError(
            f"several results for one {by} and seed: choose rows by their other labels first"
        )
    table = known.pivot_table(index="seed", columns=by, values=value, sort=False)
    if control not in table:
        known = ", ".join(map(str, table.columns))
        raise ValueError(f"no {by} is called {control!r}; there are: {known}")
    sure = [name for name in certain if name in table]
    for name in sure:
        table[name] = table[name].dropna().iloc[0]
    found = {}
    for name in table.columns:
        if name == control:
            continue
        pairs = name in shared or (name in sure) != (control in sure)
        if difference := _compared(table, name, control, pairs, pools):
            found[name] = difference
    return family(found) if found else {}


def _compared(
    table: pd.DataFrame, name: Any, control: Any, shares: bool, pools: bool
) -> Difference | None:
    a, b = table[name], table[control]
    if shares:
        a, b = a[both := a.notna() & b.notna()], b[both]
    a, b = a.dropna().tolist(), b.dropna().tolist()
    if min(len(a), len(b)) < LEAST:
        return None
    if shares:
        return paired(a, b)
    if pools:
        return pooled({arm: table[arm].dropna().tolist() for arm in table}, name, control)
    return welch(a, b)


def differences_table(
    frame: pd.DataFrame,
    by: str,
    control: Any,
    value: str = ACCURACY,
    *,
    shared: Collection[Any] = (),
    pools: bool = False,
    certain: Collection[Any] = (),
    margin: float | None = None,
) -> pd.DataFrame:
    """A row for each arm: mean difference from the control, its interval, n, and the verdict.

    The verdict is "higher", "lower", "equal within ±margin" or "undecided". An arm of one seed
    has no interval and is undecided.
    """
    known = differences(frame, by, control, value, shared, pools, certain)
    means = frame.groupby(by, sort=False)[value].mean()
    rows = {}
    for name in means.index.drop(control):
        found = known.get(name)
        gap = {"mean": means[name] - means[control], "low": np.nan, "high": np.nan}
        if found:
            gap = {"mean": found.estimate, "low": found.low, "high": found.high}
        n = found.n if found else int((frame[by] == name).sum())
        verdict = found.verdict(margin) if found else "undecided"
        rows[name] = {**gap, "n": n, "verdict": verdict}
    return pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS).rename_axis(by)


def comparison_sentence(gaps: pd.DataFrame, control: Any) -> str:
    """A table of differences in words: which arms are higher, lower or equal, which undecided."""
    if gaps.empty:
        return f"Only {control} has run so far."
    known = gaps.dropna()
    if known.empty:
        return f"No arm and {control} have two seeds each: no difference can be told from luck."
    parts = []
    for verdict, part in known.groupby("verdict", sort=False):
        arms = ", ".join(_gap(name, row) for name, row in part.iterrows())
        parts.append(f"{verdict}: {arms}")
    comparisons = f"for {len(known)} comparisons together" if len(known) > 1 else ""
    level = " ".join(filter(None, ("95 % intervals", comparisons)))
    return f"Against {control}, in points ({level}): {'; '.join(parts)}."


def _gap(name: Any, row: pd.Series) -> str:
    """The name in quotes if it has a comma, which would take it apart in a list."""
    shown = f"“{name}”" if "," in str(name) else str(name)
    return f"**{shown}** {row['mean']:+.2f} ({row['low']:+.2f} to {row['high']:+.2f})"


def prediction_sentence(gaps: pd.DataFrame, predicted: Mapping[Any, str]) -> str:
    """The predicted and the found verdict of each arm, and whether the prediction held.

    "not higher" and "not lower" are predictions too. What is found "undecided" neither confirms
    nor contradicts a prediction, unless "undecided" was predicted.
    """
    for word in predicted.values():
        choose("predicted verdict", word.removeprefix("not "), WORDS)
    if not predicted:
        raise ValueError("nothing is predicted: give the verdict of at least one arm")
    found = {name: str(gaps["verdict"].get(name, "no run yet")) for name in predicted}
    parts = [
        f"**{name}**: predicted {word}, found {found[name]}" for name, word in predicted.items()
    ]
    ends = {_judged(word, found[name]) for name, word in predicted.items()}
    end = next(end for end in ("fails", "is not decided", "holds") if end in ends)
    return f"{'; '.join(parts)}. The prediction {end}."


def _judged(predicted: str, found: str) -> str:
    agrees = found.startswith(predicted.removeprefix("not "))
    if found in ("undecided", "no run yet") and not agrees:
        return "is not decided"
    return "holds" if agrees != predicted.startswith("not ") else "fails"


def comparison_figure(
    frame: pd.DataFrame, gaps: pd.DataFrame, by: str, control: Any, title: str
) -> Figure:
    """Left every seed and the mean of each arm; right the differences from the control."""
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys(frame[by]))
    height = max(2.5, 0.38 * len(names) + 1.45)
    fig, (left, right) = plt.subplots(
        1, 2, figsize=(8.8, height), sharey=True, width_ratios=(1.15, 1)
    )
    draw_accuracies(left, frame, by, names)
    _draw_differences(right, gaps, names, control)
    left.set_yticks(range(len(names)), labels=[str(name) for name in names])
    left.set_ylim(len(names) - 0.5, -0.5)
    left.set(xlabel="test accuracy (%)", ylabel=by.replace("_", " "))
    fig.suptitle(title, fontsize=11)
    return fig


def draw_accuracies(ax: Axes, frame: pd.DataFrame, by: str, names: list[Any]) -> None:
    """A small mark for each seed, a bar for the mean, in rows from 0."""
    look = curve_style(0)
    for row, name in enumerate(names):
        values = frame.loc[frame[by] == name, ACCURACY]
        ax.plot(values, [row] * len(values), "o", color=look["color"], alpha=0.6)
        ax.plot([values.mean()], [row], "|", color="black", markersize=14, markeredgewidth=2)


def _draw_differences(ax: Axes, gaps: pd.DataFrame, names: list[Any], control: Any) -> None:
    from matplotlib.ticker import MaxNLocator

    ax.axvline(0, color="0.4", linewidth=1, linestyle=":")
    look = curve_style(5)
    for row, name in enumerate(names):
        if name == control:
            ax.plot([0], [row], "D", color="0.4")
        elif name in gaps.index:
            gap = gaps.loc[name]
            ax.plot([gap["mean"]], [row], "s", color=look["color"])
            if gap["low"] == gap["low"]:
                ax.hlines(row, gap["low"], gap["high"], color=look["color"])
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.set(xlabel=f"points against {control}{_caption(gaps)}")


def _caption(gaps: pd.DataFrame) -> str:
    known = gaps.dropna()
    if known.empty:
        return ", too few seeds: no interval" if len(gaps) else ", which has no run yet"
    seeds = " or ".join(str(n) for n in sorted(set(known["n"])))
    together = f"s for {len(known)} comparisons together" if len(known) > 1 else ""
    return f"\n95 % interval{together}, n = {seeds}"
