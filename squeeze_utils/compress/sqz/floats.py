"""The floats of all tensors of a file together: codebooks, steps, biases, what is kept whole.

As halves where that is exact. Codebooks ascend, so only the differences of their bits are kept.
The bytes of equal rank stand together (a plane): signs and exponents resemble each other, the
last bits do not.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from squeeze_utils.compress.sqz import coders
from squeeze_utils.compress.sqz.bits import ContainerError, Reader, Writer, framed, unframed, varint

CODERS = tuple(coders.CODERS)
BITS = {True: np.dtype("<u2"), False: np.dtype("<u4")}  # by whether they are halves
GROUPS = tuple(itertools.product((True, False), (True, False)))  # half, ascending


@dataclass(frozen=True)
class Floats:
    """The floats of one tensor. `ascends`: their bits, as whole numbers, do not fall."""

    name: str
    values: np.ndarray
    ascends: bool


def write_floats(out: Writer, pool: Sequence[Floats], coder: str) -> None:
    """The floats of all tensors, in groups of a kind, plane by plane."""
    is_half = [_is_half(floats.values) for floats in pool]
    content = Writer()
    flags = coders.CODERS["raw"].encode(np.array(is_half, np.int64), 2, None)["codes"]
    content.add("floats/header", flags)
    for half, ascends in GROUPS:
        rows = {
            floats.name: _bits(floats.values, half, ascends)
            for floats, is_ in zip(pool, is_half, strict=True)
            if is_ == half and floats.ascends == ascends and len(floats.values)
        }
        for plane in range(BITS[half].itemsize if rows else 0):
            _write_plane(content, {name: row[:, plane] for name, row in rows.items()}, coder)
    framing = framed(bytes(content.data))
    out.add("floats/header", framing[: -len(content.data) - 4])
    for part, size in content.parts.items():
        out.parts[part] = out.parts.get(part, 0) + size
    out.data += content.data
    out.add("floats/header", framing[-4:])


def _is_half(floats: np.ndarray) -> bool:
    with np.errstate(over="ignore"):
        back = floats.astype(np.float16).astype(np.float32)
    return bool(np.array_equal(back.view(np.uint32), floats.view(np.uint32)))


def _bits(values: np.ndarray, half: bool, ascends: bool) -> np.ndarray:
    """The bytes of each number (n, 2 or 4), low ones first."""
    numbers = values.astype(np.float16 if half else np.float32).view(BITS[half])
    if ascends:
        numbers = np.diff(numbers, prepend=BITS[half].type(0))
    return np.ascontiguousarray(numbers).view(np.uint8).reshape(-1, BITS[half].itemsize)


def _write_plane(out: Writer, rows: Mapping[str, np.ndarray], coder: str) -> None:
    """One byte of every float. As it is, each tensor's share is known; coded, only the sum."""
    symbols = np.concatenate(list(rows.values()))
    name, parts = "raw", {"codes": symbols.tobytes()}
    if coder in ("best", "range"):
        name, parts = coders.best(symbols.astype(np.int64), 256, None)
    data = b"".join(parts.values())
    out.add("floats/header", bytes([CODERS.index(name)]) + varint(len(data)))
    if name == "raw":
        for tensor, row in rows.items():
            out.add(f"{tensor}/floats", row.tobytes())
    else:
        out.add("floats/coded together", data)


def read_floats(reader: Reader, needed: Sequence[tuple[int, bool]]) -> list[np.ndarray]:
    """The floats of every tensor as float32, from how many each needs and whether they ascend."""
    part = Reader(unframed(reader, "the floats"))
    flags = part.take((len(needed) + 7) // 8, "kinds of floats")
    is_half = coders.CODERS["raw"].decode(Reader(flags), len(needed), 2, None).astype(bool)
    found: dict[int, np.ndarray] = {}
    for half, ascends in GROUPS:
        members = [
            i
            for i, (count, ascending) in enumerate(needed)
            if is_half[i] == half and ascending == ascends and count
        ]
        if members:
            found |= _read_group(part, {i: needed[i][0] for i in members}, half, ascends)
    part.end()
    nothing = np.zeros(0, np.float32)
    return [found.get(i, nothing) for i in range(len(needed))]


def _read_group(
    part: Reader, counts: Mapping[int, int], half: bool, ascends: bool
) -> dict[int, np.ndarray]:
    planes = [_read_plane(part, sum(counts.values())) for _ in range(BITS[half].itemsize)]
    numbers = np.stack(planes, 1).reshape(-1).view(BITS[half])
    found, at = {}, 0
    for index, count in counts.items():
        row = numbers[at : at + count]
        if ascends:
            row = np.cumsum(row, dtype=BITS[half])
        found[index] = row.view(np.float16 if half else np.float32).astype(np.float32)
        at += count
    return found


def _read_plane(reader: Reader, count: int) -> np.ndarray:
    coder = reader.number(1, "coder of a plane")
    if coder >= len(CODERS):
        raise ContainerError(f"a plane of floats has the unknown coder {coder}")
    part = Reader(reader.take(reader.varint("length of a plane"), "a plane of floats"))
    symbols = coders.CODERS[CODERS[coder]].decode(part, count, 256, None)
    part.end()
    return symbols.astype(np.uint8)
