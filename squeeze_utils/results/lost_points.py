"""Points lost against an untouched network, on a scale that shows tenths and tens of points."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from squeeze_utils.results.figures import curve_style
from squeeze_utils.results.tables import ACCURACY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SMALLEST = 0.1  # points; the scale is linear below and logarithmic above
TICKS = (-0.1, 0, 0.1, 1, 10, 100)


def lost(frame: pd.DataFrame, control: Mapping[str, Any]) -> pd.DataFrame:
    """The runs that are not the control's, with a column `lost`: points below the equal seed's.

    Args:
        frame: one row for each run, as `Results.frame` gives it.
        control: labels of the control, whose network the other runs begin with.

    >>> runs = pd.DataFrame({"bits": [32, 2], "seed": [0, 0], "test_accuracy": [90.0, 65.0]})
    >>> lost(runs, {"bits": 32})["lost"].tolist()
    [25.0]
    """
    own = (frame[list(control)] == pd.Series(control)).all(axis=1)
    whole = frame[own].set_index("seed")[ACCURACY]
    rest = frame[~own & frame["seed"].isin(whole.index)]
    return rest.assign(lost=rest["seed"].map(whole) - rest[ACCURACY])


def figure(
    frames: Mapping[str, pd.DataFrame], x: str, by: str, control: Mapping[str, Any]
) -> Figure | None:
    """A panel for each table of runs that is not empty, a line for each value of `by`.

    Marks are means over seeds, bars their deviation. None where no table has a run.
    """
    import matplotlib.pyplot as plt

    found = {title: lost(frame, control) for title, frame in frames.items() if len(frame)}
    found = {title: part for title, part in found.items() if len(part)}
    if not found:
        return None
    names = list(dict.fromkeys(name for part in found.values() for name in part[by]))
    size = (2.2 + 3.7 * len(found), 3.6)
    fig, axes = plt.subplots(1, len(found), figsize=size, sharey=True, squeeze=False)
    for ax, (title, part) in zip(axes[0], found.items(), strict=True):
        _draw(ax, part, x, by, names)
        ax.set_title(title)
    axes[0, 0].set_ylabel("points lost (mean and deviation)")
    axes[0, -1].legend(title=by, loc="upper left", bbox_to_anchor=(1.01, 1))
    return fig


def _draw(ax: Axes, part: pd.DataFrame, x: str, by: str, names: list[Any]) -> None:
    ax.axhline(0, color="0.4", linewidth=1, linestyle=":")
    for i, name in enumerate(names):
        grouped = part[part[by] == name].groupby(x)["lost"]
        places = [value + 0.06 * (i - (len(names) - 1) / 2) for value in grouped.groups]
        deviation = grouped.std().fillna(0)
        look = curve_style(i)
        ax.errorbar(places, grouped.mean(), deviation, label=str(name), capsize=2, **look)
    ax.set_yscale("symlog", linthresh=SMALLEST)
    ax.set_yticks(TICKS, labels=[f"{tick:g}".replace("-", "−") for tick in TICKS])
    ax.set_ylim(-2 * SMALLEST, 130)
    ax.set(xlabel=f"bits of {x}", xticks=sorted(set(part[x])))
