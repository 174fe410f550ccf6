"""Two typical mistakes for each exercise of notebook 13, and what the check has to say."""

from __future__ import annotations

import math

import numpy as np
import torch

from squeeze_utils.compress.sqz import huffman


def fibonacci(m):
    counts = [1, 1]
    while len(counts) < m:
        counts.append(counts[-1] + counts[-2])
    return counts


def bits(d, m, weighted=True, per_block=False):
    ones = np.array([bin(i).count("1") for i in range(2**m)])
    p = d**ones * (1 - d) ** (m - ones)
    lengths = huffman.code_lengths(np.maximum(1, np.round(p * 1e12)).astype(np.int64))
    mean = p @ lengths if weighted else lengths.mean()
    return mean if per_block else mean / m


def ternary(weight, everywhere=False, size=None):
    kept = weight.abs() if everywhere else weight.abs()[weight != 0]
    return weight.sign() * (kept.mean() if size is None else size(kept))


def point(rounded, values, log=torch.log2, percent=100, power=1):
    _, n = torch.unique(rounded, return_counts=True)
    p = n / n.sum()
    error = ((rounded - values).norm() / values.norm()) ** power
    return float(-(p * log(p)).sum()), float(percent * error)


def point_in_nats(rounded, values):
    return point(rounded, values, log=torch.log)


def point_of_squares(rounded, values):
    return point(rounded, values, power=2)


PAIRS = {"bits_per_decision": bits, "block": 10}
GAPS = {0.5: 1, 0.3: 3, 0.2: 4, 0.1: 5, 0.05: 6, 0.02: 7, 0.01: 8}
RATE = {"point": point, "better": "even grid"}
LAYER = {"wrong_number": 5.2, "layer": "classifier.2", "width": 5}

MISTAKES = {
    1: [
        ({"float32": 341, "half": 1025}, "not smaller yet"),
        ({"float32": 342, "half": 1024}, "the first whole number"),
        ({"float32": 256, "half": 1025}, "8 bits for each weight as well"),
    ],
    2: [
        (fibonacci, "more than needed"),
        (lambda m: [1] * m, "the longest codeword has 3 bits"),
    ],
    3: [
        (PAIRS | {"bits_per_decision": lambda d, m: bits(d, m, per_block=True)}, "Divide by 2"),
        (PAIRS | {"bits_per_decision": lambda d, m: bits(d, m, weighted=False)}, "probability"),
        (PAIRS | {"block": 9}, "above 25 %"),
    ],
    4: [
        (lambda weight: ternary(weight, everywhere=True), "Leave out those that are zero"),
        (lambda weight: ternary(weight, size=torch.max), "smaller squared error"),
        (lambda weight: torch.where(weight >= 0, 1.0, -1.0), "what is pruned stays zero"),
    ],
    5: [
        ({d: max(1, round(math.log2(1 / d))) for d in GAPS}, "the rule of thumb"),
        (dict.fromkeys(GAPS, 8), "not the cheapest"),
    ],
    6: [
        (RATE | {"point": point_in_nats}, "base 2"),
        (RATE | {"point": point_of_squares}, "take norms, not squares"),
        (RATE | {"better": "k-means"}, "Compare at equal entropy"),
    ],
    7: [
        (LAYER | {"wrong_number": 7.2}, "so 7.2 is possible"),
        (LAYER | {"wrong_number": 3.9}, "a gap may have"),
        (LAYER | {"wrong_number": 5}, "none of the eight"),
    ],
}
