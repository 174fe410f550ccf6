"""Forms of a tensor: which of few values, which multiple of a step, which nonzero, or all of it.

A form takes a float32 tensor apart, bit for bit, into symbols (whole numbers, which a coder of
`coders` writes) and floats (which the container collects from all tensors and writes together).
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from squeeze_utils.compress.sqz import coders, contexts
from squeeze_utils.compress.sqz.bits import ContainerError, Reader, varint

FEW = 1 << 16  # a codebook has at most that many entries
LEVELS = 1 << 10  # a grid has at most that many levels
SIEVE = 8  # sizes on which a step is tried before it is tried on all
SIGN_BIT = 1 << 31  # of a float32's bits
SHORTEST = 8  # shorter tensors are stored whole


@dataclass(frozen=True)
class Form:
    """A tensor taken apart.

    `zero` is the symbol of the weight zero, if there is one; from `border` on symbols stand for
    weights of one sign, and below it, but for zero, for those of the other.
    """

    kind: str
    floats: np.ndarray
    head: bytes = b""
    symbols: np.ndarray | None = None
    alphabet: int = 1
    zero: int | None = None
    border: int = 0


@dataclass(frozen=True)
class Coded:
    """A form and the bytes that a coder made of its symbols."""

    form: Form
    coder: str
    parts: coders.Parts

    @property
    def size(self) -> int:
        """Bytes, where a float counts as four."""
        return 4 * len(self.form.floats) + len(self.form.head) + sum(map(len, self.parts.values()))


@dataclass(frozen=True)
class Opened:
    """A tensor half read: how many floats it still needs, and what makes its values of them.

    `ascends`: the bits of the floats, as whole numbers, do not fall.
    """

    floats: int
    ascends: bool
    values: Callable[[np.ndarray], np.ndarray]


def values_of(tensor: Tensor) -> np.ndarray:
    """The numbers of a tensor in a row, as float32. Minus zero becomes zero."""
    return tensor.detach().cpu().contiguous().float().numpy().reshape(-1) + np.float32(0)


def smallest(tensor: Tensor, coder: str = "best", steps: Tensor | None = None) -> Coded:
    """The form with the fewest bytes; `steps` are those of the tensor's grid, where it is known."""
    shape = layout(tensor.shape)
    known = None if steps is None else values_of(steps)
    plain = "best" if coder == "contexts" else coder
    found = [_coded(form, plain) for form in forms(values_of(tensor), shape[0], known)]
    least = min(found, key=lambda coded: coded.size)
    if coder != "contexts" or least.form.zero is None:
        return least
    return min(least, _with_contexts(least.form, shape), key=lambda coded: coded.size)


def layout(shape: Sequence[int]) -> tuple[int, int, int]:
    """A tensor's outputs, inputs and taps of a kernel; 1 for what it has not."""
    return (*shape[:2], *[1] * (2 - len(shape)), math.prod(shape[2:]))


def _with_contexts(form: Form, shape: tuple[int, int, int]) -> Coded:
    placed = form.symbols.reshape(shape)
    return Coded(form, "contexts", contexts.encode(placed, form.alphabet, form.zero, form.border))


def _coded(form: Form, coder: str) -> Coded:
    if form.symbols is None:
        return Coded(form, "raw", {})
    message = form.symbols, form.alphabet, form.zero
    if coder == "best":
        return Coded(form, *coders.best(*message))
    if coder == "gaps" and form.zero is None:
        coder = "huffman"  # nothing is sparse: there are no gaps to count
    return Coded(form, coder, coders.CODERS[coder].encode(*message))


def forms(values: np.ndarray, rows: int, steps: np.ndarray | None = None) -> Iterator[Form]:
    """Every form that the float32 `values` of a tensor with `rows` rows can be stored in.

    `steps` are those of the tensor's grid. Where they are not known, or where the values have
    changed since, they are searched for.
    """
    yield Form("dense", values)
    if len(values) >= SHORTEST:
        on_grid = grid(values, rows, steps) or grid(values, rows, find_steps(values, rows))
        for form in (codebook(values), on_grid, sparse(values)):
            if form is not None:
                yield form


def codebook(values: np.ndarray) -> Form | None:
    """The different values in ascending order of their bits, and which of them stands where."""
    book, symbols = np.unique(values.view(np.uint32), return_inverse=True)
    if len(book) > min(FEW, max(1, len(values) // 2)):
        return None
    zero = int(np.searchsorted(book, 0)) if 0 in book else None
    head = varint(len(book)) + varint(0 if zero is None else zero + 1)
    positive = int(np.searchsorted(book, SIGN_BIT))
    return Form("codebook", book.view(np.float32), head, symbols, len(book), zero, positive)


def sparse(values: np.ndarray) -> Form | None:
    """Where the values are not zero, and those."""
    is_there = values.view(np.uint32) != 0
    if is_there.mean() > 0.9:
        return None
    return Form("sparse", values[is_there], b"", is_there.astype(np.int64), 2, 0, border=2)


def grid(values: np.ndarray, rows: int, steps: np.ndarray | None) -> Form | None:
    """Multiples of steps, one step for the whole tensor or one for each row.

    None where the values are not such multiples, bit for bit.
    """
    if steps is None or len(steps) not in (1, rows):
        return None
    table = values.reshape(len(steps), -1)
    numbers, fits = _multiples(table, steps)
    if not fits.all():
        return None
    coarser = steps * np.gcd.reduce(numbers, axis=1).astype(np.float32)  # 0 for a row of zeros
    fewer, fits = _multiples(table, coarser)
    numbers, steps = np.where(fits[:, None], fewer, numbers), np.where(fits, coarser, steps)
    low, size = int(numbers.min()), int(np.ptp(numbers)) + 1
    if size > LEVELS:
        return None
    zero = -low if 0 <= -low < size else None
    head = varint(len(steps)) + varint(_zigzag(low)) + varint(size)
    border = 0 if zero is None else zero + 1
    return Form("grid", steps, head, numbers.reshape(-1) - low, size, zero, border)


def _multiples(table: np.ndarray, steps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The multiples of each row's step next to its values; the rows where they are the values."""
    quotients = np.zeros_like(table)
    with np.errstate(over="ignore", invalid="ignore"):
        np.divide(table, steps[:, None], out=quotients, where=steps[:, None] != 0)
    numbers = np.nan_to_num(quotients).clip(-LEVELS, LEVELS).round().astype(np.int64)
    products = numbers.astype(np.float32) * steps[:, None]
    return numbers, (products.view(np.uint32) == table.view(np.uint32)).all(1)


def find_steps(values: np.ndarray, rows: int) -> np.ndarray | None:
    """A step of which all `values` are multiples, or one for each row; None if there is none."""
    for count in dict.fromkeys((1, rows)):
        if count < len(values):
            steps = map(_step, values.reshape(count, -1))
            found = list(itertools.takewhile(lambda step: step is not None, steps))
            if len(found) == count:
                return np.array(found, np.float32)
    return None


def _step(row: np.ndarray) -> np.float32 | None:
    """The largest step of which `row` is multiples, bit for bit: a fraction of its largest size."""
    levels = np.unique(row)
    sizes = np.abs(levels[levels != 0])
    if len(levels) > LEVELS or not np.isfinite(levels).all():
        return None
    if not len(sizes):
        return np.float32(0)
    fractions = (sizes.max() / np.arange(1, LEVELS)).astype(np.float32)
    multiples = sizes[:SIEVE, None] / np.maximum(fractions, np.finfo(np.float32).tiny)
    for fraction in fractions[(np.abs(multiples - np.round(multiples)) < 1e-3).all(0)]:
        for step in (fraction, *(np.nextafter(fraction, np.float32(to)) for to in (0, np.inf))):
            if _multiples(levels[None], step[None])[1][0]:
                return step
    return None


def _zigzag(value: int) -> int:
    return 2 * value if value >= 0 else -2 * value - 1


Decode = Callable[[Reader, int, int, int | None], np.ndarray]  # of one of `coders.CODERS`


def _read_dense(reader: Reader, count: int, rows: int, decode: Decode) -> Opened:
    return Opened(count, False, lambda floats: floats)


def _read_codebook(reader: Reader, count: int, rows: int, decode: Decode) -> Opened:
    size, zero = reader.varint("size of a codebook"), reader.varint("symbol of zero")
    if not 1 <= size <= FEW or zero > size:
        raise ContainerError(f"a codebook of {size} entries, zero at {zero}")
    symbols = decode(reader, count, size, zero - 1 if zero else None)
    return Opened(size, True, lambda floats: floats[symbols])


def _read_grid(reader: Reader, count: int, rows: int, decode: Decode) -> Opened:
    steps, low = reader.varint("number of steps"), reader.varint("lowest multiple")
    size = reader.varint("number of multiples")
    low = low // 2 if low % 2 == 0 else -(low + 1) // 2
    if steps not in (1, rows) or not 1 <= size <= LEVELS or abs(low) > LEVELS:
        raise ContainerError(f"a grid of {steps} steps and {size} multiples from {low}")
    symbols = decode(reader, count, size, -low if 0 <= -low < size else None)
    numbers = (symbols + low).astype(np.float32).reshape(steps, -1)
    return Opened(steps, False, lambda floats: (numbers * floats[:, None]).reshape(-1))


def _read_sparse(reader: Reader, count: int, rows: int, decode: Decode) -> Opened:
    is_there = decode(reader, count, 2, 0) == 1

    def values(floats: np.ndarray) -> np.ndarray:
        found = np.zeros(count, np.float32)
        found[is_there] = floats
        return found

    return Opened(int(is_there.sum()), False, values)


# In this order: a file holds a form's number.
READ: dict[str, Callable[[Reader, int, int, Decode], Opened]] = {
    "dense": _read_dense,
    "codebook": _read_codebook,
    "grid": _read_grid,
    "sparse": _read_sparse,
}
KINDS: tuple[str, ...] = tuple(READ)
