"""Between measured settings of another tool: what it would need at an error of ours."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np


def bytes_at(errors: Iterable[float], known: Iterable[float], sizes: Iterable[float]) -> np.ndarray:
    """Bytes at `errors`, on straight lines between pairs of the error's logarithm and bytes.

    Each bit less multiplies the error of fine rounding by the same factor, so the logarithm is a
    line there. All errors are positive and the `known` ones rise; outside the end's bytes are
    taken.

    >>> bytes_at([10.0], [1.0, 100.0], [400.0, 200.0]).tolist()
    [300.0]
    """
    at, xs, ys = (np.array(list(one), dtype=float) for one in (errors, known, sizes))
    if not ((at > 0).all() and (xs > 0).all()) or (np.diff(xs) < 0).any():
        raise ValueError("errors are positive numbers, the known ones in rising order")
    return np.interp(np.log(at), np.log(xs), ys)
