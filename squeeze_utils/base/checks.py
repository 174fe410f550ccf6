"""Checks of arguments that say what was wrong and what is accepted."""

from __future__ import annotations


def choose(kind: str, value: str, accepted: object) -> str:
    """Return `value` if it is one of `accepted`; otherwise raise an error that lists them."""
    names = list(accepted)  # type: ignore[call-overload]
    if value not in names:
        raise ValueError(f"unknown {kind} {value!r}; accepted: {', '.join(map(str, names))}")
    return value


def whole_number(name: str, value: object, least: int) -> int:
    """Return `value` if it is a whole number of at least `least`; otherwise raise an error."""
    if not isinstance(value, int) or isinstance(value, bool) or value < least:
        raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
    return value
