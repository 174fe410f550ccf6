"""The coder of a priced layer: a probability for zero and a geometric tail, made of three counts.

    P(0) = z,    P(k) = (1 - z) / 2 * (1 - q) q^(|k| - 1)    for k = 1, -1, 2, -2, ...

It is the model that training paid for (`pricing/rate_model`), at its largest likelihood.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

TOTAL = 1 << 20  # of the whole numbers that stand for probabilities


class Counts(NamedTuple):
    """What the model is made of: how many numbers, how many not zero, the sum of their sizes."""

    numbers: float
    nonzero: float
    size: float


def estimate(counts: Counts) -> float:
    """The bits of all numbers together, with the model that suits them best.

    >>> estimate(Counts(8, 2, 4)) == 6 * -np.log2(0.75) + 2 * 4 + 2 * 1
    True
    """
    n, nonzero, size = counts
    if not nonzero:
        return 0.0
    z, q = 1 - nonzero / n, 1 - nonzero / size
    total = nonzero * (1 - np.log2(nonzero / n) - np.log2(1 - q))
    total -= (n - nonzero) * np.log2(z) if z else 0.0
    return float(total - ((size - nonzero) * np.log2(q) if q else 0.0))


def mixture_table(counts: Counts, most: int) -> np.ndarray:
    """The probabilities of -most..most as whole numbers, the same on every machine.

    They come from products and quotients alone, which every processor rounds alike.
    """
    n, nonzero, size = (float(value) for value in counts)
    q = (size - nonzero) / size
    tail = np.full(most, q)
    tail[:1] = nonzero / n * 0.5 * (1 - q)
    tail = np.multiply.accumulate(tail)
    table = np.concatenate([tail[::-1], [(n - nonzero) / n], tail])
    return np.floor(table * TOTAL).astype(np.int64) + 1
