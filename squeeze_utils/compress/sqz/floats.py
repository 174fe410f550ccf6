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
from squeeze_utils.compress.sqz.bits import ContainerError, Reader, Writer, pack, unpack, varint
from squeeze_utils.compress.sqz.coders import CODER_NAMES

GROUPS = tuple(itertools.product((True, False), (True, False)))  # half, ascending


@dataclass(frozen=True)
class Floats:
    """The floats of one tensor. `ascends`: their bits, as whole numbers, do not fall."""

    name: str
    values: np.ndarray
    ascends: bool

    @property
    def are_halves(self) -> bool:
        """Whether float16 holds them exactly."""
        with np.errstate(over="ignore"):
            back = self.values.astype(np.float16).astype(np.float32)
        return bool(np.array_equal(back.view(np.uint32), self.values.view(np.uint32)))


def _types(half: bool) -> tuple[np.dtype, np.dtype]:
    """Of the floats, and of their bits as whole numbers."""
    return (np.dtype("<f2"), np.dtype("<u2")) if half else (np.dtype("<f4"), np.dtype("<u4"))


def write_floats(out: Writer, floats: Sequence[Floats], coder: str) -> None:
    """The floats of all tensors, in groups of a kind, plane by plane."""
    halves = [one.are_halves for one in floats]
    content = Writer()
    content.add("floats/header", pack(np.array(halves), 1))
    for half, ascends in GROUPS:
        rows = {
            one.name: _bytes_of(one.values, half, ascends)
            for one, is_half in zip(floats, halves, strict=True)
            if (is_half, one.ascends) == (half, ascends) and len(one.values)
        }
        for plane in range(_types(half)[1].itemsize if rows else 0):
            _write_plane(content, {name: row[:, plane] for name, row in rows.items()}, coder)
    out.add_framed("floats/header", content)


def _bytes_of(values: np.ndarray, half: bool, ascends: bool) -> np.ndarray:
    """The bytes of each number (n, 2 or 4), low ones first."""
    kind, bits = _types(half)
    numbers = values.astype(kind).view(bits)
    if ascends:
        numbers = np.diff(numbers, prepend=bits.type(0))
    return np.ascontiguousarray(numbers).view(np.uint8).reshape(len(values), -1)


def _write_plane(out: Writer, rows: Mapping[str, np.ndarray], coder: str) -> None:
    """One byte of every float. As it is, each tensor's share is known; coded, only the sum."""
    symbols = np.concatenate(list(rows.values()))
    name, parts = "raw", {"codes": symbols.tobytes()}
    if coder in ("best", "range"):
        name, parts = coders.best(symbols.astype(np.int64), 256, None)
    data = b"".join(parts.values())
    out.add("floats/header", bytes([CODER_NAMES.index(name)]) + varint(len(data)))
    if name != "raw":
        out.add("floats/coded together", data)
        return
    for tensor, row in rows.items():
        out.add(f"{tensor}/floats", row.tobytes())


def read_floats(part: Reader, needed: Sequence[tuple[int, bool]]) -> list[np.ndarray]:
    """The floats of every tensor as float32, from how many each needs and whether they ascend."""
    flags = unpack(part.take((len(needed) + 7) // 8, "kinds of floats"), 1, len(needed))
    found = [np.zeros(0, np.float32)] * len(needed)
    for half, ascends in GROUPS:
        members = [
            i
            for i, (count, _) in enumerate(needed)
            if count and (flags[i], needed[i][1]) == (half, ascends)
        ]
        counts = [needed[i][0] for i in members]
        for i, values in zip(members, _read_group(part, counts, half, ascends), strict=True):
            found[i] = values
    part.end()
    return found


def _read_group(part: Reader, counts: Sequence[int], half: bool, ascends: bool) -> list[np.ndarray]:
    """The floats of tensors of one kind, of which there are `counts`."""
    if not counts:
        return []
    kind, bits = _types(half)
    planes = [_read_plane(part, sum(counts)) for _ in range(bits.itemsize)]
    rows = np.split(np.stack(planes, 1).reshape(-1).view(bits), np.cumsum(counts)[:-1])
    if ascends:
        rows = [np.cumsum(row, dtype=bits) for row in rows]
    return [row.view(kind).astype(np.float32) for row in rows]


def _read_plane(reader: Reader, count: int) -> np.ndarray:
    coder = reader.number(1, "coder of a plane")
    if coder >= len(CODER_NAMES):
        raise ContainerError(f"a plane of floats has the unknown coder {coder}")
    part = Reader(reader.take(reader.varint("length of a plane"), "a plane of floats"))
    symbols = coders.CODERS[CODER_NAMES[coder]].decode(part, count, 256, None)
    part.end()
    return symbols.astype(np.uint8)
