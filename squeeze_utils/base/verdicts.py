"""The four words that an interval of a difference gets: one rule for every chapter."""

from __future__ import annotations

import math

WORDS = ("higher", "lower", "equal", "undecided")


def verdict_of(low: float, high: float, margin: float | None = None) -> str:
    """Say "equal within ±m" if all lies inside a margin m, else "higher", "lower", "undecided".

    >>> verdict_of(0.1, 0.4), verdict_of(-0.4, 0.1), verdict_of(0.1, 0.4, margin=0.5)
    ('higher', 'undecided', 'equal within ±0.5')
    """
    if margin is not None:
        if not 0 < margin < math.inf:
            raise ValueError(
                f"a margin is a positive number, in the unit of the values, not {margin}"
            )
        if -margin < low and high < margin:
            return f"equal within ±{margin:g}"
    if low > 0:
        return "higher"
    return "lower" if high < 0 else "undecided"
