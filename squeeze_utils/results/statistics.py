"""Statistics for comparing trained networks: what a handful of seeds can tell, and what it cannot.

Which one to use:

- networks that share nothing, which includes equal seeds: `welch`, or `pooled` if the study
  declared before training that all its arms deviate alike
- networks that share a trained prefix: `paired`
- two networks and the same test pictures: `mcnemar`. It speaks of these two networks, not of the
  recipes that trained them
- several comparisons in one table: `family`
- one network's accuracy: `binomial_interval`
- before training: `seeds_needed`

Each gives a `Difference`, whose `verdict` is one of four words; `differences` says how they are
chosen. Accuracies are in per cent, differences of accuracies in points.
"""

from __future__ import annotations

import math
import statistics
from bisect import bisect_left
from collections.abc import Iterable
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from scipy import stats

from squeeze_utils.results.differences import (
    Difference,
    check_confidence,
    family,
    interaction,
    paired,
    pooled,
    welch,
)

__all__ = [
    "Difference",
    "binomial_interval",
    "family",
    "interaction",
    "mcnemar",
    "mcnemar_counts",
    "mean_sd",
    "paired",
    "pooled",
    "seed_correlation",
    "seeds_needed",
    "welch",
]

MOST_SEEDS = 10_000


def mcnemar(correct_a: ArrayLike, correct_b: ArrayLike, confidence: float = 0.95) -> Difference:
    """Accuracy of network a minus that of network b on the same pictures, in points.

    The arguments say for each picture whether the network was right: two boolean arrays of shape
    (pictures,), in the same order. See `mcnemar_counts`.

    >>> a = np.array([True] * 880 + [True] * 40 + [False] * 15 + [False] * 65)
    >>> b = np.array([True] * 880 + [False] * 40 + [True] * 15 + [False] * 65)
    >>> found = mcnemar(a, b)
    >>> f"{found.estimate:.1f} points, p = {found.p:.4f}, {found.verdict()}"
    '2.5 points, p = 0.0010, higher'
    """
    a, b = np.asarray(correct_a), np.asarray(correct_b)
    if a.dtype != bool or b.dtype != bool:
        raise ValueError("boolean arrays are needed: was each picture classified correctly?")
    if a.ndim != 1 or a.shape != b.shape:
        raise ValueError(f"the same pictures are needed, not shapes {a.shape} and {b.shape}")
    return mcnemar_counts(int((a & ~b).sum()), int((b & ~a).sum()), len(a), confidence)


def mcnemar_counts(only_a: int, only_b: int, pictures: int, confidence: float = 0.95) -> Difference:
    """McNemar's comparison from three counts: right in a only, right in b only, all pictures.

    p is exact: without a difference, each picture on which the networks disagree is a fair coin.
    The interval is Wald's with one picture added to each kind of disagreement (Bonett and Price
    2012). With x and y the two counts of N pictures, and d = (x - y)/(N + 2), it is
    d ± z sqrt((x + y + 2)/(N + 2) - d²)/sqrt(N + 2). It comes from another formula than p, so the
    two may disagree about zero where a few pictures decide. Then the end near zero is taken from
    the interval that belongs to the exact test: Clopper and Pearson (1934) for the share of
    disagreements that a won.

    >>> found = mcnemar_counts(40, 15, 1000)
    >>> f"{found.low:.2f} to {found.high:.2f} points"
    '1.03 to 3.96 points'
    """
    check_confidence(confidence)
    both = only_a + only_b
    for count in (only_a, only_b, both):
        _check_count(count, pictures)
    p = float(stats.binomtest(only_a, both).pvalue) if both else 1.0
    limits = partial(_mcnemar_limits, only_a, only_b, pictures)
    return Difference(
        100 * (only_a - only_b) / pictures,
        *limits(confidence),
        p=p,
        error=100 * _bonett_price(only_a, only_b, pictures)[1],
        df=math.inf,
        n=pictures,
        n_control=pictures,
        method="McNemar",
        limits=limits,
        confidence=confidence,
    )


def _mcnemar_limits(x: int, y: int, pictures: int, confidence: float) -> tuple[float, float]:
    """In points; see `mcnemar_counts`."""
    tail, both = (1 - confidence) / 2, x + y
    centre, error = _bonett_price(x, y, pictures)
    half = float(stats.norm.isf(tail)) * error
    low, high = max(centre - half, -1.0), min(centre + half, 1.0)
    won = stats.beta.ppf(tail, x, y + 1) if x else 0.0  # least share of disagreements won by a
    most = stats.beta.isf(tail, x + 1, y) if y else 1.0
    exact_low, exact_high = (float(2 * share - 1) * both / pictures for share in (won, most))
    if (low > 0) != (exact_low > 0):
        low = exact_low
    if (high < 0) != (exact_high < 0):
        high = exact_high
    return 100 * low, 100 * high


def _bonett_price(x: int, y: int, pictures: int) -> tuple[float, float]:
    """Centre and error of the interval, as shares of all pictures."""
    n = pictures + 2
    centre = (x - y) / n
    return centre, math.sqrt(((x + y + 2) / n - centre**2) / n)


def binomial_interval(hits: int, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's (1927) interval, in per cent, for an accuracy of `hits` out of `n` pictures.

    It says how far these test pictures may mislead about this one network's accuracy on all
    pictures of their kind, and nothing about another seed.

    >>> low, high = binomial_interval(9120, 10_000)
    >>> f"{low:.2f} to {high:.2f} %"
    '90.63 to 91.74 %'
    """
    check_confidence(confidence)
    _check_count(hits, n)
    interval = stats.binomtest(hits, n).proportion_ci(confidence, method="wilson")
    return 100 * float(interval.low), 100 * float(interval.high)


def seeds_needed(
    deviation: float, difference: float, power: float = 0.8, level: float = 0.05
) -> int:
    """Seeds an arm with which a true `difference` is found with probability `power`.

    For a two-sided t test of two arms with one `deviation` between seeds, in the same unit. The
    power comes from the noncentral t: df 2n - 2, noncentrality (difference/deviation) sqrt(n/2).
    Welch's interval can need one seed more. In a family of k comparisons, divide `level` by k.

    >>> seeds_needed(deviation=0.3, difference=0.5)
    7
    """
    effect = abs(difference / deviation) if deviation > 0 else math.nan
    if not 0 < effect < math.inf:
        raise ValueError(f"a deviation > 0 and a difference, not {deviation} and {difference}")
    if not 0 < level < power < 1:
        raise ValueError(f"0 < level < power < 1 is needed, not {level} and {power}")
    possible = range(2, MOST_SEEDS)
    found = bisect_left(possible, power, key=lambda n: _power(effect, n, level))
    if found == len(possible):
        raise ValueError(f"not even {MOST_SEEDS:,} seeds an arm find this difference")
    return possible[found]


def _power(effect: float, n: int, level: float) -> float:
    """Two-sided, so by the square of t, which is a noncentral F: scipy's is safer far out."""
    df = 2 * n - 2
    bound = stats.t.isf(level / 2, df) ** 2
    return float(stats.ncf.sf(bound, 1, df, min(effect, 100) ** 2 * n / 2))


def mean_sd(values: Iterable[float], digits: int = 1) -> str:
    """Mean and deviation of a sample (n - 1) as text; a single value stands alone.

    Values that are missing do not count.

    >>> mean_sd([91.0, 91.2, 91.7]), mean_sd([91.2]), mean_sd([])
    ('91.3 ± 0.4', '91.2', '–')
    """
    known = [float(value) for value in values if not pd.isna(value)]
    if not known:
        return "–"
    mean = f"{statistics.fmean(known):,.{digits}f}"
    return f"{mean} ± {statistics.stdev(known):,.{digits}f}" if len(known) > 1 else mean


def with_interval(value: float, low: float, high: float, unit: str = "") -> str:
    """A change with its interval as text; without an interval the change stands alone.

    >>> with_interval(0.5, -0.25, 1.25), with_interval(0.5, -0.25, 1.25, "points")
    ('+0.50 (-0.25 to +1.25)', '+0.50 points (-0.25 to +1.25)')
    >>> with_interval(0.5, float("nan"), float("nan"))
    '+0.50'
    """
    change = f"{value:+.2f} {unit}".rstrip()
    return change if pd.isna(low) or pd.isna(high) else f"{change} ({low:+.2f} to {high:+.2f})"


def seed_correlation(frame: pd.DataFrame, by: str, value: str = "test_accuracy") -> float:
    """Average correlation of two arms at equal seeds: near 0 if equal seeds share nothing.

    The frame has one row for each arm (column `by`) and `seed`. The mean is over Pearson's
    correlation of each two arms with three or more seeds in common and values that vary. With n
    seeds and P such pairs that share nothing, it deviates from 0 by about 1/sqrt(P (n - 1)).

    >>> seeds = [0, 1, 2, 0, 1, 2]
    >>> frame = pd.DataFrame({"arm": list("aaabbb"), "seed": seeds, "acc": [1, 2, 3, 5, 6, 7]})
    >>> round(seed_correlation(frame, "arm", "acc"), 6)
    1.0
    """
    if frame.duplicated([by, "seed"]).any():
        raise ValueError(f"more than one row for one {by} and one seed")
    table = frame.pivot(index="seed", columns=by, values=value)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = table.corr(min_periods=3).to_numpy()
    pairs = found[np.triu_indices_from(found, k=1)]
    if np.isnan(pairs).all():
        raise ValueError(f"no two arms of {by} vary over three seeds or more in common")
    return float(np.nanmean(pairs))


def _check_count(count: int, n: int) -> None:
    if isinstance(count, float) or not 0 <= count <= n or n < 1:
        raise ValueError(f"{count} of {n} pictures: a whole number from 0 to {n} is needed")
