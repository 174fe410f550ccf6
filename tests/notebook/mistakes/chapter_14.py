"""Typical mistakes for the exercises of notebook 14, and what the check has to say."""

from __future__ import annotations

import math

import numpy as np
import torch

from squeeze_utils.compress.sqz import coders


def stored(symbols, bits, gap=None, code=8):
    entries = len(coders.gaps_of(symbols, 0, bits)[0])
    return entries * (code + (bits if gap is None else gap)) / 8


def without_fillers(symbols, bits):
    return int((symbols != 0).sum()) * (8 + bits) / 8


GAP = {"function": stored, "best": {0.1: 5, 0.2: 4, 0.33: 3}, "best_for": 0.2}


def needed(message, alphabet=256):
    return 8 * len(coders.CODERS["range"].encode(message, alphabet, None)["codes"]) / len(message)


ADAPT = {"function": needed, "measured": {100: 6.16, 1000: 2.376, 10_000: 1.826, 100_000: 1.758}}
THREE = {
    "before": [0.4, 0.4 + 1.6 / 9, 0.24],
    "numbers": [0, 1, 0],
    "error": 0.168,
    "order_matters": False,
}


def bits_of(weights, step, base=2.0):
    shares = (weights / step).round().unique(return_counts=True)[1] / weights.numel()
    return float(-(shares * shares.log()).sum()) / math.log(base)


def off(weights, step):
    return float((weights - (weights / step).round() * step).square().mean())


def nearest(weights, step):
    return bits_of(weights, step), off(weights, step)


ZONE = {"function": nearest, "nearest": 0.636, "price": 0.6, "better": "price"}


def enough(loss, differing, z=1.96):
    return math.ceil(z**2 * differing / loss**2)


def agreement(model, original, pictures):
    with torch.no_grad():
        alike = model(pictures).argmax(1) == original(pictures).argmax(1)
    return 100 * float(alike.float().mean())


SHARE = {"5 digits": 26.7, "20 digits": 84.1, "100 digits": 95.5, "100 of noise": 52.1}
NOISE = {"function": agreement, "agrees": SHARE}

MISTAKES = {
    1: [
        (GAP | {"function": without_fillers}, "the fillers are missing"),
        (GAP | {"function": lambda s, b: 8 * stored(s, b)}, "these are bits"),
        (GAP | {"function": lambda s, b: stored(s, b, code=0)}, "8 bits besides its gap"),
        (GAP | {"function": lambda s, b: stored(s, b, gap=0)}, "bits of the gaps are missing"),
        (GAP | {"best": {0.1: 5, 0.2: 4, 0.33: 4}}, "shorter gaps cost less"),
        (GAP | {"best_for": 0.33}, "the authors chose another"),
    ],
    2: [
        (ADAPT | {"function": lambda m: needed(m) / 8}, "bytes a symbol"),
        (ADAPT | {"function": lambda m: needed(m) * len(m)}, "the whole message"),
        (ADAPT | {"function": lambda m: needed(m, 4)}, "not only the four"),
        (ADAPT | {"measured": {100: 1.7, 1000: 2, 10_000: 2.1, 100_000: 2.2}}, "less than 1.75"),
        (ADAPT | {"measured": {100: 2.5, 1000: 2.4, 10_000: 1.8, 100_000: 1.76}}, "100 symbols"),
    ],
    3: [
        (THREE | {"before": [0.4, 0.72, 0.24]}, "the two others share the error"),
        (THREE | {"before": [0.4, 0.222, 0.24]}, "other side"),
        (THREE | {"numbers": [0, 0, 0]}, "after it has moved"),
        (THREE | {"error": 1.248}, "the error to the nearest"),
        (THREE | {"error": 0.68}, "this is without them"),
        (THREE | {"order_matters": True}, "all correlations are equal"),
    ],
    4: [
        (ZONE | {"function": lambda w, s: (bits_of(w, s, math.e), off(w, s))}, "base 2"),
        (ZONE | {"function": lambda w, s: (bits_of(w, s), off(w, s) / s**2)}, "the step again"),
        (ZONE | {"function": lambda w, s: (bits_of(w, s), off(w, s) ** 0.5)}, "the root"),
        (ZONE | {"nearest": 0.2}, "too small"),
        (ZONE | {"price": 0.75}, "Are they exchanged"),
        (ZONE | {"better": "nearest"}, "the smaller error"),
        (ZONE | {"better": "by price"}, "accepted: 'nearest', 'price'"),
    ],
    5: [
        (lambda loss, d: math.ceil(1.96 * d**0.5 / loss), "the square of 1 / loss"),
        (lambda loss, d: enough(loss, d, 1.645), "two sides"),
        (lambda loss, d: math.floor(1.96**2 * d / loss**2), "round up"),
        (lambda loss, d: enough(100 * loss, d), "it gives"),
    ],
    6: [
        (NOISE | {"function": lambda m, o, p: agreement(m, o, p) / 100}, "per cent"),
        (NOISE | {"function": lambda m, o, p: 100 - agreement(m, o, p)}, "how often they differ"),
        (NOISE | {"agrees": SHARE | {"5 digits": 97.0}}, "Are entries exchanged"),
        (NOISE | {"agrees": SHARE | {"100 of noise": 99.0}}, "better than noise"),
        (NOISE | {"agrees": [26.7, 84.1, 95.5, 52.1]}, "a dictionary with the keys"),
        (NOISE | {"agrees": dict(zip(SHARE, np.float64([9, 20, 30, 10]), strict=True))}, "trained"),
    ],
}
