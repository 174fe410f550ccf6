"""Intervals for contrasts: sums and differences of cells, one value of the contrast for each seed.

Three seeds decide little alone: with two degrees of freedom, corrected for nine rows, an interval
reaches 7.7 deviations either way. What is known beforehand helps. Contrasts of one kind may be
declared to deviate alike (`with_one_deviation`), and parts that share nothing need no pairs
(`sum_of_means`).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from squeeze_utils.results.differences import (
    ROUNDING,
    Difference,
    Label,
    checked_sample,
    error_of_means,
    student,
    variance,
)


def with_one_deviation(
    rows: Mapping[Label, Iterable[float]], confidence: float = 0.95
) -> dict[Label, Difference]:
    """The mean of each row over seeds, with one deviation s for all rows; df = sum of (n - 1).

    s² is the mean of the rows' variances, weighted by n - 1; the error of a row is s / sqrt(n). A
    row that no seed changes, as what a coder without loss does to accuracy, is known exactly: it
    is left out of s, and its interval is one point.

    Where rows do not deviate alike, the interval of the one that deviates most is too short. So the
    choice is declared before training. Rows that share cells deviate together, and s is known
    less well than df says; Bonferroni's correction, which such rows do not need in full, makes up
    for it in simulations (see `factorial.effects`).

    >>> rows = {"pruning": [2.0, 2.1, 2.2], "rounding": [3.0, 3.2, 3.1], "nothing": [0, 0, 0]}
    >>> found = with_one_deviation(rows)
    >>> {name: (round(d.low, 2), round(d.high, 2), d.df) for name, d in found.items()}
    {'pruning': (1.94, 2.26, 4.0), 'rounding': (2.94, 3.26, 4.0), 'nothing': (0.0, 0.0, 2.0)}
    """
    samples = {label: checked_sample(values, f"row {label!r}", 2) for label, values in rows.items()}
    varying = {label: sample for label, sample in samples.items() if variance(sample)}
    df = sum(len(sample) - 1 for sample in varying.values())
    squares = sum((len(sample) - 1) * variance(sample) for sample in varying.values())
    found = {}
    for label, sample in samples.items():
        n = len(sample)
        error = math.sqrt(squares / df / n) if label in varying else 0.0
        free = float(df) if label in varying else n - 1.0
        how = "one deviation for all rows", confidence
        found[label] = student(float(sample.mean()), error, free, n, n, *how)
    return found


def sum_of_means(groups: Iterable[Iterable[float]], confidence: float = 0.95) -> Difference:
    """The sum of the means of groups that share nothing, with Welch's interval.

    For a contrast between networks: each group holds what the cells of one network add to it, with
    their signs, for each seed. Of one group it is the ordinary interval of a mean.

    >>> found = sum_of_means([[92.1, 92.4, 92.3], [-91.0, -91.5, -91.1]])
    >>> f"{found.estimate:.2f}, {found.low:.2f} to {found.high:.2f}, df {found.df:.1f}"
    '1.07, 0.52 to 1.61, df 3.2'
    """
    samples = [checked_sample(values, "a group", 2) for values in groups]
    error, df = error_of_means(*samples)
    means = np.array([sample.mean() for sample in samples])
    estimate = float(means.sum())
    if abs(estimate) <= ROUNDING * np.abs(means).max():
        estimate = 0.0
    n = min(map(len, samples))
    return student(estimate, error, df, n, n, "sum of means", confidence)
