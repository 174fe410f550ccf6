"""Typical mistakes for the exercises of notebook 16, and what the check has to say."""

from __future__ import annotations

import math
from statistics import fmean

import numpy as np

from squeeze_utils.results.statistics import paired


def entropy(s):
    return -s * math.log2(s) - (1 - s) * math.log2(1 - s)


def interaction(s):
    both = (entropy(s) + 32 * (1 - s)) / (entropy(s) + 5 * (1 - s))
    return math.log2(both) - math.log2(32 / 5)


GAINS = {"interaction": interaction, "worst": 0.99, "limit": -math.log2(32 / 5)}
IDLE = {"": 0, "a": 1, "b": 2, "c": 0, "ab": 5, "ac": 1, "bc": 2, "abc": 5}
ALIKE = {"": 0, "a": 1, "b": 1, "c": 3, "ab": 4, "ac": 5, "bc": 5, "abc": 6}
TABLES = {"idle": IDLE, "alike": ALIKE}


def random_table(clear):
    for seed in range(1000):
        table = np.random.default_rng(seed).integers(0, 10, (2, 2, 2, 2))
        main = [float((table.take(1, k) - table.take(0, k)).mean()) for k in range(4)]
        share = shapley(table)
        apart = main[share.index(max(share))] < max(main) - 0.1
        if apart == clear:
            return table
    raise AssertionError("no table found")


def shapley(table):
    weights = {0: 1 / 4, 1: 1 / 12, 2: 1 / 12, 3: 1 / 4}
    gains = [table.take(1, k) - table.take(0, k) for k in range(4)]
    return [sum(weights[sum(at)] * float(g[at]) for at in np.ndindex(g.shape)) for g in gains]


FOUR = {"table": random_table(clear=True), "three": False}
CELL = {"effect_seeds": 3, "interval_seeds": 2, "widths": [0.015, 0.132]}


def formula(s, w):
    return entropy(s) + (1 - s) * w


PARTS = {"formula": formula, "found": 0.83, "share": 55.1}


def differs(a, b):
    gap = paired(a, b)
    return gap.low > 0 or gap.high < 0


RUNS = {2: [84.6, 67.1, 72.7], 4: [93.7, 65.0, 87.4], 8: [76.9, 84.6, 81.8]}
ORDER = {"differs": differs, "measured": RUNS}

MISTAKES = {
    1: [
        (GAINS | {"interaction": lambda s: -interaction(s)}, "minus each alone"),
        (GAINS | {"interaction": lambda s: interaction(s) * math.log(2)}, "base 2"),
        (
            GAINS | {"interaction": lambda s: math.log2(32 / (entropy(s) + 5 * (1 - s)))},
            "both together",
        ),
        (GAINS | {"worst": 0.5}, "larger sparsities"),
        (GAINS | {"limit": 0.0}, "s → 0"),
        (GAINS | {"limit": math.log2(32 / 5)}, "the sign"),
    ],
    2: [
        ({"a": 9.75, "b": 3.75, "c": 3.75}, "main effects"),
        ({"a": 6, "b": 0, "c": 3}, "what each gains alone"),
        ({"a": 15, "b": 9, "c": 6}, "as the last one"),
        ({"a": 10, "b": 4, "c": 5}, "add up to 19"),
        ({"a": 10, "b": 5, "c": 3}, "over six orders"),
    ],
    3: [
        (TABLES | {"idle": IDLE | {"c": 1, "abc": 4}}, "the response changes"),
        (TABLES | {"idle": dict.fromkeys(IDLE, 0)}, "do nothing either"),
        (TABLES | {"alike": ALIKE | {"ac": 4}}, "the same response"),
        (TABLES | {"alike": ALIKE | {"ab": 2}}, "not just twice as much"),
        (TABLES | {"idle": {"a": 1}}, "has no key ''"),
    ],
    4: [
        (FOUR | {"table": random_table(clear=False)}, "and the largest share"),
        (FOUR | {"table": np.zeros((2, 2, 2, 2))}, "all responses are equal"),
        (FOUR | {"table": np.zeros((2, 2, 2))}, "the shape"),
        (FOUR | {"three": True}, "the same differences"),
    ],
    5: [
        (CELL | {"effect_seeds": 2}, "other settings"),
        (CELL | {"interval_seeds": 3}, "not complete any more"),
        (CELL | {"widths": [0.132, 0.015]}, "Are they exchanged"),
    ],
    6: [
        (PARTS | {"formula": lambda s, w: entropy(s) + s * w}, "not s w"),
        (PARTS | {"formula": lambda s, w: entropy(s)}, "the values are missing"),
        (PARTS | {"formula": lambda s, w: (1 - s) * w}, "the positions are missing"),
        (PARTS | {"found": 0.1}, "far below the formula"),
        (PARTS | {"share": 0.551}, "per cent"),
    ],
    7: [
        (ORDER | {"differs": lambda a, b: paired(a, b).low > 0}, "may be negative"),
        (ORDER | {"differs": lambda a, b: abs(fmean(a) - fmean(b)) > 0.5}, "includes zero"),
        (ORDER | {"differs": lambda a, b: min(a) > max(b) or min(b) > max(a)}, "seed by seed"),
        (ORDER | {"measured": {t: [x / 100 for x in r] for t, r in RUNS.items()}}, "in per cent"),
        (ORDER | {"measured": dict.fromkeys(RUNS, RUNS[2])}, "other numbers"),
    ],
}
