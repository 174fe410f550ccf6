"""Diagrams of networks: Y = WX, the Fire module, SqueezeNet as a map, the bypasses."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import nn

from squeeze_utils.anatomy import layer_table
from squeeze_utils.models import Fire, SqueezeNet, build
from squeeze_utils.results.diagrams.drawing import LARGE, LEFT, Box, Colour, Diagram, Point, tint

SIDE, CHANNELS, FILTERS = 3, 4, 2  # of the maps that are drawn
PIXEL = 4  # the one that is followed, counted row by row
ROW, COLUMN, REST = tint("blue", 0.6), tint("orange", 0.6), tint("orange", 0.2)
PRODUCT = tint("green", 0.8)
EXPLANATION = """\
The map has C channels, drawn as sheets.
A pixel is C numbers: a column of X.
A filter is C weights: a row of W.
Row times column is one output number."""


def one_by_one() -> Figure:
    """Y = WX: each pixel's channels are a column of X, and W maps every column alike.

    The numbers below are those of the squeeze layer of fire2 in SqueezeNet 1.0.
    """
    drawing, y, top, places = Diagram(), 1.2, 2.66, (1.35, 3.9, 7.0)
    fills = (
        lambda i, j: "white" if i else ROW,
        lambda i, j: COLUMN if j == PIXEL else "white",
        lambda i, j: "white" if j != PIXEL else REST if i else PRODUCT,
    )
    shapes = ((FILTERS, CHANNELS), (CHANNELS, SIDE**2), (FILTERS, SIDE**2))
    for x, shape, fill in zip(places, shapes, fills, strict=True):
        drawing.cells(x, y, np.full(shape, ""), fill, 0.3, 0.22)
    drawing.text(2.25, y + 0.05, "·", 24)
    drawing.text(5.45, y, "=", 16)
    _sheets(drawing, places[1], top, [COLUMN] * CHANNELS)
    _sheets(drawing, places[2], top, [PRODUCT] + [REST] * (FILTERS - 1))
    drawing.arrow((4.75, top), (6.15, top))
    drawing.text(5.45, top + 0.15, "1 × 1 convolution")
    drawing.arrow((places[1], 1.92), (places[1], 1.68))
    drawing.arrow((places[2], 1.5), (places[2], 2.3))
    drawing.text(0.2, top, EXPLANATION, ha="left")
    with torch.device("meta"):
        model = build("squeezenet1_0")
    table = layer_table(model, model.input_shape).set_index("name")
    filters, height, width = table.loc["fire2/squeeze", "output"]
    channels, pixels = model.fires()[2].squeeze.in_channels, height * width
    drawing.text(places[0], 0.53, f"W:  K × C = {filters} × {channels}", LARGE)
    drawing.text(places[1], 0.53, f"X:  C × P = {channels} × {pixels:,}", LARGE)
    drawing.text(places[2], 0.53, f"Y:  K × P = {filters} × {pixels:,}", LARGE)
    words = f"K = {filters} filters, C = {channels} channels, P = {height} · {width} pixels"
    where = "the squeeze layer of fire2, a 1 × 1 layer of SqueezeNet"
    drawing.text(4.5, 0.17, f"The numbers are those of {where}: {words}.")
    return drawing.figure


def _sheets(drawing: Diagram, x: float, y: float, colours: list[Colour]) -> None:
    """A map as sheets above each other, one for each channel, the followed pixel coloured."""
    step, deep, gap = 0.28, np.array((0.13, 0.1)), 0.36
    lowest = np.array((x, y - gap * (len(colours) - 1) / 2))
    for k, colour in enumerate(reversed(colours)):
        for cell in range(SIDE**2):
            i, j = SIDE / 2 - 1 - cell // SIDE, cell % SIDE - SIDE / 2  # first row at the back
            corner = lowest + (0, k * gap) + (j * step, 0) + i * deep
            along = (step, 0)
            points = [corner, corner + along, corner + along + deep, corner + deep]
            drawing.polygon(points, colour if cell == PIXEL else "white")


def numbers_in(module: nn.Module) -> int:
    """How many parameters a module has: weights, biases, and those of normalisation."""
    return sum(p.numel() for p in module.parameters())


def fire_module(in_channels: int = 96, s: int = 16, e1: int = 64, e3: int = 64) -> Figure:
    """A Fire module: squeeze, two expand layers side by side, concatenation.

    `s`, `e1` and `e3` are its squeeze, 1x1 expand and 3x3 expand filters; the default is fire2 of
    SqueezeNet 1.0.
    """
    with torch.device("meta"):
        fire = Fire(in_channels, s, e1, e3)
        plain = nn.Conv2d(in_channels, fire.out_channels, 3)
    drawing, y = Diagram(), 2.0
    inch = 1.1 / max(in_channels, fire.out_channels)  # a channel

    def block(x: float, y: float, *parts: tuple[int, str]) -> Box:
        """A map as a block, with its number of channels below."""
        widths = [(max(0.06, channels * inch), colour) for channels, colour in parts]
        middle = x + sum(width for width, _ in widths) / 2
        drawing.text(middle, y - 0.58, f"{sum(channels for channels, _ in parts)}", LARGE)
        return drawing.block(x, y, widths, 0.86, 0.2)

    def layer(x: float, y: float, name: str, module: nn.Conv2d, colour: str) -> Box:
        words = f"{name}\n{module.out_channels} filters, ReLU\n{numbers_in(module):,} parameters"
        return drawing.box(x, y, 1.4, 0.68, words, tint(colour, 0.3))

    given = block(0.25, y, (in_channels, "grey"))
    squeeze = layer(2.43, y, "squeeze 1 × 1", fire.squeeze, "blue")
    squeezed = block(3.35, y, (s, "blue"))
    made = block(7.45, y, (e1, "orange"), (e3, "green"))
    drawing.arrow(given.right, squeeze.left)
    drawing.arrow(squeeze.right, squeezed.left)
    fork, join = squeezed.right[0] + 0.2, 7.1
    drawing.line(squeezed.right, (fork, y))
    for side, size, colour in ((1, 1, "orange"), (-1, 3, "green")):
        module = fire.expand1x1 if size == 1 else fire.expand3x3
        level, inner = y + 0.76 * side, y + 0.14 * side
        expand = layer(5.0, level, f"expand {size} × {size}", module, colour)
        part = block(5.9, level, (module.out_channels, colour))
        drawing.arrow((fork, y), (fork, level), expand.left)
        drawing.arrow(expand.right, part.left)
        drawing.arrow(part.right, (join, level), (join, inner), (made.left[0], inner))
    drawing.title(given.x - 0.1, y + 0.78, "input")
    drawing.title(made.x - 0.1, y + 0.78, "stacked")
    words = f"{numbers_in(fire):,} parameters; a plain 3 × 3 layer from {in_channels} to "
    words += f"{fire.out_channels} channels has {numbers_in(plain):,}"
    drawing.text(4.5, 0.2, f"The numbers below the blocks are channels. In all {words}.")
    return drawing.figure


Stop = tuple[str, int, int, int]  # name, squeeze filters (0: none), channels, side of the map


def _stops(model: nn.Module) -> list[Stop]:
    """The input, then every convolution, Fire module and pooling layer of a SqueezeNet."""
    table = layer_table(model, model.input_shape)
    found, squeezed = [("input", 0, *model.input_shape[:2])], 0
    for name, kind, shape in table[["name", "kind", "output"]].itertuples(index=False):
        module, _, part = name.partition("/")
        if part == "squeeze":
            squeezed = shape[0]
        elif part == "expand_activation":
            found.append((module, squeezed, *shape[:2]))
        elif not part and ("Conv" in kind or "Pool" in kind):
            label = "average" if "Adaptive" in kind else "pool" if "pool" in name else name
            found.append((label, 0, *shape[:2]))
    return found


def network_map(name: str = "squeezenet1_0", **options: Any) -> Figure:
    """A SqueezeNet from left to right: map sizes, channels, where it pools.

    `name` is "squeezenet1_0", "squeezenet1_1" or "squeezenet_small" (for 32 pixels), and the
    options are those of `build`, for example `pool_after=(1, 4, 8)`.
    """
    with torch.device("meta"):
        model = build(name, **options)
    if not isinstance(model, SqueezeNet) or model.config.head != "average":
        raise ValueError(f"the map shows a SqueezeNet with a global average, not {name}")
    stops, drawing = _stops(model), Diagram()
    levels, start = (1.0, 0.74, 0.48, 0.22), 0.95
    for words, level in zip(("layer", "squeezed to", "channels", "map side"), levels, strict=True):
        drawing.text(0.1, level, words, ha="left", color="#595959")
    title = TITLES.get(name, f"SqueezeNet for {model.input_shape[1]} pixels")
    drawing.text(0.1, 3.3, f"{title}: {numbers_in(model):,} parameters", LARGE, **LEFT)
    drawing.text(8.9, 3.3, NOTE, ha="right", color="#595959")
    shares = [0.62 if stop[0] == "pool" else 1.0 for stop in stops]
    inch, x = (8.9 - start) / sum(shares), start
    for before, stop, share in zip([stops[0], *stops], stops, shares, strict=False):
        _draw_stop(drawing, x + share * inch / 2, before, stop, stops)
        for number, level in zip(stop, levels, strict=True):
            words = number if isinstance(number, str) else f"{number:,}" if number else ""
            drawing.text(x + share * inch / 2, level, words)
        x += share * inch
    return drawing.figure


TITLES = {"squeezenet1_0": "SqueezeNet 1.0", "squeezenet1_1": "SqueezeNet 1.1"}
NOTE = "Heights show the square root of the map's side, widths that of its channels."


def _draw_stop(drawing: Diagram, x: float, before: Stop, stop: Stop, stops: list[Stop]) -> None:
    """A block around the middle `x`, or the funnel of a pooling layer."""
    y, (name, squeezed, channels, side) = 2.13, stop
    inch = 1.65 / max(s[3] for s in stops) ** 0.5
    new, old = inch * side**0.5 / 2, inch * before[3] ** 0.5 / 2
    if name == "pool":
        ends = [(x - 0.08, y - old), (x + 0.08, y - new), (x + 0.08, y + new), (x - 0.08, y + old)]
        drawing.polygon(ends, tint("purple", 0.6))
        return
    width = max(0.03, 0.36 * (channels / max(s[2] for s in stops)) ** 0.5)
    colour = "blue" if squeezed else "orange" if "conv" in name else "grey"
    depth = 0.2 * new
    drawing.block(x - (width + depth) / 2, y - 0.3 * depth, [(width, colour)], 2 * new, depth)


def bypasses() -> Figure:
    """Fire modules 2 to 5 of SqueezeNet 1.0: plain, with simple and with complex bypass."""
    drawing = Diagram()
    names = {"none": "plain", "simple": "simple bypass", "complex": "complex bypass"}
    for y, (bypass, name) in zip((2.95, 2.02, 0.95), names.items(), strict=True):
        with torch.device("meta"):
            model = build("squeezenet1_0", bypass=bypass)
        drawing.text(0.15, y + 0.1, name, LARGE, **LEFT)
        drawing.text(0.15, y - 0.14, f"{numbers_in(model):,} parameters", ha="left")
        _row_of_fires(drawing, y, model)
    fires = model.fires().items()
    equal = ", ".join(f"{i}" for i, fire in fires if fire.adds_input)
    other = ", ".join(f"{i}" for i, fire in fires if fire.bypass is not None)
    words = f"Fire modules {equal} give as many channels as they take, so their input can be added."
    drawing.text(4.5, 0.2, f"{words} In {other} a 1 × 1 layer has to match them first.")
    return drawing.figure


def _row_of_fires(drawing: Diagram, y: float, model: SqueezeNet) -> None:
    at, x = (1.75, y), 1.75
    for index, fire in list(model.fires().items())[:4]:
        if index > 2 and index - 1 in model.config.pool_after:
            pool = drawing.box(x + 0.37, y, 0.42, 0.32, "pool", tint("purple", 0.3))
            drawing.arrow(at, pool.left)
            at, x = pool.right, x + 0.58
        box = drawing.box(x + 0.8, y, 0.58, 0.4, f"fire{index}", tint("blue", 0.3))
        drawing.arrow(at, box.left)
        drawing.text(x + 0.28, y - 0.15, f"{fire.squeeze.in_channels}")
        at, x = _add_bypass(drawing, (x + 0.11, y), box, fire), x + 1.51
    drawing.arrow(at, (x + 0.5, y))
    drawing.text(x + 0.28, y - 0.15, f"{fire.out_channels}")


def _add_bypass(drawing: Diagram, start: Point, box: Box, fire: Fire) -> Point:
    """The way from `start` around a Fire module, if it has one; where the row goes on."""
    if not fire.adds_input and fire.bypass is None:
        return box.right
    total = drawing.box(box.right[0] + 0.31, box.y, 0.22, 0.22, "+", corner=0.11)
    drawing.arrow(box.right, total.left)
    level = box.y + 0.42
    path = [start, (start[0], level), (total.x, level), total.top]
    drawing.arrow(*path, colour=tint("red", 1), width=1.4)
    drawing.line(start, marker="o", markersize=3.5)
    if fire.bypass is not None:
        drawing.box(box.x, level, 0.5, 0.26, "1 × 1", tint("orange", 0.3))
    return total.right
