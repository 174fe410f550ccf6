"""Typical mistakes for the exercises of notebook 17, and what the check has to say."""

from __future__ import annotations

import numpy as np

BITS = {"bits": {2: 7, 4: 6, 8: 5}, "products": 65_793, "enough": True}
SIDES = {*range(24, 41)} - {31, 39}
TIMES = {1: 0.9, 2: 0.7, 4: 0.6, 8: 0.55, 16: 0.54}


def first(each):
    return min(n for n, ms in each.items() if ms <= 1.1 * min(each.values()))


def relative(expected, found):
    return 100 * np.abs(expected - found).max() / np.abs(expected).max()


BATCH = {"milliseconds": TIMES, "function": first}
ERRORS = {"training images": 8.6, "one image": 28.7, "noise": 9.0}
RANGES = {"error": relative, "measured": ERRORS, "one_image": "narrow"}
SHARE = {"share": 0.9499, "format_matters": False}
ROWS = {"bytes": 461_856, "layer": "maxpool4", "peak": 933_120, "fits": False}

MISTAKES = {
    1: [
        (BITS | {"bits": {2: 8, 4: 7, 8: 6}}, "16 bits signed end below"),
        (BITS | {"bits": {2: 6, 4: 5, 8: 4}}, "2^(w−1), not 2^w"),
        (BITS | {"products": 131_586}, "the sum has a sign"),
        (BITS | {"products": 33_025}, "128, not 255"),
        (BITS | {"enough": False}, "the longest sum of a layer"),
        (BITS | {"bits": 7}, "bits is a whole number: give a dictionary"),
        (BITS | {"bits": {2: 6.5, 4: 5.5, 8: 4.5}}, "a whole number of bits: round down"),
    ],
    2: [
        ([*range(24, 41, 2)], "The two others round as well"),
        ([*range(25, 41, 2)], "these are the odd sides"),
        ([*SIDES, 31], "[31] pixels no map changes"),
        ([32], "at other sides"),
        ([*SIDES, 48], "outside 24 to 40"),
    ],
    3: [
        (BATCH | {"milliseconds": {n: n * ms for n, ms in TIMES.items()}}, "of whole batches"),
        (BATCH | {"milliseconds": {n: ms / 1000 for n, ms in TIMES.items()}}, "to be seconds"),
        (BATCH | {"function": lambda each: min(each, key=each.get)}, "A smaller batch"),
        (BATCH | {"function": lambda each: max(each, key=each.get)}, "throughput is the lowest"),
    ],
    4: [
        (RANGES | {"error": lambda a, b: relative(a, b) / 100}, "give per cent"),
        (RANGES | {"error": lambda a, b: np.abs(a - b).max()}, "divide by the largest logit"),
        (RANGES | {"error": lambda a, b: relative(b, a)}, "not of the quantized one"),
        (RANGES | {"measured": ERRORS | {"one image": 5.0}}, "Are the two exchanged"),
        (RANGES | {"one_image": "wide"}, "lies within that of all images"),
    ],
    5: [
        (SHARE | {"share": 94.99}, "between 0 and 1"),
        (SHARE | {"share": 0.8165}, "two transfers"),
        (SHARE | {"share": 0.8769}, "costs energy as well"),
        (SHARE | {"share": 0.0501}, "goes through DRAM"),
        (SHARE | {"format_matters": True}, "by the same factor"),
    ],
    6: [
        (ROWS | {"bytes": 1_571_040}, "only three rows"),
        (ROWS | {"bytes": 440_928}, "this is one"),
        (ROWS | {"bytes": 311_328}, "image is still there"),
        (ROWS | {"layer": "maxpool1"}, "Look at the rows after maxpool1"),
        (ROWS | {"layer": "fire3/cat"}, "another one needs more"),
        (ROWS | {"peak": 3_732_480}, "one byte"),
        (ROWS | {"fits": True}, "largest block"),
    ],
}
