"""Typical mistakes for the exercises of notebook 06, and what the check has to say."""

from __future__ import annotations

import math

import torch

KINK = {"relu": 0.0, "leaky_relu": 0.1, "elu": 1.0, "hardswish_low": 0.0, "hardswish_high": 1.0}
KINK |= {"numbers_that_move": 3}
STEIN = {"covered": ["relu", "leaky_relu", "prelu"], "inside": 0.05393, "spikes": -0.00665}
NINE = {"correlation": 0.88}


def largest(c, power=2, own=None, over=True, first=False):
    generator = torch.Generator().manual_seed(0)
    common, noise = (torch.randn(200_000, k, generator=generator) for k in (1, 9))
    a, b = (math.sqrt(c), math.sqrt(1 - c)) if own is None else (c, own(c))
    z = (a * common + b * noise).relu()
    top = z.amax(1).mean() ** 2 if first else z.amax(1).square().mean()
    return float(top / (z.square().mean() if over else 1))


def plain_mean(c):
    return largest(c, first=True)


DEAD = {"relu": {0.01: 9.4, 0.1: 50.0}, "leaky_relu": {0.01: 0.0, 0.1: 0.0}}
SELU = {"alpha": 1.67326, "lambda": 1.0507, "chi": 1.0716, "s": 0.7826}


def merged(squeeze, expand):
    return torch.einsum("ksuv,sc->kcuv", expand, squeeze[:, :, 0, 0])


LINEAR = {"merged": merged, "rank": 16, "gaps": [14.0, 18.0, 21.0]}

MISTAKES = {
    1: [
        ({"gain": lambda a: 2 / (1 + a * a), "no_gain": 1}, "the square of the gain"),
        ({"gain": lambda a: math.sqrt(2 / (1 + a)), "no_gain": 1}, "enters the mean square as α²"),
        ({"gain": lambda a: math.sqrt(2), "no_gain": 1}, "for α = 0.1 the mean square"),
        ({"gain": lambda a: math.sqrt(2 / (1 + a * a)), "no_gain": 0}, "needs a gain"),
    ],
    2: [
        (KINK | {"relu": 0.5}, "does not take the mean of the two slopes"),
        (KINK | {"relu": 1.0}, "autograd says something else"),
        (KINK | {"elu": 0.5}, "ELU has no kink"),
        (KINK | {"numbers_that_move": 27}, "the last weights see only zeros"),
        (KINK | {"numbers_that_move": 0}, "is not multiplied by a zero"),
    ],
    3: [
        (STEIN | {"covered": ["relu", "leaky_relu"]}, "one more function is straight"),
        (STEIN | {"covered": [*STEIN["covered"], "hardswish"]}, "hardswish is curved"),
        (STEIN | {"inside": 0.0554}, "beyond ±3 hard-swish is straight"),
        (STEIN | {"spikes": 0.0}, "f is not 0 there"),
        (STEIN | {"spikes": 0.00665}, "the slope jumps down"),
        (STEIN | {"spikes": -1.5}, "with the density"),
    ],
    4: [
        ({"q": 0.0, "s": 0.55}, "a small q doubles"),
        ({"q": 0.7886, "s": 0.55}, "one step from q = 1"),
        ({"q": 0.7, "s": 0.55}, "the rule makes"),
        ({"q": 0.618, "s": 0.364}, "at q = 1"),
        ({"q": 0.618, "s": 0.277}, "g² = 2"),
    ],
    5: [
        (NINE | {"factor": plain_mean}, "the square of the mean"),
        (NINE | {"factor": lambda c: largest(c, over=False)}, "which is not 1"),
        (
            NINE | {"factor": lambda c: largest(c, own=lambda c: math.sqrt(1 - c * c))},
            "its root a factor",
        ),
        (NINE | {"factor": largest, "correlation": 0.7}, "not 2."),
    ],
    6: [
        (DEAD | {"leaky_relu": {0.01: 0.0, 0.1: 3.0}}, "never dies"),
        (DEAD | {"relu": {0.01: 50.0, 0.1: 9.0}}, "Are the two exchanged"),
        (DEAD | {"relu": {0.01: 33.0, 0.1: 100.0}}, "this is the worst layer"),
        (DEAD | {"relu": {0.01: 0.094, 0.1: 0.5}}, "not shares"),
        (DEAD | {"relu": 9.4}, "a dictionary"),
    ],
    7: [
        (SELU | {"alpha": 1.0}, "this is ELU"),
        (SELU | {"alpha": 0.5976}, "this is 1/α"),
        (SELU | {"lambda": 1.0507**2}, "1 over the root"),
        (SELU | {"chi": 0.7826}, "this is s"),
        (SELU | {"s": 1.0716}, "this is χ"),
    ],
    8: [
        (LINEAR | {"merged": lambda s, e: merged(s, e.flip(2, 3))}, "mirrored"),
        (LINEAR | {"merged": lambda s, e: e}, "the shape (5, 4, 3, 3), not (5, 6, 3, 3)"),
        (LINEAR | {"rank": 64}, "passes through the squeeze channels"),
        (LINEAR | {"gaps": [0.14, 0.2, 0.2]}, "points of accuracy"),
        (LINEAR | {"gaps": [-14, -18, -21]}, "ReLU minus linear"),
    ],
}
