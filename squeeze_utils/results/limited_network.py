"""Steps of data-parallel training under a real limit of the network (chapter 20)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd

from squeeze_utils.base.measurements import Measurement, read_measurement
from squeeze_utils.results.figures import curve_style
from squeeze_utils.results.log_axes import mark_in_round_numbers
from squeeze_utils.results.study_results import Sentence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TOLERANCE = 0.05  # a share of the bounds on paper
LIMITED = "communication/limited"  # below data/measurements/


def limited_steps() -> pd.DataFrame:
    """Steps as measured under a real limit of `gigabits` a second, with the bounds on paper.

    `wire` are the seconds that the bytes take at this speed. A step that overlaps nothing takes
    `alone + wire` (`most`), one that overlaps everything the larger of the two (`least`). `attrs`
    has the `source`, and of how many `steps` each is the median.
    """
    kept = _kept()
    rows = kept.frame.dropna(subset="gigabits").copy()
    rows.attrs |= {"source": kept.source, "steps": kept.about["steps"]}
    rows["wire"] = 8 * rows["formula"] / (rows["gigabits"] * 1e9)
    rows["least"] = rows[["alone", "wire"]].max(axis=1)
    rows["most"] = rows["alone"] + rows["wire"]
    return rows


def free_steps() -> pd.DataFrame:
    """The same steps without any limit, a row for each network and number of processes.

    `attrs` has the `source`, and of how many `steps` each is the median.
    """
    kept = _kept()
    rows = kept.frame[kept.frame["gigabits"].isna()].set_index(["network", "processes"])
    rows.attrs |= {"source": kept.source, "steps": kept.about["steps"]}
    return rows


def _kept() -> Measurement:
    kept = read_measurement(LIMITED)
    if kept is None:
        raise FileNotFoundError(f"{LIMITED} is not measured: python -m tools.limited_network")
    return kept


def limited_figure(steps: pd.DataFrame) -> Figure:
    """Measured seconds of a step against those on paper, a panel for each limit."""
    import matplotlib.pyplot as plt

    limits = sorted(steps["gigabits"].unique())
    how = {"sharex": True, "sharey": True, "squeeze": False}
    fig, (axes, *_) = plt.subplots(1, len(limits), figsize=(7.2, 3.4), **how)
    ends = steps[["least", "most", "seconds"]].to_numpy()
    line = [ends.min() / 1.3, ends.max() * 1.3]
    for ax, limit in zip(axes, limits, strict=True):
        ax.plot(line, line, color="0.6", linewidth=1, label="equal")
        part = steps[steps["gigabits"] == limit]
        for number, (name, rows) in enumerate(part.groupby("network", sort=False)):
            look = curve_style(number) | {"linestyle": "none"}
            left = rows["most"] - rows["least"]
            ax.errorbar(rows["most"], rows["seconds"], xerr=[left, 0 * left], label=name, **look)
        ax.set(xscale="log", yscale="log", title=f"{limit:g} Gbit/s", xlabel="seconds on paper")
        for axis in (ax.xaxis, ax.yaxis):
            mark_in_round_numbers(axis, *line)
    axes[0].set_ylabel("seconds measured")
    axes[0].legend()
    return fig


def inside(steps: pd.DataFrame) -> pd.Series:
    """Which steps lie between their bounds, give or take `TOLERANCE` of them."""
    least, most = steps["least"] * (1 - TOLERANCE), steps["most"] * (1 + TOLERANCE)
    return steps["seconds"].between(least, most)


def limited_verdict(steps: pd.DataFrame) -> Sentence:
    """How far measured steps lie from the bounds on paper, a line for each limit."""
    lines = []
    for limit, part in steps.groupby("gigabits"):
        ratio = part["seconds"] / part["most"]
        lines.append(
            f"- {limit:g} Gbit/s: {inside(part).sum()} of {len(part)} steps within the bounds "
            f"(give or take {100 * TOLERANCE:.0f} %); "
            f"{ratio.min():.2f} to {ratio.max():.2f} of the upper bound."
        )
    return Sentence("\n".join(lines))
