"""Two typical mistakes for each exercise of notebook 00, and what the check has to say."""

from __future__ import annotations

import math

import numpy as np
import torch

import squeeze_utils as sq
from squeeze_utils.results.statistics import seed_correlation

ADAM, NESTEROV = [94.6, 96.4, 96.7], [95.8, 97.7, 96.5]
LINE = {
    "recipe": tuple(sq.Train(epochs, lr=0.001, optimizer="adam") for epochs in (6, 2)),
    "adam": ADAM,
    "nesterov": NESTEROV,
    "low": -3.178,
    "high": 1.644,
    "seeds": 19,
}
ONE_RATE = (sq.Train(6, lr=0.05, optimizer="adam"), sq.Train(2, lr=0.001, optimizer="adam"))


def balanced(table):
    return (table.diag() / table.sum(1)).mean()


def accuracy(table):
    return table.diag().sum() / table.sum()


def by_columns(table):
    return (table.diag() / table.sum(0).clamp(min=1)).mean()


LAZY = {"even": 0.5, "largest_class": 0.95, "balanced_accuracy": balanced}


def covered(interval, n, p, last=1, weighted=True):
    inside = [h for h in range(n + last) if interval(h, n)[0] <= p <= interval(h, n)[1]]
    if not weighted:
        return len(inside) / (n + 1)
    return sum(math.comb(n, h) * p**h * (1 - p) ** (n - h) for h in inside)


COVERAGE = {"coverage": covered, "wilson": 0.949, "plain": 0.866}
KEY = {"million": 2.7e-8, "experiments": 192_076_776}


def shared():
    """Right answers to exercise 7, from the records as they are."""
    dsd, pruned = (sq.study(name).records().frame for name in ("dsd", "pruning"))
    pruned["arm"] = pruned["criterion"] + pruned["sparsity"].astype(str)
    spread = pruned.groupby(["sparsity", "criterion"])["test_accuracy"].std().unstack()
    return {
        "dsd": seed_correlation(dsd, "recipe"),
        "pruning": seed_correlation(pruned, "arm"),
        "low": spread.iloc[0].mean(),
        "high": spread.iloc[-1].mean(),
    }, spread.iloc[-1].max()


SHARED, LARGEST = shared()


def best_of(k, size=False):
    draws = torch.randn(100_000, k)
    return (draws.abs() if size else draws).max(1).values.mean()


MISTAKES = {
    1: [
        (LINE | {"recipe": ONE_RATE}, "has the rate 0.05"),
        (LINE | {"low": -2.450, "high": 0.917}, "t is larger than 1.96"),
        (LINE | {"low": -2.850, "high": 1.317}, "this interval is for pairs"),
        (LINE | {"low": -1.644, "high": 3.178}, "not the other way round"),
        (LINE | {"adam": [0.946, 0.964, 0.967]}, "in per cent"),
    ],
    2: [
        (LAZY | {"balanced_accuracy": accuracy}, "the larger class decides it"),
        (LAZY | {"balanced_accuracy": by_columns}, "one half"),
        (LAZY | {"largest_class": 0.905}, "draws a class by its share"),
    ],
    3: [
        ({"images": 3_600, "cifar10": 0.588}, "one standard error"),
        ({"images": 13_830, "cifar10": 1.176}, "Give its half"),
    ],
    4: [
        (COVERAGE | {"coverage": lambda i, n, p: covered(i, n, p, last=0)}, "both included"),
        (COVERAGE | {"coverage": lambda i, n, p: covered(i, n, p, weighted=False)}, "not every h"),
        (COVERAGE | {"wilson": 94.9}, "between 0 and 1"),
    ],
    5: [
        ({"by_three": 1.0, "by_two": 0.667, "s": 0.886}, "exchanged"),
        ({"by_three": 0.667, "by_two": 1.0, "s": 1.0}, "Average the roots"),
        ({"by_three": 0.667, "by_two": 1.0, "s": 0.7236}, "divide by r − 1"),
    ],
    6: [
        (KEY | {"million": 5.4e-8}, "counted twice"),
        (KEY | {"million": 10**6 / 2**64}, "one given key"),
        (KEY | {"experiments": 1.8e16}, "not of one in a thousand"),
    ],
    7: [
        (SHARED | {"pruning": 0.66}, "an arm is a criterion with a sparsity."),
        (SHARED | {"high": LARGEST}, "this is one criterion"),
        (SHARED | {"low": 3.0}, "averaged over the criteria"),
    ],
    8: [
        ({"best_of": lambda k: best_of(k, size=True), "mean_deviation": 0.316}, "keep the sign"),
        ({"best_of": best_of, "mean_deviation": 0.1}, "the root of it"),
        ({"best_of": lambda k: np.sqrt(2 * np.log(k)), "mean_deviation": 0.316}, "for 2 seeds"),
    ],
}
