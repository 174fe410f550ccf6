"""Figures of a factorial: its Pareto front, its interactions as a map, and whose gain it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from squeeze_utils.results import pareto
from squeeze_utils.results.factorial.attribution import TOTAL
from squeeze_utils.results.factorial.best import SHARE, named, recipes, within
from squeeze_utils.results.factorial.cells import FACTORS, level_name
from squeeze_utils.results.figures import PALETTE, curve_style
from squeeze_utils.results.tables import ACCURACY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MOST_NAMED = 9


def pareto_figure(
    frame: pd.DataFrame, title: str = "", baseline: Mapping[str, Any] | None = None
) -> Figure | None:
    """Bytes against test accuracy of every recipe, and a line for the front.

    The front is that of validation images, which choose; the marks are at the test accuracy. Its
    `MOST_NAMED` largest files have numbers and names; how many others there are is written below.
    Recipes that are `within` 10 % of `baseline` have a ring, a second one in the stricter reading.
    None without records.
    """
    import matplotlib.pyplot as plt

    if frame.empty:
        return None
    table = recipes(frame)
    front = pareto.front(table, "validation_accuracy")
    best = front.tail(MOST_NAMED)
    fig, ax = plt.subplots(figsize=(7.4, 3.6 + 0.17 * len(best)))
    for i, (name, part) in enumerate(table.groupby(FACTORS[0], sort=False)):
        look = {**curve_style(i), "linestyle": "none", "alpha": 0.75}
        ax.plot(part["bytes"], part[ACCURACY], label=str(name), **look)
    if baseline:
        _draw_rings(ax, within(frame, baseline))
    ax.plot(front["bytes"], front[ACCURACY], color="0.35", linewidth=1, linestyle="-", zorder=0)
    lines = []
    for i, (_, row) in enumerate(best.iterrows(), 1):
        place = (row["bytes"], row[ACCURACY])
        ax.annotate(f"{i}", place, (0, 7), textcoords="offset points", ha="center", fontsize=9)
        lines.append(f"{i}: {named(row)}")
    if len(front) > len(best):
        lines.append(f"and {len(front) - len(best)} smaller files on the line, without a name")
    ax.set(xscale="log", xlabel="bytes of the file", ylabel="test accuracy (%)")
    ax.set_title(title or "Every recipe, and the front")
    ax.legend(loc="lower right", title=FACTORS[0])
    fig.text(0.01, 0, "\n".join(lines), va="top", fontsize=8.5)
    return fig


def _draw_rings(ax: Axes, table: pd.DataFrame) -> None:
    """A ring around each recipe that is close to the baseline, for each reading of "within"."""
    readings = {
        "absolute": (f"validation: at most {SHARE} points below the baseline", 11),
        "relative": (f"validation: at least {100 - SHARE} % of it", 15),
    }
    for reading, (words, size) in readings.items():
        near = table[table[reading].astype(bool)]
        look = {"marker": "o", "linestyle": "none", "fillstyle": "none", "color": "0.6"}
        ax.plot(near["bytes"], near[ACCURACY], label=words, markersize=size, zorder=0, **look)


def interactions_figure(tables: Mapping[str, pd.DataFrame]) -> Figure | None:
    """A map of interactions for each response: red below zero, blue above.

    A number is in brackets where its interval contains zero; one seed has no intervals. `tables`
    are those of `interactions`, by the name of the response with its unit. None where all of them
    are empty.
    """
    import matplotlib.pyplot as plt

    known = {name: table for name, table in tables.items() if len(table)}
    if not known:
        return None
    size = (4.3 * len(known) + 1.2, 4.2)
    fig, axes = plt.subplots(1, len(known), figsize=size, squeeze=False)
    for ax, (name, table) in zip(axes[0], known.items(), strict=True):
        _draw_map(ax, name, table)
    if any(table["low"].notna().any() for table in known.values()):
        words = (
            "in brackets: the 95 % interval contains zero (intervals of one pair of factors hold "
            "at once)"
        )
    else:
        words = "one seed: no intervals"
    fig.text(0.01, 0, words, va="top", fontsize=8.5)
    return fig


def _draw_map(ax: Axes, name: str, table: pd.DataFrame) -> None:
    rows = list(dict.fromkeys((f, a) for f, a, _, _ in table.index))
    columns = list(dict.fromkeys((g, b) for _, _, g, b in table.index))
    grid = np.full((len(rows), len(columns)), np.nan)
    open_cells = np.zeros(grid.shape, dtype=bool)
    for (f, a, g, b), row in table.iterrows():
        place = rows.index((f, a)), columns.index((g, b))
        grid[place] = row["estimate"]
        open_cells[place] = row["low"] <= 0 <= row["high"]
    edge = max(float(np.nanmax(np.abs(grid))), 1e-9)
    picture = ax.imshow(grid, cmap="RdBu", vmin=-edge, vmax=edge, aspect="auto")
    for (i, j), value in np.ndenumerate(grid):
        if not np.isnan(value):
            ink = "white" if abs(value) > 0.6 * edge else "black"
            text = f"({value:+.2f})" if open_cells[i, j] else f"{value:+.2f}"
            ax.text(j, i, text, ha="center", va="center", fontsize=8, color=ink)
    ax.set_xticks(range(len(columns)), [level_name(*c) for c in columns], rotation=40, ha="right")
    ax.set_yticks(range(len(rows)), [level_name(*r) for r in rows])
    ax.grid(False)
    ax.set_title(name)
    ax.figure.colorbar(picture, ax=ax, shrink=0.8)


def attribution_figure(tables: Mapping[str, pd.DataFrame], unit: str) -> Figure | None:
    """Bars: what each technique gives alone, its share, and what it adds last; a panel a table.

    None where all tables are empty.
    """
    import matplotlib.pyplot as plt

    known = {name: table for name, table in tables.items() if len(table)}
    if not known:
        return None
    fig, axes = plt.subplots(1, len(known), figsize=(4.2 * len(known) + 0.8, 3.2), squeeze=False)
    for ax, (name, table) in zip(axes[0], known.items(), strict=True):
        part = table.drop(index=TOTAL)
        places, height = np.arange(len(part)), 0.26
        bars = {"alone": "0.75", "share": PALETTE[0], "last": PALETTE[1]}
        for k, (column, colour) in enumerate(bars.items()):
            error = None
            if column == "share" and part["low"].notna().all():
                error = (part["high"] - part["low"]) / 2
            label = {"alone": "alone", "share": "Shapley share", "last": "as the last"}[column]
            where = places + (k - 1) * height
            ax.barh(where, part[column], height, xerr=error, color=colour, label=label)
        ax.axvline(0, color="0.4", linewidth=1)
        ax.set_yticks(places, part.index)
        ax.invert_yaxis()
        ax.set(xlabel=unit, title=f"{name}: {table.loc[TOTAL, 'share']:+.2f}")
        ax.grid(False, axis="y")
    axes[0][-1].legend(loc="upper left", bbox_to_anchor=(1.01, 1))
    return fig
