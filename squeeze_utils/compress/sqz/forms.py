"""Forms of a tensor: which of few values, which multiple of a step, which nonzero, or all of it.

A form splits a float32 tensor, bit for bit, into symbols (whole numbers that a coder of
`coders` writes) and floats (which the container collects from all tensors and writes together).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from squeeze_utils.compress.sqz.bits import ContainerError, Reader, varint

FEW = 1 << 16  # a codebook has at most that many entries
LEVELS = 1 << 10  # a grid has at most that many steps
SIEVE = 8  # sizes that a step is tried on before all are


@dataclass(frozen=True)
class Form:
    """A tensor taken apart. `zero` is the symbol of the weight zero, if there is one."""

    kind: str
    floats: np.ndarray
    head: bytes = b""
    symbols: np.ndarray | None = None
    alphabet: int = 1
    zero: int | None = None


@dataclass(frozen=True)
class Head:
    """What a form's head says before its symbols are read."""

    alphabet: int
    zero: int | None
    low: int = 0


def dense(values: np.ndarray) -> Form:
    """Every value as it is."""
    return Form("dense", values)


def codebook(values: np.ndarray) -> Form | None:
    """The different values in ascending order of their bits, and which of them stands where."""
    book, symbols = np.unique(values.view(np.uint32), return_inverse=True)
    if len(book) > min(FEW, max(1, len(values) // 2)):
        return None
    zero = int(np.searchsorted(book, 0)) if 0 in book else None
    head = varint(len(book)) + varint(0 if zero is None else zero + 1)
    return Form("codebook", book.view(np.float32), head, symbols, len(book), zero)


def sparse(values: np.ndarray) -> Form | None:
    """Where the values are not zero, and those."""
    is_there = values.view(np.uint32) != 0
    if is_there.mean() > 0.9:
        return None
    return Form("sparse", values[is_there], b"", is_there.astype(np.int64), 2, 0)


def grid(values: np.ndarray, rows: int) -> Form | None:
    """Multiples of a step, one for the whole tensor or one for each of `rows` equal parts."""
    for count in dict.fromkeys((1, rows)):
        found = _steps_of_all(values.reshape(count, -1)) if count < len(values) else None
        if found is not None:
            scales = np.array([scale for scale, _ in found], np.float32)
            numbers = np.concatenate([multiples for _, multiples in found])
            low, high = int(numbers.min()), int(numbers.max())
            if high - low >= LEVELS:
                return None
            zero = -low if low <= 0 <= high else None
            head = varint(count) + varint(_zigzag(low)) + varint(high - low + 1)
            return Form("grid", scales, head, numbers - low, high - low + 1, zero)
    return None


def _steps_of_all(table: np.ndarray) -> list[tuple[float, np.ndarray]] | None:
    """`_steps` of every row; None as soon as one has none."""
    found = []
    for row in table:
        steps = _steps(row)
        if steps is None:
            return None
        found.append(steps)
    return found


def _steps(row: np.ndarray) -> tuple[float, np.ndarray] | None:
    """A step and whole numbers whose product is the row, bit for bit; None if there is none."""
    levels = np.unique(row)
    if len(levels) > LEVELS or not np.isfinite(levels).all():
        return None
    for step in _possible_steps(np.abs(levels[levels != 0])):
        for scale in (step, *(np.nextafter(step, np.float32(end)) for end in (0, np.inf))):
            if _multiples(levels, scale) is None:
                continue
            numbers = _multiples(row, scale)  # a row may hold -0.0 too
            if numbers is not None:
                return float(scale), numbers
    return None


def _possible_steps(sizes: np.ndarray) -> np.ndarray:
    """Whole fractions of the largest of `sizes` of which some others are multiples, nearly."""
    if not len(sizes):
        return np.zeros(1, np.float32)
    fractions = (sizes.max() / np.arange(1, LEVELS)).astype(np.float32)
    multiples = sizes[:SIEVE, None] / np.maximum(fractions, np.finfo(np.float32).tiny)
    return fractions[(np.abs(multiples - np.round(multiples)) < 1e-3).all(0)]


def _multiples(values: np.ndarray, scale: np.float32) -> np.ndarray | None:
    """Whole numbers whose product with `scale` is `values`, bit for bit; None if none are."""
    numbers = np.zeros(len(values), np.int64)
    if scale:
        numbers = np.round(values / scale).astype(np.int64)
    again = numbers.astype(np.float32) * scale
    return numbers if np.array_equal(again.view(np.uint32), values.view(np.uint32)) else None


def forms(values: np.ndarray, rows: int) -> Iterator[Form]:
    """Every form that the float32 `values` can be stored in."""
    yield dense(values)
    if len(values) >= 8:
        for form in (codebook(values), grid(values, rows), sparse(values)):
            if form is not None:
                yield form


def _zigzag(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


def read_head(kind: str, reader: Reader, rows: int) -> tuple[Head | None, int | None]:
    """The head of a form, and how many floats it needs (None: as many as there are ones)."""
    if kind == "codebook":
        size, zero = reader.varint("size of a codebook"), reader.varint("symbol of zero")
        if not 1 <= size <= FEW or zero > size:
            raise ContainerError(f"a codebook of {size} entries, zero at {zero}")
        return Head(size, zero - 1 if zero else None), size
    if kind == "grid":
        count, low = reader.varint("number of steps"), reader.varint("lowest multiple")
        size = reader.varint("number of multiples")
        low = low // 2 if low % 2 == 0 else -(low + 1) // 2
        if count not in (1, rows) or not 1 <= size <= LEVELS or abs(low) > LEVELS:
            raise ContainerError(f"a grid of {count} steps and {size} multiples from {low}")
        zero = -low if 0 <= -low < size else None
        return Head(size, zero, low), count
    return Head(2, 0), None


def _from_codebook(head: Head, symbols: np.ndarray, floats: np.ndarray) -> np.ndarray:
    return floats[symbols]


def _from_grid(head: Head, symbols: np.ndarray, floats: np.ndarray) -> np.ndarray:
    numbers = (symbols + head.low).astype(np.float32).reshape(len(floats), -1)
    return (numbers * floats[:, None]).reshape(-1)


def _from_sparse(head: Head, symbols: np.ndarray, floats: np.ndarray) -> np.ndarray:
    values = np.zeros(len(symbols), np.float32)
    values[symbols == 1] = floats
    return values


JOIN: dict[str, Callable[[Head, np.ndarray, np.ndarray], np.ndarray]] = {
    "codebook": _from_codebook,
    "grid": _from_grid,
    "sparse": _from_sparse,
}
KINDS: tuple[str, ...] = ("dense", *JOIN)
