"""The end of every ablation: one table, one figure with intervals, one honest sentence.

Works on a study of variants (see `tuned`), live or reference, whole or still growing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Study, results_table
from squeeze_utils.results import costs
from squeeze_utils.results.figures import curve_style
from squeeze_utils.results.tables import NO_RECORDS, mean_sd, paired

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

ACCURACY = "test_accuracy"


def summary(study: Study, records: Mapping[str, Record], by: str) -> pd.DataFrame:
    """A row for each variant: accuracy (mean ± sd), n, rate, parameters, multiply-adds, time.

    The time is that of one training step, as `costs` measured it at reference scale; the column
    is missing where nothing was measured.
    """
    frame = results_table(study, records)
    if frame.empty:
        return pd.DataFrame(columns=["test accuracy (%)", "n"]).rename_axis(by)
    counted, timed = costs.count_variants(study, by), costs.kept_timings(study.name, by)
    is_reference = any(record.data["name"] != "digits" for record in records.values())
    rows = {}
    for name, part in frame.groupby(by, sort=False):
        row: dict[str, Any] = {
            "test accuracy (%)": mean_sd(part[ACCURACY], 2),
            "n": len(part),
            "parameters": f"{counted.loc[name, 'parameters']:,}",
            "multiply-adds (M)": f"{counted.loc[name, 'multiply_adds'] / 1e6:.2f}",
        }
        if "lr" in part:
            row["learning rate"] = f"{part['lr'].iloc[0]:g}"
        if is_reference and name in timed.index:
            row["ms per step"] = f"{timed.loc[name, 'milliseconds']:.1f}"
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)


def figure(
    study: Study, records: Mapping[str, Record], by: str, control: Any, title: str
) -> Figure:
    """Left every seed and the mean; right the paired differences from `control` with intervals."""
    import matplotlib.pyplot as plt

    frame = results_table(study, records)
    names = list(dict.fromkeys(frame[by]))
    height = max(2.4, 0.38 * len(names) + 1.3)
    fig, (left, right) = plt.subplots(
        1, 2, figsize=(8.8, height), sharey=True, width_ratios=(1.15, 1)
    )
    accuracies(left, frame, by, names)
    differences(right, frame, by, names, control)
    left.set_yticks(range(len(names)), labels=[str(name) for name in names])
    left.set_ylim(len(names) - 0.5, -0.5)
    left.set(xlabel="test accuracy (%)", ylabel=by.replace("_", " "))
    fig.suptitle(title, fontsize=11)
    return fig


def accuracies(ax: Axes, frame: pd.DataFrame, by: str, names: list[Any]) -> None:
    """A small mark for each seed, a bar for the mean, in rows from 0."""
    look = curve_style(0)
    for row, name in enumerate(names):
        values = frame.loc[frame[by] == name, ACCURACY]
        ax.plot(values, [row] * len(values), "o", color=look["color"], alpha=0.6)
        ax.plot([values.mean()], [row], "|", color="black", markersize=14, markeredgewidth=2)


def differences(ax: Axes, frame: pd.DataFrame, by: str, names: list[Any], control: Any) -> None:
    """Paired differences from `control` with their 95 % intervals, in the same rows."""
    ax.axvline(0, color="0.4", linewidth=1, linestyle=":")
    if control not in names:
        ax.set(xlabel=f"points against {control}, which has no run yet")
        return
    gaps = paired(frame, by, control)
    look = curve_style(5)
    for row, name in enumerate(names):
        if name == control:
            ax.plot([0], [row], "D", color="0.4")
        elif name in gaps.index:
            gap = gaps.loc[name]
            ax.plot([gap["mean"]], [row], "s", color=look["color"])
            if gap["n"] > 1:
                ax.hlines(row, gap["low"], gap["high"], color=look["color"])
    seeds = int(gaps["n"].max()) if len(gaps) else 0
    interval = f", 95 % interval, n = {seeds}" if seeds > 1 else ", one seed: no interval"
    ax.set(xlabel=f"points against {control}{interval}")


def verdict(study: Study, records: Mapping[str, Record], by: str, control: Any) -> str:
    """Which variants differ from the control by more than the seeds do; the rest is noise."""
    frame = results_table(study, records)
    if frame.empty:
        return NO_RECORDS
    if control not in set(frame[by]):
        return f"{control} has no run yet: there is nothing to compare with."
    gaps = paired(frame, by, control)
    if gaps.empty:
        return f"Only {control} has run so far."
    if gaps["n"].max() < 2:
        means = frame.groupby(by, sort=False)[ACCURACY].mean()
        ahead = " and ".join(f"**{name}**" for name in means.index[means == means.max()])
        return f"One seed only: {ahead} came out ahead here, which may be luck."
    better, worse = gaps[gaps["low"] > 0], gaps[gaps["high"] < 0]
    rest = [_named(name) for name in gaps.index if name not in {*better.index, *worse.index}]
    parts = [
        f"{word} than {control}: {', '.join(_gap(found, name) for name in found.index)}"
        for word, found in (("better", better), ("worse", worse))
        if len(found)
    ]
    if rest:
        parts.append(f"not told apart from {control} by these seeds: {', '.join(rest)}")
    return f"At 95 %, seed by seed: {'; '.join(parts)}."


def _gap(gaps: pd.DataFrame, name: Any) -> str:
    found = gaps.loc[name]
    return f"**{_named(name)}** ({found['mean']:+.2f}, {found['low']:+.2f} to {found['high']:+.2f})"


def _named(name: Any) -> str:
    """In quotes if it has a comma, which would take it apart in a list."""
    return f"“{name}”" if "," in str(name) else str(name)


def rate_curves(ax: Axes, pilot: Study, records: Mapping[str, Record], by: str) -> None:
    """Validation accuracy at the end of the pilot's runs against the peak learning rate."""
    frame = results_table(pilot, records)
    for i, (name, part) in enumerate(frame.groupby(by, sort=False)):
        ax.plot(part["lr"], part["validation_accuracy"], label=str(name), **curve_style(i))
    ax.set(xscale="log", xlabel="peak learning rate", ylabel="validation accuracy (%)")
    ax.minorticks_off()
    ax.legend()
