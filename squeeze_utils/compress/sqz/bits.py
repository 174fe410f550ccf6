"""Whole numbers as bits and bytes, and back. Within a byte the first bit is the highest."""

from __future__ import annotations

import zlib

import numpy as np


class ContainerError(ValueError):
    """A file or a part of one is damaged, truncated, hostile, or of a kind not known here."""


def width_of(alphabet: int) -> int:
    """Bits that are enough for a symbol of an alphabet; 0 for a single symbol."""
    return max(0, int(alphabet - 1).bit_length())


def pack(values: np.ndarray, width: int) -> bytes:
    """Values of `width` bits each, one after another; the last byte is filled with zeros."""
    if width == 0 or len(values) == 0:
        return b""
    shifts = np.arange(width - 1, -1, -1, dtype=np.uint32)
    bits = (values.astype(np.uint32)[:, None] >> shifts) & 1
    return np.packbits(bits.astype(np.uint8)).tobytes()


def unpack(data: bytes, width: int, count: int) -> np.ndarray:
    """The inverse of `pack`; ContainerError unless `data` has exactly the bytes it needs."""
    length = (count * width + 7) // 8
    if len(data) != length:
        raise ContainerError(f"{length} bytes of packed values expected, {len(data)} found")
    if width == 0:
        return np.zeros(count, np.int64)
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=count * width)
    weights = 1 << np.arange(width - 1, -1, -1, dtype=np.int64)
    return bits.reshape(count, width) @ weights


def join_codes(codes: np.ndarray, lengths: np.ndarray) -> bytes:
    """Codewords of different lengths (bits) one after another."""
    total = int(lengths.sum())
    if total == 0:
        return b""
    starts = np.cumsum(lengths) - lengths
    position = np.arange(total) - np.repeat(starts, lengths)  # of each bit in its codeword
    shift = np.repeat(lengths, lengths) - 1 - position
    bits = (np.repeat(codes, lengths) >> shift) & 1
    return np.packbits(bits.astype(np.uint8)).tobytes()


class Reader:
    """Reads bytes from first to last, and never beyond their end."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.at = 0

    def take(self, count: int, what: str) -> bytes:
        """The next `count` bytes; ContainerError says what was cut off."""
        left = len(self.data) - self.at
        if not 0 <= count <= left:
            raise ContainerError(f"truncated: {count} bytes of {what} expected, {left} are left")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, size: int, what: str) -> int:
        """A whole number of `size` bytes, little-endian."""
        return int.from_bytes(self.take(size, what), "little")

    def varint(self, what: str) -> int:
        """A whole number of one to five bytes, seven bits in each, low ones first."""
        value = 0
        for shift in range(0, 35, 7):
            byte = self.number(1, what)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise ContainerError(f"{what} is no number of at most five bytes")

    def framed(self, what: str, most: int | None = None) -> Reader:
        """What `Writer.add_framed` wrote; ContainerError if it is damaged or longer than `most`."""
        length = self.varint(f"length of {what}")
        if most is not None and length > most:
            raise ContainerError(f"{what} of {length} bytes, at most {most} are accepted")
        data = self.take(length, what)
        if self.take(4, f"checksum of {what}") != checksum(data):
            raise ContainerError(f"{what} is damaged: its checksum is wrong")
        return Reader(data)

    @property
    def is_at_end(self) -> bool:
        """Whether all bytes have been read."""
        return self.at == len(self.data)

    def end(self) -> None:
        """ContainerError if something is left."""
        if not self.is_at_end:
            raise ContainerError(f"{len(self.data) - self.at} bytes too many")


def varint(value: int) -> bytes:
    """The inverse of `Reader.varint`."""
    if not 0 <= value < 1 << 35:
        raise ValueError(f"{value} does not fit into a number of five bytes")
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def checksum(data: bytes) -> bytes:
    """Four bytes by which damage is noticed."""
    return zlib.crc32(data).to_bytes(4, "little")


class Writer:
    """Bytes, and how many of them belong to each named part."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.parts: dict[str, int] = {}

    def add(self, part: str, data: bytes) -> None:
        """Append `data` to the bytes, and its length to the count of `part`."""
        self.data += data
        self.count(part, len(data))

    def count(self, part: str, size: int) -> None:
        """Say that `size` bytes more belong to `part`."""
        self.parts[part] = self.parts.get(part, 0) + size

    def add_framed(self, part: str, content: Writer) -> None:
        """Append length, content and checksum; length and checksum count as `part`."""
        self.add(part, varint(len(content.data)))
        self.data += content.data
        for name, size in content.parts.items():
            self.count(name, size)
        self.add(part, checksum(bytes(content.data)))
