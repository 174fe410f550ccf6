"""Two ways to treat a network, compared on the same pictures as a mean over several seeds."""

from __future__ import annotations

import math
from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from squeeze_utils.results.differences import Difference, check_confidence
from squeeze_utils.results.statistics import mcnemar


def averaged(correct: ArrayLike, control: ArrayLike, confidence: float = 0.95) -> Difference:
    """Accuracy minus that of the control, in points: the mean over seeds, on the same pictures.

    Both arguments are boolean, (seeds, pictures): was the network of this seed right? A picture
    counts with its mean over the seeds, d between -1 and 1. The interval is the one of `mcnemar`
    before its exact correction: a picture with d = 1 and one with d = -1 are added, and the mean
    of all d gets a normal interval. It speaks of these networks on other pictures of the same
    kind, and not of other seeds. One seed is McNemar's case.

    >>> right = np.array([[True] * 90 + [False] * 10, [True] * 88 + [False] * 12])
    >>> all_right = np.ones((2, 100), dtype=bool)
    >>> found = averaged(right, all_right)
    >>> f"{found.estimate:.1f} points, {found.low:.1f} to {found.high:.1f}, {found.verdict()}"
    '-11.0 points, -17.2 to -4.3, lower'
    """
    check_confidence(confidence)
    a, b = np.asarray(correct), np.asarray(control)
    if a.dtype != bool or b.dtype != bool or a.ndim != 2 or a.shape != b.shape or not a.size:
        raise ValueError(
            "boolean arrays (seeds, pictures) of one shape are needed, not "
            f"{a.dtype} {a.shape} and {b.dtype} {b.shape}"
        )
    if len(a) == 1:
        return mcnemar(a[0], b[0], confidence)
    d = a.mean(axis=0) - b.mean(axis=0)
    known = np.append(d, (1.0, -1.0))
    centre, error = float(known.mean()), float(known.std() / math.sqrt(len(known)))
    limits = partial(_limits, centre, error)
    return Difference(
        100 * float(d.mean()),
        *limits(confidence),
        p=2 * float(stats.norm.sf(abs(centre) / error)),
        error=100 * error,
        df=math.inf,
        n=len(d),
        n_control=len(d),
        method=f"same pictures, mean of {len(a)} seeds",
        limits=limits,
        confidence=confidence,
    )


def _limits(centre: float, error: float, confidence: float) -> tuple[float, float]:
    """In points, and never beyond 100."""
    half = float(stats.norm.isf((1 - confidence) / 2)) * error
    return 100 * max(centre - half, -1.0), 100 * min(centre + half, 1.0)
