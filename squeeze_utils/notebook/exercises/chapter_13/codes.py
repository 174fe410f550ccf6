"""The properties of right answers in notebook 13: codebooks, codewords and gaps."""

from __future__ import annotations

import heapq
import math
from collections.abc import Mapping
from functools import cache
from typing import Any

import numpy as np

from squeeze_utils.compress.sqz import huffman
from squeeze_utils.notebook.exercises.answers import as_number, ask, close, items, named, number
from squeeze_utils.notebook.exercises.exercise import Claims, Wrong
from squeeze_utils.results.named_study import study

DENSITIES = (0.5, 0.3, 0.2, 0.1, 0.05, 0.02, 0.01)
PAPER = {"codes": (7.2, 7.2, 4.5, 5.2), "gaps": (1.5, 3.9, 4.5, 3.7)}


def break_even(answer: Any) -> Claims:
    given = named(answer, "float32", "half")
    table = 32 * 2**8
    for name, full in (("float32", 32), ("half", 16)):
        saved = np.arange(1, 5000) * (full - 8)
        right = int(np.argmax(saved > table)) + 1
        mistakes = {
            right - 1: "here the file is not smaller yet.",
            table / (full - 8): "give the first whole number from which on it is smaller.",
            math.ceil(table / full): "the codes take 8 bits for each weight as well.",
        }
        yield from number(name, given[name], right, mistakes)


def worst_alphabet(answer: Any) -> Claims:
    for symbols in (2, 5, 8, 12):
        what = f"the counts of {symbols} symbols"
        counts = [as_number(n, what) for n in items(ask(answer, symbols), symbols, what)]
        whole = all(n == int(n) and n >= 1 for n in counts)
        yield "counts", whole, f"{what} have to be whole and 1 or more."
        longest = int(huffman.code_lengths(np.array(counts, dtype=np.int64)).max())
        short = f"for {symbols} symbols the longest codeword has {longest} bits."
        yield "longest", longest == symbols - 1, short
        golden = (1 + math.sqrt(5)) / 2
        least = round(golden**symbols) - 1  # a number of Lucas, less one
        total = int(sum(counts))
        said = f"for {symbols} symbols {total} in total are more than needed."
        yield "smallest total", total <= least, said


@cache
def _bits(d: float, m: int) -> float:
    """Huffman's bits for each decision: the sum of the probabilities of all joins."""
    heap = [d ** bin(i).count("1") * (1 - d) ** (m - bin(i).count("1")) for i in range(2**m)]
    heapq.heapify(heap)
    total = 0.0
    while len(heap) > 1:
        both = heapq.heappop(heap) + heapq.heappop(heap)
        total += both
        heapq.heappush(heap, both)
    return total / m


def pairs(answer: Any) -> Claims:
    given = named(answer, "bits_per_decision", "block")
    for m in (1, 2, 4):
        found = as_number(ask(given["bits_per_decision"], 0.02, m), "bits_per_decision")
        right = _bits(0.02, m)
        block = m == 1 or not close(found, m * right, 1e-3)
        yield f"blocks of {m}", block, f"{found:.3f} bits are for the block. Divide by {m}."
        uniform = m == 1 or not close(found, 1, 1e-3)
        yield f"blocks of {m}", uniform, "all blocks have codewords of equal length here."
        off = f"for blocks of {m} it is {found:.4f}. Weigh each length by its probability."
        yield f"blocks of {m}", close(found, right, 1e-3), off
    entropy = -0.02 * math.log2(0.02) - 0.98 * math.log2(0.98)
    enough = next(m for m in range(1, 13) if _bits(0.02, m) < 1.25 * entropy)
    mistakes = {enough - 1: "here the loss is still above 25 %."}
    yield from number("block", given["block"], enough, mistakes)


def best_gap(answer: Any) -> Claims:
    if not isinstance(answer, Mapping):
        raise Wrong("Give a dictionary {density: bits}.")
    given = named({str(k): v for k, v in answer.items()}, *map(str, DENSITIES))
    for d in DENSITIES:
        found = as_number(given[str(d)], f"the bits for {d:g}")
        costs = {}
        for g in range(1, 13):
            reached = -math.expm1(2**g * math.log1p(-d))  # that a gap needs no filler after it
            costs[g] = d * (g + 3) / reached
        least = min(costs.values())
        rule = "this is the rule of thumb. A filler costs a whole entry, a spare bit one bit."
        thumb = found == max(1, round(math.log2(1 / d))) and costs[int(found)] > least
        yield f"density {d:g}", not thumb, rule
        known = found in costs
        yield f"density {d:g}", known, "give a whole number of bits from 1 to 12."
        right = costs[int(found)] == least
        yield f"density {d:g}", right, f"{found:g} bits of a gap are not the cheapest."


def layer_by_layer(answer: Any) -> Claims:
    given = named(answer, "wrong_number", "layer", "width")
    found = study("deep_compression").records().where(network="LeNet-5", recipe="paper")
    layers = next(iter(found.by_key.values())).final["layers"][:4]
    widths = [float(layer["weight_bits"]) for layer in layers]
    place = next(i for i, width in enumerate(widths) if PAPER["codes"][i] > width)
    claimed = as_number(given["wrong_number"], "wrong_number")
    printed = any(close(claimed, each) for row in PAPER.values() for each in row)
    yield "wrong_number", printed, "this is none of the eight numbers."
    gap = any(close(claimed, each) for each in PAPER["gaps"])
    yield "wrong_number", not gap or close(claimed, 4.5), "a gap may have any mean below its width."
    mistakes = {PAPER["codes"][0]: "here a code has eight bits, so 7.2 is possible."}
    yield from number("wrong_number", claimed, PAPER["codes"][place], mistakes)
    name = str(given["layer"])
    yield "layer", name == str(layers[place]["layer"]), f"it is not {name!r}."
    yield from number("width", given["width"], widths[place])
