"""What every diagram is made of: boxes, arrows, blocks of channels, grids of cells, words.

Places and sizes are in inches from the lower left corner, letters in points.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Polygon
from matplotlib.path import Path

from squeeze_utils.results.figures import PALETTE, house_settings

NAMES = ("blue", "orange", "black", "green", "sky", "red", "purple")
COLOURS = {**dict(zip(NAMES, PALETTE, strict=True)), "grey": "#8c8c8c"}
INK = "#262626"
SMALL, LARGE = 8.5, 10.0  # points
LEFT = {"ha": "left", "weight": "bold"}  # of a title

Point = tuple[float, float]
Colour = str | tuple[float, float, float]


def tint(colour: str, share: float = 0.35) -> Colour:
    """A colour of COLOURS with white: `share` of it is the colour."""
    red, green, blue = (1 - share * (1 - part) for part in to_rgb(COLOURS[colour]))
    return red, green, blue


def signed(value: float) -> str:
    """Two decimals, or none for a whole number, with a true minus sign."""
    words = f"{value + 0.0:.0f}" if value == int(value) else f"{value:.2f}"
    return words.replace("-", "−")


class Box:
    """Where a shape is: its middle, and the middles of its edges, where arrows begin and end."""

    def __init__(self, x: float, y: float, width: float, height: float) -> None:
        self.x, self.y = x, y
        self.left, self.right = (x - width / 2, y), (x + width / 2, y)
        self.top, self.bottom = (x, y + height / 2), (x, y - height / 2)


class Diagram:
    """An empty white figure, and the primitives that fill it."""

    def __init__(self, width: float = 9.0, height: float = 3.5) -> None:
        # "none" would be forgotten when the figure is saved, for the layout of the house style
        layout = PlaceHolderLayoutEngine(adjust_compatible=True, colorbar_gridspec=False)
        self.figure = Figure((width, height), dpi=100, facecolor="white", layout=layout)
        self.width, self.height = width, height
        self.page = self.figure.add_axes((0, 0, 1, 1))
        self.page.set(xlim=(0, width), ylim=(0, height))
        self.page.axis("off")

    def text(self, x: float, y: float, words: str, size: float = SMALL, **look: Any) -> None:
        """Words around a point; single lines beside each other stand on one line."""
        level = "center" if "\n" in words else "baseline"
        y -= 0 if "\n" in words else 0.005 * size  # half of a digit's height
        usual = {"ha": "center", "va": level, "color": INK, "linespacing": 1.3}
        self.page.text(x, y, words, size=size, **{**usual, **look})

    def title(self, x: float, y: float, words: str) -> None:
        """The name of a part of the diagram."""
        self.text(x, y, words, LARGE, weight="bold")

    def box(
        self,
        x: float,
        y: float,
        width: float,
        height: float,
        words: str = "",
        fill: Colour = "white",
        corner: float = 0.06,
    ) -> Box:
        """A box around a point, with words in its middle; `corner` is the radius of its corners."""
        style = f"round,pad=0,rounding_size={corner}" if corner else "square,pad=0"
        look = {"boxstyle": style, "facecolor": fill, "edgecolor": INK, "linewidth": 0.9}
        look["snap"] = False  # neighbours share an edge, wherever it falls between pixels
        place = (x - width / 2, y - height / 2)
        self.page.add_patch(FancyBboxPatch(place, width, height, **look))
        self.text(x, y, words)
        return Box(x, y, width, height)

    def polygon(self, points: Sequence[Point], fill: Colour) -> None:
        """A filled polygon."""
        look = {"facecolor": fill, "edgecolor": INK, "linewidth": 0.9, "joinstyle": "round"}
        self.page.add_patch(Polygon(points, closed=True, **look))

    def line(self, *points: Point, colour: Colour = INK, **look: Any) -> None:
        """A line through points, below the boxes."""
        usual = {"color": colour, "linestyle": "-", "linewidth": 1, "zorder": 0.9}
        self.page.plot(*zip(*points, strict=True), **{**usual, **look})

    def arrow(self, *points: Point, colour: Colour = INK, width: float = 1.0) -> None:
        """An arrow through points, below the boxes; its head is at the last point."""
        look = {"arrowstyle": "-|>", "mutation_scale": 9, "linewidth": width, "zorder": 0.9}
        self.page.add_patch(FancyArrowPatch(path=Path(points), color=colour, **look))

    def block(
        self, x: float, y: float, parts: Sequence[tuple[float, str]], height: float, depth: float
    ) -> Box:
        """A map as a block: width stands for channels, in parts of (width, colour).

        `x` is the left edge and `y` the middle of the front; the box that is returned holds the
        side of the block as well.
        """
        low, high, left, rise = y - height / 2, y + height / 2, x, 0.6 * depth
        for width, colour in parts:
            right = x + width
            self.polygon([(x, low), (right, low), (right, high), (x, high)], tint(colour, 0.45))
            back = [(right + depth, high + rise), (x + depth, high + rise)]
            self.polygon([(x, high), (right, high), *back], tint(colour, 0.25))
            x = right
        back = [(x + depth, low + rise), (x + depth, high + rise)]
        self.polygon([(x, low), *back, (x, high)], tint(parts[-1][1], 0.65))
        return Box((left + x + depth) / 2, y, x + depth - left, height)

    def cells(
        self,
        x: float,
        y: float,
        words: Sequence[Sequence[Any]],
        fill: Callable[[int, int], Colour],
        width: float = 0.45,
        height: float = 0.32,
    ) -> Box:
        """A grid of cells around a point, row by row; `fill` is the colour at (row, column)."""
        rows, columns = len(words), len(words[0])
        for i, j in np.ndindex(rows, columns):
            across, up = j - (columns - 1) / 2, (rows - 1) / 2 - i
            place = (x + across * width, y + up * height, width, height)
            self.box(*place, f"{words[i][j]}", fill(i, j), corner=0)
        return Box(x, y, columns * width, rows * height)

    def plot(self, x: float, y: float, width: float, height: float) -> Axes:
        """Axes of the house style for a curve; `x` and `y` are their lower left corner."""
        place = (x / self.width, y / self.height, width / self.width, height / self.height)
        with matplotlib.rc_context({**house_settings(), "axes.labelsize": SMALL}):
            axes = self.figure.add_axes(place)
        axes.tick_params(labelsize=SMALL)
        return axes
