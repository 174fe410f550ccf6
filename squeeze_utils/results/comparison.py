"""Arms against a control: differences with intervals, as a table and a sentence.

The statistics are those of `results.statistics`: pairs of equal seeds where two arms share a
trained network, Welch's interval where they share nothing, or one with a pooled deviation where
the study declares that. The intervals of one table hold all at once, together with those of arms
that are planned and not trained yet. There is no verdict on an arm before all its networks, and
all of its control, are trained.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pandas as pd

from squeeze_utils.base.checks import choose
from squeeze_utils.base.verdicts import WORDS
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.study import Study
from squeeze_utils.results.statistics import (
    Difference,
    family,
    paired,
    pooled,
    welch,
    with_interval,
)
from squeeze_utils.results.tables import ACCURACY
from squeeze_utils.training.loop import Train

LEAST = 2  # networks an arm needs for an interval
UNFINISHED = "not complete yet"  # the beginning of the verdict on an arm with networks to come
TOGETHER = "comparisons together"  # what a table of differences knows of itself
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


def arms_that_pool(study: Study, by: str) -> set[Any]:
    """The values of label `by` whose arms, as the study declares, deviate alike between seeds."""
    if not study.pools_deviation:
        return set()
    return set(planned_networks(study, by)) - set(study.own_deviation)


def planned_networks(study: Study, by: str) -> dict[Any, int]:
    """How many networks each value of label `by` has when the study is complete."""
    return dict(Counter(dict(arm.labels)[by] for arm in study.planned))


def complete(study: Study, frame: pd.DataFrame, by: str) -> set[Any]:
    """The values of label `by` of which every planned network has a row in `frame`."""
    counts = frame[by].value_counts() if len(frame) else {}
    return {name for name, n in planned_networks(study, by).items() if counts.get(name, 0) == n}


def differences(
    frame: pd.DataFrame,
    by: str,
    control: Any,
    value: str = ACCURACY,
    shared: Collection[Any] = (),
    pools: Collection[Any] = (),
    certain: Collection[Any] = (),
    comparisons: int = 0,
) -> dict[Any, Difference]:
    """Every arm minus the control, corrected for being judged together; arms of one seed are out.

    They are corrected for so many `comparisons`, where more are planned than can be made yet.

    Arms in `shared` begin with the control's trained network: they are compared seed by seed. The
    others have Welch's interval, or within `pools` the one with the common deviation of its arms.
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
        if control in set(frame[by]):
            raise ValueError(f"{control!r} has no {value}, so nothing can be compared with it")
        names = ", ".join(map(str, table.columns))
        raise ValueError(f"no {by} is called {control!r}; there are: {names}")
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
    return family(found, comparisons) if found else {}


def _compared(
    table: pd.DataFrame, name: Any, control: Any, shares: bool, pools: Collection[Any]
) -> Difference | None:
    a, b = table[name], table[control]
    if shares:
        a, b = a[both := a.notna() & b.notna()], b[both]
    a, b = a.dropna().tolist(), b.dropna().tolist()
    if min(len(a), len(b)) < LEAST:
        return None
    if shares:
        return paired(a, b)
    if name in pools and control in pools:
        alike = {arm: table[arm].dropna().tolist() for arm in table if arm in pools}
        return pooled(alike, name, control)
    return welch(a, b)


def differences_table(
    frame: pd.DataFrame,
    by: str,
    control: Any,
    value: str = ACCURACY,
    *,
    shared: Collection[Any] = (),
    pools: Collection[Any] = (),
    certain: Collection[Any] = (),
    margin: float | None = None,
    planned: Mapping[Any, int] | None = None,
    comparisons: int = 0,
) -> pd.DataFrame:
    """A row for each arm: mean difference from the control, its interval, n, and the verdict.

    The verdict is "higher", "lower", "equal within ±margin" or "undecided". An arm of one seed
    has no interval and is undecided. `planned` says how many networks each arm has in the end:
    until then the verdict is "not complete yet", with how many of how many there are. Where the
    table is a part of a larger family, `comparisons` says how many that has in all.
    """
    planned = planned or {}
    comparisons = max(comparisons, comparisons_of(planned, control, certain))
    known = differences(frame, by, control, value, shared, pools, certain, comparisons)
    counts = frame[by].value_counts()
    means = frame.groupby(by, sort=False)[value].mean()
    rows = {}
    for name in means.index.drop(control):
        found = known.get(name)
        gap = {"mean": means[name] - means[control], "low": np.nan, "high": np.nan}
        if found:
            gap = {"mean": found.estimate, "low": found.low, "high": found.high}
        n = found.n if found else int((frame[by] == name).sum())
        verdict = found.verdict(margin) if found else "undecided"
        verdict = _unfinished((name, control), counts, planned) or verdict
        rows[name] = {**gap, "n": n, "verdict": verdict}
    table = pd.DataFrame.from_dict(rows, orient="index", columns=COLUMNS).rename_axis(by)
    table.attrs[TOGETHER] = max(comparisons, len(known))
    return table


def comparisons_of(planned: Mapping[Any, int], control: Any, certain: Collection[Any] = ()) -> int:
    """How many arms will have an interval of their difference from the control."""
    arms = (name for name in planned if name != control)
    return sum(planned[name] >= LEAST or name in certain for name in arms)


def _unfinished(names: tuple[Any, Any], counts: pd.Series, planned: Mapping[Any, int]) -> str:
    """The verdict while two arms lack networks, by the one that lacks more; else nothing."""
    lacking = {name: planned.get(name, 0) - counts[name] for name in names}
    name = max(lacking, key=lacking.__getitem__)
    return f"{UNFINISHED}, {counts[name]} of {planned[name]}" if lacking[name] > 0 else ""


def comparisons_together(gaps: pd.DataFrame) -> str:
    """For how many comparisons the intervals of a table hold at once; nothing for a single one."""
    count = gaps.attrs.get(TOGETHER, len(gaps.dropna()))
    return f"for {count} comparisons together" if count > 1 else ""


def comparison_sentence(gaps: pd.DataFrame, control: Any) -> str:
    """A table of differences in words: which arms are higher, lower or equal, which undecided."""
    if gaps.empty:
        return f"Only {control} has run so far."
    if gaps.dropna().empty:
        return f"No arm and {control} have two seeds each: no difference can be told from luck."
    parts = []
    for verdict, part in gaps.groupby("verdict", sort=False):
        arms = ", ".join(_gap(name, row) for name, row in part.iterrows())
        parts.append(f"{verdict}: {arms}")
    level = " ".join(filter(None, ("95 % intervals", comparisons_together(gaps))))
    return f"Against {control}, in points ({level}): {'; '.join(parts)}."


def _gap(name: Any, row: pd.Series) -> str:
    """The name in quotes if it has a comma, which would take it apart in a list."""
    shown = f"“{name}”" if "," in str(name) else str(name)
    return f"**{shown}** {with_interval(row['mean'], row['low'], row['high'])}"


def prediction_sentence(gaps: pd.DataFrame, predicted: Mapping[Any, str]) -> str:
    """The predicted and the found verdict of each arm, and whether the prediction held.

    "not higher" and "not lower" are predictions too. What is found "undecided" neither confirms
    nor contradicts a prediction, unless "undecided" was predicted; nor does what is not complete.
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
    if not agrees and found.startswith(("undecided", "no run yet", UNFINISHED)):
        return "is not decided"
    return "holds" if agrees != predicted.startswith("not ") else "fails"
