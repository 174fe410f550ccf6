"""Typical mistakes for the exercises of notebook 05, and what the check has to say."""

from __future__ import annotations

import math

import torch
from scipy import stats

BILL = {"squeeze": 1024, "expand1x1": 1024, "expand3x3": 9216, "share_3x3": 0.818}
BILL |= {"half_from": 0.15}


def odd(n):
    return 2 * n + 1


def cost(n):
    return 9 * n / (2 * n + 1) ** 2


def rounded_up(n, C):
    return math.ceil(C * ((2 * n + 1) ** 2 - 9) / (9 * (n - 1)))


ROW = {"sees": odd, "cost": cost, "costlier_from": rounded_up}


def reach(*dilations):
    return 1 + 2 * sum(dilations)


def share_of_energy(weight, power=2, by=1):
    values = torch.linalg.svdvals(weight.movedim(by, 0).flatten(2)) ** power
    return float((values[:, 0] / values.sum(1)).mean())


def spread(ratio):
    return (3 / ratio - 2) / 8


def half(n, quantile=0.975, lost=2, means=2):
    return float(stats.t.ppf(quantile, 2 * n - lost)) * math.sqrt(means / n)


SEEDS = {"half_width": half, "needed": [9, 32, 194], "covered": 0.951, "sigma": 0.445}


def middle(weight):
    return weight[:, :, 1:2, 1:2]


ROOM = {"side": 2, "taps": 1, "same_as": middle}

MISTAKES = {
    1: [
        (BILL | {"squeeze": 512}, "s is 16"),
        (BILL | {"expand3x3": 1024}, "nine weights"),
        (BILL | {"expand3x3": 36_864}, "read the s squeezed channels"),
        (BILL | {"share_3x3": 0.9}, "the squeeze layer has weights as well"),
        (BILL | {"half_from": 0.1}, "The squeeze layer counts too"),
    ],
    2: [
        (ROW | {"sees": lambda n: 3 * n}, "the windows overlap"),
        (ROW | {"cost": lambda n: 9 / (2 * n + 1) ** 2}, "all the layers of the stack count"),
        (ROW | {"cost": lambda n: 1 / cost(n)}, "Divide the other way"),
        (ROW, "cost exactly as much"),
    ],
    3: [
        ({"largest_e3": 9 / 8, "options": {}}, "a whole one"),
        ({"largest_e3": 2, "options": {}}, "less than 18 s"),
        ({"largest_e3": 1, "options": {"pct3x3": 0.25}}, "the plain layer has more weights"),
        ({"largest_e3": 1, "options": {"pct3x3": 2}}, "sq.build does not take these options"),
    ],
    4: [
        (lambda *d: (sum(2 * one + 1 for one in d), 9), "the windows overlap"),
        (lambda *d: (reach(*d), reach(*d) ** 2), "the window has holes"),
        (lambda *d: (reach(*d), 9), "it gives 9 pixels"),
    ],
    5: [
        ({"first_share": lambda w: share_of_energy(w, 1), "trained": [0.2] * 8}, "their squares"),
        (
            {"first_share": lambda w: share_of_energy(w, by=0), "trained": [0.2] * 8},
            "the weights of one input channel",
        ),
        ({"first_share": share_of_energy, "trained": [0.2] * 8}, "the share of fire2"),
        ({"first_share": share_of_energy, "trained": [0.2] * 7}, "7 entries, not 8"),
    ],
    6: [
        ({"share": lambda ratio: 0.5, "accuracies": [80, 90, 90]}, "2.00 times the weights"),
        ({"share": lambda ratio: 3 / ratio, "accuracies": [80, 90, 90]}, "is no share"),
        ({"share": spread, "accuracies": [0.8, 0.9, 0.9]}, "in per cent"),
        ({"share": spread, "accuracies": [80, 90, 90]}, "no whole number of images"),
    ],
    7: [
        (SEEDS | {"half_width": lambda n: 1.96 * math.sqrt(2 / n)}, "the normal quantile"),
        (SEEDS | {"half_width": lambda n: half(n, 0.95)}, "not 0.975"),
        (SEEDS | {"half_width": lambda n: half(n, means=1)}, "not √(1 / n)"),
        (SEEDS | {"needed": [8, 32, 194]}, "too few for 1 σ"),
        (SEEDS | {"needed": [9, 32, 200]}, "fewer than 200 suffice"),
        (SEEDS | {"covered": 0.87}, "far too low for 95 %"),
    ],
    8: [
        (ROOM | {"side": 4}, "a 32-pixel image gives 4"),
        (ROOM | {"taps": 9}, "most taps meet padding"),
        (ROOM | {"same_as": lambda w: w.sum((2, 3), keepdim=True)}, "adds up all nine taps"),
        (ROOM | {"same_as": lambda w: w[:, :, :1, :1]}, "Which tap lies inside?"),
    ],
}
