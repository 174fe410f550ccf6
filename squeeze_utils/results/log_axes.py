"""Logarithmic axes that are marked at round numbers, not at powers of ten."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from matplotlib.axis import Axis

# Digits of the marks of an axis: the first row is taken that gives at most MOST_MARKS.
MARKS = (
    (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9),
    (1, 1.5, 2, 3, 5, 7),
    (1, 2, 5),
    (1,),
)
MOST_MARKS = 7


def mark_in_round_numbers(axis: Axis, low: float, high: float, unit: float = 1) -> None:
    """Mark an axis that reaches from `low` to `high`; the numbers are written in `unit`s."""
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    axis.set_major_locator(FixedLocator(marks_between(low, high)))
    axis.set_major_formatter(FuncFormatter(lambda at, _: f"{at / unit:g}"))
    axis.set_minor_locator(NullLocator())


def marks_between(low: float, high: float) -> list[float]:
    """At most MOST_MARKS round numbers from `low` to `high`, for a logarithmic axis."""
    if not 0 < low < high:
        raise ValueError(f"a logarithmic axis needs 0 < low < high, got {low} and {high}")
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for digits in MARKS:
        found = [digit * 10.0**power for power in powers for digit in digits]
        found = [mark for mark in found if low <= mark <= high]
        if len(found) <= MOST_MARKS:
            break
    return found
