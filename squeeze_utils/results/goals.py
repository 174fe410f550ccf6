"""Is a goal reached: does a mean stay within its limit, and do the seeds decide it?"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import NamedTuple

from squeeze_utils.results.statistics import paired, welch

REACHED, MISSED = "reached", "missed"
NOT_DECIDED = "{} in the mean, not decided"


class Judged(NamedTuple):
    """Whether the mean reaches a goal, and whether its 95 % interval lies on that side too."""

    reached: bool
    decided: bool

    def __str__(self) -> str:
        word = REACHED if self.reached else MISSED
        return word if self.decided else NOT_DECIDED.format(word)


def judge(values: Sequence[float], limit: float | Sequence[float], *, most: bool = True) -> Judged:
    """Whether the mean of `values` is at `most` the limit (else: at least), each goal by itself.

    A limit that other networks set is given as their values: then the interval of the difference of
    the means decides. A single network has no interval and decides nothing.

    >>> str(judge([0.61, 0.64, 0.66], 0.70)), str(judge([0.61, 0.64, 0.66], 0.65))
    ('reached', 'reached in the mean, not decided')
    >>> str(judge([91.2, 91.6], [92.0, 92.1, 92.2], most=False))
    'missed in the mean, not decided'
    """
    number = isinstance(limit, int | float)
    limits = [limit] * len(values) if number else limit
    sign = 1 if most else -1
    reached = round(sign * (fmean(values) - fmean(limits)), 6) <= 0
    if min(len(values), len(limits)) < 2:
        return Judged(reached, decided=False)
    gap = paired(values, limits) if number else welch(values, limits)
    low, high = sorted((sign * gap.low, sign * gap.high))
    return Judged(reached, decided=high <= 0 if reached else low > 0)
