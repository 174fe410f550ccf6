"""The figure of a comparison: the networks of every arm, and the arms against their control."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from squeeze_utils.results.comparison import UNFINISHED, comparisons_together
from squeeze_utils.results.figures import curve_style
from squeeze_utils.results.tables import ACCURACY

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


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
    _draw_accuracies(left, frame, by, names)
    _draw_differences(right, gaps, names, control)
    left.set_yticks(range(len(names)), labels=[str(name) for name in names])
    left.set_ylim(len(names) - 0.5, -0.5)
    left.set(xlabel="test accuracy (%)", ylabel=by.replace("_", " "))
    fig.suptitle(title, fontsize=11)
    return fig


def _draw_accuracies(ax: Axes, frame: pd.DataFrame, by: str, names: list[Any]) -> None:
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
            fill = "white" if gap["verdict"].startswith(UNFINISHED) else look["color"]
            ax.plot([gap["mean"]], [row], "s", color=look["color"], markerfacecolor=fill, zorder=3)
            if gap["low"] == gap["low"]:
                ax.hlines(row, gap["low"], gap["high"], color=look["color"])
    ax.xaxis.set_major_locator(MaxNLocator(6))
    ax.set(xlabel=f"points against {control}{_caption(gaps)}")


def _caption(gaps: pd.DataFrame) -> str:
    known = gaps.dropna()
    if known.empty:
        return ", too few seeds: no interval" if len(gaps) else ", which has no run yet"
    seeds = " or ".join(str(n) for n in sorted(set(known["n"])))
    together = comparisons_together(gaps)
    level = f"95 % intervals {together}" if together else "95 % interval"
    hollow = known["verdict"].str.startswith(UNFINISHED).any()
    return f"\n{level}, n = {seeds}" + (f"; hollow: {UNFINISHED}" if hollow else "")
