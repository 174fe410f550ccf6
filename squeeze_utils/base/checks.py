"""Checks of arguments that say what was wrong and what is accepted.

Each takes the name that the user knows an argument by, and returns the value when it is fine.
"""

from __future__ import annotations

from math import inf, isfinite
from numbers import Real


def choose(kind: str, value: str, accepted: object) -> str:
    """Return `value` if it is one of `accepted`; otherwise raise an error that lists them."""
    names = list(accepted)  # type: ignore[call-overload]
    if value not in names:
        raise ValueError(f"unknown {kind} {value!r}; accepted: {', '.join(map(str, names))}")
    return value


def whole_number(
    name: str,
    value: object,
    least: int,
    most: int | None = None,
    error: type[ValueError] = ValueError,
) -> int:
    """Return `value` if it is a whole number from `least` to `most`; otherwise raise `error`."""
    is_whole = isinstance(value, int) and not isinstance(value, bool)
    if is_whole and least <= value and (most is None or value <= most):
        return value
    limits = f"of at least {least}" if most is None else f"from {least} to {most}"
    raise error(f"{name} must be a whole number {limits}, got {value!r}")


def true_or_false(name: str, value: object, error: type[ValueError] = ValueError) -> bool:
    """Return `value` if it is True or False; otherwise raise `error`."""
    if isinstance(value, bool):
        return value
    raise error(f"{name} must be True or False, got {value!r}")


def real_number(
    name: str,
    value: object,
    *,
    least: float = -inf,
    above: float = -inf,
    most: float = inf,
    below: float = inf,
    error: type[ValueError] = ValueError,
) -> float:
    """Return `value` if it is a finite number within the limits; otherwise raise `error`.

    `least` and `most` are accepted themselves, `above` and `below` are not: a probability that
    may not be 1 is `real_number("dropout", value, least=0, below=1)`.
    """
    is_number = isinstance(value, Real) and not isinstance(value, bool)
    if is_number and _is_finite(value) and least <= value <= most and above < value < below:
        return value
    raise error(f"{name} must {_limits(least, above, most, below)}, got {value!r}")


def _is_finite(value: Real) -> bool:
    try:
        return isfinite(value)
    except OverflowError:  # a whole number that no float can hold
        return False


def _limits(least: float, above: float, most: float, below: float) -> str:
    """The limits in words, or as an interval where there are two."""
    low = f"[{least}" if least > above else f"({above}"
    high = f"{most}]" if most < below else f"{below})"
    if "inf" not in low + high:
        return f"lie in {low}, {high}"
    if "inf" not in high:
        return f"be at most {most}" if most < below else f"be below {below}"
    if "inf" not in low:
        low = f"be at least {least}" if least > above else f"be above {above}"
        return "be positive" if above == 0 else low
    return "be a finite number"
