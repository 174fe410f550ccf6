"""Diagrams of quantization and coding: the quantizer, codebook and Huffman tree, the file."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from squeeze_utils.compress.sharing.steps import shared_codes
from squeeze_utils.compress.sqz import huffman
from squeeze_utils.compress.sqz.bits import checksum
from squeeze_utils.models.fake_quant import check_bits, levels, rounded
from squeeze_utils.results.diagrams.drawing import INK, SMALL, Colour, Diagram, Point, signed, tint

ORDER = ("grey", "blue", "orange", "green", "sky", "red", "purple", "black")  # of codes and parts


def quantizer(bits: int = 3) -> Figure:
    """The staircase of a symmetric quantizer to `bits` bits, and its error.

    The largest number of the grid is 1; beyond it, values are clipped.
    """
    low, high = levels(check_bits("bits", bits, 2), signed=True)
    step, edge = 1 / high, 1.5 if high > 1 else 2.0
    x = torch.linspace(-edge, edge, 3001, dtype=torch.float64)
    with torch.no_grad():
        y = rounded(x, torch.tensor(step, dtype=torch.float64), low, high)
    drawing = Diagram()
    stairs, error = drawing.plot(0.75, 0.5, 3.6, 2.6), drawing.plot(5.25, 0.5, 3.6, 2.6)
    for axes, values in ((stairs, y), (error, y - x)):
        axes.plot(x, values, color=tint("blue", 1), linestyle="-", linewidth=1.8)
        for sign in (-1, 1):
            ends = sign * (1 + step / 2), sign * edge
            axes.axvspan(*ends, color=tint("orange", 0.25), zorder=0)
        axes.set(xlim=(-edge, edge), xlabel="weight x")
    stairs.plot(x, x, color=tint("grey", 1), linestyle=":", linewidth=1)
    every = (high + 6) // 7
    numbers = every * np.arange(-(high // every), high // every + 1)
    stairs.set_yticks(numbers * step, labels=[signed(n) for n in numbers.tolist()])
    drawing.title(2.55, 3.28, f"{2 * high + 1} levels, step s = {step:.3g}")
    stairs.set(ylim=(-edge, edge), ylabel="stored whole number n")
    if step > 0.1:  # one step, drawn below the middle tread
        ends = (-step / 2, -0.55 * step), (step / 2, -0.55 * step)
        look = {"arrowstyle": "<|-|>", "shrinkA": 0, "shrinkB": 0, "color": INK}
        stairs.annotate("", *ends, arrowprops=look)
        stairs.text(0.1 * step, -0.65 * step, "s", size=SMALL, va="top")
    stairs.text(-edge + 0.04, 0.87 * edge, "clipped", size=SMALL, va="center")
    stairs.text(edge - 0.04, -0.87 * edge, "clipped", size=SMALL, va="center", ha="right")
    for sign in (-1, 1):
        error.axhline(sign * step / 2, color=tint("grey", 1), linestyle="--", linewidth=1)
    drawing.title(7.05, 3.28, f"error, at most s/2 = {step / 2:.3g} unless clipped")
    error.set(ylabel="s n − x")
    return drawing.figure


def codebook_and_huffman() -> Figure:
    """A small weight matrix, half zeros: its codes and codebook, the Huffman tree, and the bits."""
    bits, matrix = 2, _half_zeros()
    codes, book = shared_codes(matrix, bits, "exact")
    counts = np.bincount(codes.flatten(), minlength=len(book))
    lengths = huffman.code_lengths(counts)
    pairs = zip(huffman.canonical(lengths).tolist(), lengths.tolist(), strict=True)
    words = [f"{code:0{length}b}" for code, length in pairs]
    drawing, y, n = Diagram(), 2.2, matrix.numel()

    def fill(i: int, j: int) -> Colour:
        return tint(ORDER[codes[i, j]], 0.45)

    numbers = [[signed(value) for value in row] for row in matrix.tolist()]
    given = drawing.cells(1.1, y, numbers, fill)
    coded = drawing.cells(3.05, y, codes.tolist(), fill, 0.3)
    drawing.arrow(given.right, coded.left)
    rows = zip(range(len(book)), map(signed, book.tolist()), counts, words, strict=True)
    table = [("code", "value", "count", "word"), *rows]

    def shade(i: int, j: int) -> Colour:
        return "white" if j or not i else tint(ORDER[i - 1], 0.45)

    drawing.cells(5.0, y, table, shade, 0.5, min(0.3, 1.8 / len(table)))
    drawing.text(given.x, 1.36, f"{n} × 32 = {32 * n} bits")
    drawing.text(coded.x, 1.36, f"{n} × {bits} = {bits * n} bits")
    for x, name in ((1.1, "weights"), (3.05, "codes"), (5.0, "codebook"), (7.6, "Huffman tree")):
        drawing.title(x, 3.25, name)
    _tree(drawing, 7.6, 2.95, words)
    x = 0.2
    for code in codes.flatten().tolist():
        width = 0.08 + 0.085 * len(words[code])
        place = (x + width / 2, 0.75, width, 0.28)
        x = drawing.box(*place, words[code], tint(ORDER[code], 0.45), corner=0).right[0]
    total = int(lengths @ counts)
    drawing.text(x + 0.12, 0.75, f"= {total} bits, {total / n:.3g} for each weight", ha="left")
    note = "The codewords of all weights, row by row. Codebook and lengths of words are stored too."
    drawing.text(0.2, 0.4, note, ha="left")
    return drawing.figure


def _half_zeros() -> Tensor:
    """Sixteen weights drawn from a normal distribution, the smaller half pruned."""
    weights = np.random.default_rng(5).normal(0, 0.5, (4, 4)).round(2)
    kept = np.where(np.abs(weights) < np.median(np.abs(weights)), 0, weights)
    return torch.as_tensor(kept, dtype=torch.float32)


def _tree(drawing: Diagram, x: float, top: float, words: list[str]) -> None:
    """The tree of a prefix code: a codeword is the way from the root to a leaf."""
    leaves = sorted(words)
    fall, spread = min(0.5, 1.7 / max(map(len, leaves))), min(0.6, 2.5 / len(leaves))
    places: dict[str, Point] = {}
    for i, word in enumerate(leaves):
        places[word] = (x + (i - (len(leaves) - 1) / 2) * spread, top - fall * len(word))
    inner = {word[:end] for word in leaves for end in range(len(word))}
    for node in sorted(inner, key=len, reverse=True):
        below = [places[node + bit][0] for bit in "01" if node + bit in places]
        places[node] = (sum(below) / len(below), top - fall * len(node))
    for node, (left, level) in places.items():
        if node:
            above = places[node[:-1]]
            drawing.line(above, (left, level))
            away = -0.1 if node.endswith("0") else 0.1
            drawing.text((above[0] + left) / 2 + away, (above[1] + level) / 2 + 0.04, node[-1])
    for code, word in enumerate(words):
        drawing.box(*places[word], 0.26, 0.24, f"{code}", tint(ORDER[code], 0.45))


def gaps_and_fillers() -> Figure:
    """Forty weights of which three are not zero, as gaps of four bits and codes."""
    zero, filler = tint("grey", 0.12), tint("grey", 0.6)
    fills = {2: tint("orange", 0.5), 3: tint("blue", 0.5), 19: filler, 35: filler}
    fills[39] = fills[2]
    width, entries, drawing = 0.21, list(fills), Diagram()
    x = {i: 0.3 + (i + 0.5) * width for i in range(40)}
    for i in x:
        drawing.box(x[i], 2.6, width, 0.28, fill=fills.get(i, zero), corner=0)
    for i in entries:
        drawing.text(x[i], 2.88, f"{i}")
    drawing.title(4.5, 3.25, "40 weights; the numbers are places, light cells are zeros")
    rows = [[2, 0, 15, 15, 3], [2, 1, 0, 0, 2], ["0.5", "−1", "filler", "filler", "0.5"]]
    table = drawing.cells(4.5, 1.15, rows, lambda i, j: fills[entries[j]], 0.8)
    for k, i in enumerate(entries):
        to = table.left[0] + (k + 0.5) * 0.8
        drawing.arrow((x[i], 2.46), (x[i], 2.27), (to, 1.9), (to, 1.64))
    before = ("gap: zeros skipped", "code: which value", "its value")
    after = ("4 bits each", "8 bits each", "from the codebook")
    for i, (left, right) in enumerate(zip(before, after, strict=True)):
        drawing.text(table.left[0] - 0.12, 1.47 - 0.32 * i, left, ha="right")
        drawing.text(table.right[0] + 0.12, 1.47 - 0.32 * i, right, ha="left")
    bits = f"5 entries × 12 bits = {5 * 12} bits; as floats, 40 × 32 = {40 * 32:,} bits"
    drawing.text(4.5, 0.35, bits)
    return drawing.figure


LABELS = {"codebooks": "codebooks and steps", "biases": "biases and norms"}
# The regions of a file in their order, what is in them, and where each is enlarged.
REGIONS = {
    "file header": (("magic and version", "config"), (0.25, 1.85)),
    "sections of the tensors": (("header", "tables", "gaps", "codes"), (2.5, 3.05)),
    "floats of all tensors": (("codebooks", "biases", "floats", "coded together"), (5.95, 2.8)),
}


def file_anatomy(parts: Mapping[str, int]) -> Figure:
    """The bytes of a `.sqz` file as a bar, and each of its regions enlarged.

    `parts` are the bytes of every part, as `save_sqz` returns them; sums over tensors by kind
    of part, as in a record's `file_parts`, will do as well.
    """
    regions, total, drawing = _regions(parts), sum(parts.values()), Diagram()
    if not regions:
        raise ValueError("the file has no bytes: give the parts that save_sqz returns")
    drawing.title(4.5, 3.3, f"the file: {total:,} bytes")
    sizes = {region: sum(leaves.values()) for region, leaves in regions.items()}
    spans = _bar(drawing, 2.95, (0.25, 8.5), sizes, plain=True)
    for (region, leaves), span in zip(regions.items(), spans, strict=True):
        left, width = place = REGIONS[region][1]
        edges = [(span[0], 2.8), (span[1], 2.8), (left + width, 2.2), (left, 2.2)]
        drawing.page.fill(
            *zip(*edges, strict=True), color="#ebebeb", linewidth=0, linestyle="-", zorder=0
        )
        _bar(drawing, 2.05, place, leaves)
        share = f"{100 * sizes[region] / total:.1f} %"
        drawing.text(left, 1.72, f"{region}: {share}", ha="left", weight="bold")
        for i, (leaf, size) in enumerate(leaves.items()):
            level = 1.46 - 0.23 * i
            drawing.box(left + 0.07, level, 0.14, 0.14, fill=tint(ORDER[i], 0.6), corner=0)
            drawing.text(left + 0.22, level, LABELS.get(leaf, leaf), ha="left")
            drawing.text(left + width, level, f"{size:,}", ha="right")
    return drawing.figure


def _bar(
    drawing: Diagram, y: float, place: Point, sizes: dict[str, int], plain: bool = False
) -> list[Point]:
    """A bar (left edge, width) with a segment for each size; where segments begin and end."""
    (left, width), numbers = place, np.array(list(sizes.values()))
    shares = np.maximum(numbers / numbers.sum(), 0.012)  # slivers stay visible
    edges = left + width * np.cumsum([0, *shares / shares.sum()])
    spans = list(zip(edges[:-1].tolist(), edges[1:].tolist(), strict=True))
    for (begin, end), colour in zip(spans, ORDER, strict=False):
        fill = tint("grey", 0.35) if plain else tint(colour, 0.6)
        drawing.box((begin + end) / 2, y, end - begin, 0.3, fill=fill, corner=0)
    return spans


def _regions(parts: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """The bytes of the file by region and kind, checksums apart where parts name tensors."""
    home = {kind: region for region, (kinds, _) in REGIONS.items() for kind in kinds}
    found: dict[str, dict[str, int]] = {region: {} for region in REGIONS}
    for name, size in parts.items():
        tensor, _, kind = name.rpartition("/")
        if kind not in home:
            raise ValueError(f"unknown part {kind!r}; known: {', '.join(home)}")
        if tensor and kind == "floats":
            kind = "codebooks" if f"{tensor}/codes" in parts else "biases"
        leaves = found["floats of all tensors" if tensor == "floats" else home[kind]]
        is_framed = kind == "config" or (tensor and kind == "header")
        check = len(checksum(b"")) if is_framed else 0
        leaves[kind] = leaves.get(kind, 0) + size - check
        leaves["checksums"] = leaves.get("checksums", 0) + check
    kinds = ("header", *home, "checksums")
    ordered = {r: {k: leaves[k] for k in kinds if leaves.get(k)} for r, leaves in found.items()}
    return {region: leaves for region, leaves in ordered.items() if leaves}
