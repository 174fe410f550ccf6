"""Typical mistakes for the exercises of notebook 15, and what the check has to say."""

from __future__ import annotations

import math
from statistics import fmean, stdev

import torch

from squeeze_utils.compress.pricing import rate_model
from squeeze_utils.compress.sqz.mixture import estimate

HAND = {"z": 0.9, "q": 1 / 3, "bits": {0: 0.152, 1: 4.907, 3: 8.077}, "total": 70.67}
PRICE = math.log(2) / 1295


def measured(w, step, square=True, scaled=True, each=True):
    n = torch.round(w / step)
    off = (w - step * n) / (1 if scaled else step)
    error = float(off.square().mean())
    bits = estimate(rate_model.count(n))
    return bits / len(w) if each else bits, error if square else error**0.5


GRID = {"function": measured, "more_bits": 1.0, "factor": 4.0}


def lengths(width, least=0.0):
    u = torch.round(width * torch.randn(200_000, generator=torch.Generator().manual_seed(0)))
    now = rate_model.count(u)
    shares = torch.tensor([now.nonzero, now.size]) / now.numbers
    found = rate_model.lengths(*shares, least)
    return float(found.zero), float(found.one)


LOCKS = {0.2: False, 0.5: False, 1.0: False, 2.0: True, 3.0: True, 4.0: True}
LOCK = {"lengths": lengths, "locks": LOCKS}


def larger(a, b):
    return abs(fmean(a) - fmean(b)) > max(stdev(a), stdev(b))


ONCE = {
    "function": larger,
    "bytes": {0.0: [5000, 5100, 5050], 0.5: [4800, 4900, 4700]},
    "error": {0.0: [4.2, 5.0, 4.4], 0.5: [3.6, 4.4, 4.7]},
}


def bits(numbers):
    return estimate(rate_model.count(numbers))


def flagged(numbers, flags=True):
    empty = (numbers == 0).all(dim=0)
    share = float(empty.float().mean())
    each = -sum(p * math.log2(p) for p in (share, 1 - share) if p)
    return flags * each * len(empty) + bits(numbers[:, ~empty])


FLAGS = {"flagged": flagged, "without": 20_000, "with": 19_000, "worth": True}

MISTAKES = {
    1: [
        (HAND | {"z": 0.1}, "not of the others"),
        (HAND | {"q": 2 / 3}, "numbers that stop"),
        (HAND | {"q": 0.15}, "the mean size m"),
        (HAND | {"bits": {0: 0.152, 1: 3.907, 3: 7.077}}, "the sign takes a bit"),
        (HAND | {"bits": {0: 0.105, 1: 3.4, 3: 5.6}}, "base 2"),
        (HAND | {"total": 57.0}, "the zeros take bits"),
        (HAND | {"total": 62.75}, "the further steps"),
    ],
    2: [
        ({"price": 1 / 1295, "times_lower": [32, 11]}, "a bit is ln 2 nats"),
        ({"price": math.log(2), "times_lower": [32, 11]}, "divide by the number"),
        ({"price": PRICE, "times_lower": [2e-5 / PRICE, 6e-5 / PRICE]}, "the other way round"),
        ({"price": PRICE, "times_lower": [PRICE / 6e-5, PRICE / 2e-5]}, "in the order"),
    ],
    3: [
        (GRID | {"function": lambda w, s: measured(w, s, each=False)}, "not for all of them"),
        (GRID | {"function": lambda w, s: measured(w, s, scaled=False)}, "by the step"),
        (GRID | {"function": lambda w, s: measured(w, s, square=False)}, "the root of the error"),
        (GRID | {"more_bits": 2.0}, "twice as large"),
        (GRID | {"factor": 2.0}, "its square"),
    ],
    4: [
        (LOCK | {"lengths": lambda width: lengths(width)[::-1]}, "first the zero"),
        (LOCK | {"lengths": lambda width: lengths(width, 0.5)}, "with the guard"),
        (LOCK | {"locks": LOCKS | {4.0: False}}, "dearer than a one"),
        (LOCK | {"locks": LOCKS | {2.0: False}}, "ends without zeros"),
        (LOCK | {"locks": LOCKS | {0.2: True}}, "much cheaper"),
    ],
    5: [
        (ONCE | {"function": lambda a, b: fmean(a) - fmean(b) > max(stdev(a), stdev(b))}, "size"),
        (
            ONCE | {"function": lambda a, b: abs(fmean(a) - fmean(b)) > min(stdev(a), stdev(b))},
            "the larger of the two spreads",
        ),
        (ONCE | {"error": {0.0: [95.1, 94.8, 95.0], 0.5: [95.3, 96.0, 95.9]}}, "the accuracy"),
        (ONCE | {"bytes": {0.0: [5000, 5000, 5000], 0.5: [1, 2, 3]}}, "three equal values"),
    ],
    6: [
        (FLAGS | {"flagged": lambda n: flagged(n.T)}, "flags of rows"),
        (FLAGS | {"flagged": lambda n: flagged(n, flags=False)}, "flags themselves"),
        (FLAGS | {"flagged": lambda n: flagged(n) / 8}, "one flag a column"),
        (FLAGS | {"worth": False}, "fewer bits"),
    ],
}
