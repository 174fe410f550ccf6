"""Typical mistakes for the exercises of notebook 08, and what the check has to say."""

from __future__ import annotations

import json
import math

from squeeze_utils.experiments.search import JournalError


def even(limit, low, high):
    return (limit - low) / (high - low)


def by_exponent(limit, low, high):
    return math.log(limit / low) / math.log(high / low)


def maximum(sx, sy, rho):
    return math.sqrt((sx * sx + sy * sy - 2 * rho * sx * sy) / (2 * math.pi))


SCALE = {"even": even, "by_exponent": by_exponent}
BELLS = {2: 7, 5: 22, 10: 30, 20: 33}
STOPS = {"stopped": {1: ["D", "E", "F"], 3: ["D"]}, "saved": {1: 8, 3: 1}, "complete_from": 3}
ENTRIES = [{"op_code": 0}, {"op_code": 4, "study_id": 0}, {"op_code": 5, "trial_id": 0}]
ENTRIES += [{"op_code": 6, "trial_id": 0}, {"op_code": 4}, {"op_code": 5, "trial_id": 1}]
LINES = [json.dumps(entry) for entry in ENTRIES]
JOURNAL = {"lines": LINES, "trial_0": LINES[1:4], "caught": JournalError("damaged")}
SPLITS = {"whole_bias": 7.0, "halves_bias": 0.0, "loss_equal": 0.0, "loss_different": 0.44}

MISTAKES = {
    1: [
        ({"best_percent": 458, "each_of_three": 80}, "one point fewer"),
        ({"best_percent": 299, "each_of_three": 80}, "with probability 95 %"),
        ({"best_percent": 459, "each_of_three": 59}, "86 % only"),
        ({"best_percent": 459, "each_of_three": 177}, "more than needed"),
    ],
    2: [
        (SCALE | {"even": lambda limit, low, high: limit / high}, "not at 0"),
        (SCALE | {"even": by_exponent}, "for an even exponent"),
        (SCALE | {"by_exponent": lambda *x: 1 - by_exponent(*x)}, "above the limit"),
    ],
    3: [
        ({width: share / 100 for width, share in BELLS.items()}, "give per cent"),
        ({width: 100 - share for width, share in BELLS.items()}, "on the higher hill"),
        (BELLS | {20: 60}, "not what a replay gives"),
        ({2: 7, 5: 22}, "has no key 10"),
    ],
    4: [
        (STOPS | {"stopped": {1: ["C", "D", "E", "F"], 3: ["D"]}}, "three trials have run"),
        (STOPS | {"stopped": {1: ["D", "F"], 3: ["D"]}}, "one more trial falls"),
        (STOPS | {"saved": {1: 16, 3: 23}}, "these are the epochs trained"),
        (STOPS | {"complete_from": 2}, "F has 15"),
    ],
    5: [
        (lambda *x: 2 * maximum(*x), "half of it above"),
        (lambda *x: maximum(*x) / math.sqrt(2), "the variance 2"),
        (lambda *x: 1 / math.sqrt(math.pi), "the correlation counts"),
        (lambda sx, sy, rho: maximum(sx, sy, -rho), "the sign of the covariance"),
        (lambda sx, sy, rho: maximum(1, 1, rho), "for deviations 2 and 1"),
    ],
    6: [
        (JOURNAL | {"trial_0": LINES[2:4]}, "it has no trial_id"),
        (JOURNAL | {"trial_0": LINES[1:5]}, "a line of another trial"),
        (JOURNAL | {"caught": "damaged journal"}, "the exception itself"),
        (JOURNAL | {"caught": ValueError("x")}, "searching.read_search"),
        (JOURNAL | {"lines": [*LINES, '{"op']}, "not whole"),
    ],
    7: [
        (SPLITS | {"whole_bias": 0.07}, "give points"),
        (SPLITS | {"whole_bias": -7.0}, "reported minus true"),
        (SPLITS | {"halves_bias": 9.9}, "where it was chosen"),
        (SPLITS | {"loss_equal": 0.4}, "no choice can lose"),
        (SPLITS | {"loss_different": -0.44}, "true on 143 minus true on 71"),
    ],
}
