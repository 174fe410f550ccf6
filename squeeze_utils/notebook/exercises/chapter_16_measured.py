"""The exercises of notebook 16 whose answers come from records or from runs of the reader."""

from __future__ import annotations

import math
from typing import Any

import torch

from squeeze_utils.notebook.exercises.answers import as_number, ask, close, items, named
from squeeze_utils.notebook.exercises.exercise import Claims
from squeeze_utils.results.statistics import paired

SEEDS = 3
TURNS = (2, 4, 8)


def missing_cell(answer: Any) -> Claims:
    given = named(answer, "effect_seeds", "interval_seeds", "widths")
    effect = as_number(given["effect_seeds"], "effect_seeds")
    gone = "the seed has other settings of the same technique, so its mean is still there."
    yield "effect", effect != SEEDS - 1, gone
    yield "effect", effect == SEEDS, f"the grid has {SEEDS} seeds."
    interval = as_number(given["interval_seeds"], "interval_seeds")
    whole = "shares need all cells of a seed; one seed is not complete any more."
    yield "interval", interval != SEEDS, whole
    yield "interval", interval == SEEDS - 1, f"{SEEDS - 1} seeds are complete."
    before, after = (as_number(w, "a width") for w in items(given["widths"], 2, "widths"))
    yield "widths", min(before, after) > 0, "a width is high − low."
    yield "widths", after > before, "with fewer seeds the interval is wider. Are they exchanged?"


def huffman_parts(answer: Any) -> Claims:
    given = named(answer, "formula", "found", "share")
    for zeros, width in ((0.9, 4), (0.5, 2), (0.97, 5)):
        found = as_number(ask(given["formula"], zeros, width), "formula")
        where = -zeros * math.log2(zeros) - math.log2(1 - zeros) * (1 - zeros)
        right = where + (1 - zeros) * width
        kept = "the values are those of the weights that are kept: (1 − s) w, not s w."
        yield "formula", zeros == 0.5 or not close(found, where + zeros * width), kept
        yield "formula", not close(found, where), "the values are missing."
        yield "formula", not close(found, (1 - zeros) * width), "the positions are missing."
        natural = "the entropy is in bits: logarithm of base 2."
        yield "formula", not close(found, right - where * (1 - math.log(2))), natural
        yield "formula", close(found, right), f"for {zeros:g} and {width} bits: {found:.3f}."
    bits = as_number(given["found"], "found")
    all_bits = "give bits for one weight."
    yield "found", bits < 32, all_bits
    ideal = 0.469 + 0.4  # about: nine in ten weights are zero, four bits for the others
    small = "this is far below the formula. Are these bytes, or without the positions?"
    yield "found", bits > 0.6 * ideal, small
    yield "found", bits < 2.5 * ideal, "this is far above the formula."
    share = as_number(given["share"], "share")
    yield "share", 0 < share < 100, "give per cent of the whole file."
    yield "share", share > 1, "give per cent."


def own_order(answer: Any) -> Claims:
    given = named(answer, "differs", "measured")
    cases = [([5.0, 6, 7], [1.0, 2, 3.1]), ([1.0, 2, 3.1], [5.0, 6, 7]), ([1.0, 9, 4], [2.0, 3, 5])]
    cases += [((80 + 9 * torch.rand(3)).tolist(), (80 + 9 * torch.rand(3)).tolist())]
    cases += [([1.0, 11, 21.2], [0.0, 10, 20]), ([90.0, 80, 70], [70.0, 80, 85])]
    for a, b in cases:
        found, gap = ask(given["differs"], a, b), paired(a, b)
        right = not gap.low <= 0 <= gap.high
        worse = "a difference may be negative as well."
        yield "differs", bool(found) == right or gap.estimate > 0 or not right, worse
        seeds = "compare seed by seed: the seeds differ among themselves, but not their gaps."
        yield "differs", bool(found) == right or not right, seeds
        luck = f"for {a} and {b} the interval of the difference includes zero."
        yield "differs", bool(found) == right, luck
    measured = named(given["measured"], *TURNS, what="measured")
    every = [
        as_number(value, f"measured[{turns}]")
        for turns in TURNS
        for value in items(measured[turns], SEEDS, f"measured[{turns}]")
    ]
    yield "measured", max(every) > 1, "give the accuracies in per cent."
    yield "measured", max(every) <= 100, "no accuracy is above 100 %."
    chance = "one of ten classes is right by chance in 10 %. Is the network trained?"
    yield "measured", max(every) > 30, chance
    yield "measured", len(set(every)) > 3, "runs with other turns should give other numbers."
