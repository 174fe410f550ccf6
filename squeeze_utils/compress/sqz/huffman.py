"""Huffman coding: code lengths, canonical codes, and fast coding of long messages."""

from __future__ import annotations

import heapq

import numpy as np

from squeeze_utils.compress.sqz.bits import (
    ContainerError,
    Reader,
    join_codes,
    pack,
    unpack,
    varint,
    width_of,
)

LONGEST = 24  # bits of a codeword; longer ones are flattened away


def code_lengths(counts: np.ndarray) -> np.ndarray:
    """Length in bits of each symbol's codeword; 0 for symbols that do not occur.

    A single symbol gets one bit, so that a message still has a length. Counts are flattened
    until no codeword is longer than LONGEST.
    """
    counts = np.asarray(counts, dtype=np.int64)
    while True:
        lengths = _lengths(counts)
        if lengths.max(initial=0) <= LONGEST:
            return lengths
        counts = np.where(counts > 0, (counts + 1) // 2, 0)


def _lengths(counts: np.ndarray) -> np.ndarray:
    lengths = np.zeros(len(counts), np.int64)
    used = np.flatnonzero(counts)
    if len(used) == 1:
        lengths[used] = 1
    if len(used) < 2:
        return lengths
    # A node's number breaks ties, so the code is reproducible. Leaves come first, the root last.
    heap = list(zip(counts[used].tolist(), range(len(used)), strict=True))
    heapq.heapify(heap)
    parent = [0] * (2 * len(used) - 1)
    for node in range(len(used), len(parent)):
        (n1, one), (n2, two) = heapq.heappop(heap), heap[0]
        parent[one] = parent[two] = node
        heapq.heapreplace(heap, (n1 + n2, node))
    depth = [0] * len(parent)
    for node in range(len(parent) - 2, -1, -1):
        depth[node] = depth[parent[node]] + 1
    lengths[used] = depth[: len(used)]
    return lengths


def canonical(lengths: np.ndarray) -> np.ndarray:
    """Codewords from their lengths alone: in order of length, then of symbol, counting up.

    ContainerError unless the lengths are those of a full prefix code (Kraft's sum is one; a
    single symbol of one bit is accepted).
    """
    lengths = np.asarray(lengths, np.int64)
    used = np.flatnonzero(lengths)
    if len(used) == 0:
        return np.zeros(len(lengths), np.int64)
    longest = int(lengths.max())
    kraft = int((1 << (longest - lengths[used])).sum()) if longest <= LONGEST else -1
    if kraft != 1 << longest and not (len(used) == 1 and longest == 1):
        raise ContainerError("the code lengths are not those of a prefix code")
    order = used[np.argsort(lengths[used], kind="stable")]
    codes = np.zeros(len(lengths), np.int64)
    steps = 1 << (longest - lengths[order])
    codes[order] = (np.cumsum(steps) - steps) >> (longest - lengths[order])
    return codes


def table_bytes(lengths: np.ndarray) -> bytes:
    """The code's table: width of a length, then every length packed."""
    width = width_of(int(lengths.max(initial=0)) + 1)
    return bytes([width]) + pack(np.asarray(lengths), width)


def read_table(reader: Reader, alphabet: int) -> np.ndarray:
    """The inverse of `table_bytes`."""
    width = reader.number(1, "width of the code lengths")
    if width > width_of(LONGEST + 1):
        raise ContainerError(f"code lengths of {width} bits")
    return unpack(reader.take((alphabet * width + 7) // 8, "code lengths"), width, alphabet)


def size(counts: np.ndarray) -> int:
    """Bytes that `encode` makes of a message with these counts, without making them."""
    lengths = code_lengths(counts)
    words = (int(lengths @ np.asarray(counts, np.int64)) + 7) // 8
    return len(table_bytes(lengths)) + len(varint(words)) + words


def encode(symbols: np.ndarray, alphabet: int) -> tuple[bytes, bytes]:
    """The table of a message's code, and its codewords behind their number of bytes."""
    lengths = code_lengths(np.bincount(symbols, minlength=alphabet))
    codes = canonical(lengths)
    words = join_codes(codes[symbols], lengths[symbols])
    return table_bytes(lengths), varint(len(words)) + words


def decode(reader: Reader, count: int, alphabet: int) -> np.ndarray:
    """`count` symbols from a table and codewords, as `encode` wrote them."""
    return read_words(reader, count, read_table(reader, alphabet))


def read_words(reader: Reader, count: int, lengths: np.ndarray) -> np.ndarray:
    """`count` symbols from codewords of these `lengths`, behind their number of bytes."""
    data = reader.take(reader.varint("length of the codewords"), "codewords")
    return decode_words(data, count, lengths) if count else np.zeros(0, np.int64)


def decode_words(data: bytes, count: int, lengths: np.ndarray) -> np.ndarray:
    """`count` symbols from codewords; ContainerError if they do not end where the data ends."""
    codes, longest = canonical(lengths), int(lengths.max(initial=0))
    total = 8 * len(data)
    if longest == 0 or total < count:
        raise ContainerError(f"{count} symbols are coded in {total} bits, which cannot be")
    symbol, length = _lookup(codes, lengths, longest)
    window = _windows(data, longest)
    starts = _starts(length[window], count)
    last = int(starts[-1])
    left = total - last - int(length[window[last]])
    if not 0 <= left < 8:
        raise ContainerError("the codewords do not end where the data does")
    return symbol[window[starts]]


def _lookup(codes: np.ndarray, lengths: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Symbol and length of the codeword at the beginning of every window of `longest` bits."""
    symbol = np.zeros(1 << longest, np.int32)
    length = np.ones(1 << longest, np.uint8)
    used = np.flatnonzero(lengths)
    first = codes[used] << (longest - lengths[used])
    used = used[np.argsort(first)]
    repeats = 1 << (longest - lengths[used])
    symbol[: repeats.sum()] = np.repeat(used, repeats)
    length[: repeats.sum()] = np.repeat(lengths[used], repeats)
    return symbol, length


def _windows(data: bytes, longest: int) -> np.ndarray:
    """The `longest` bits that begin at every bit of the data, zeros behind its end."""
    padded = np.frombuffer(data + bytes(4), np.uint8).astype(np.uint32)
    words = padded[:-3] << 24 | padded[1:-2] << 16 | padded[2:-1] << 8 | padded[3:]
    shifts = np.arange(8, dtype=np.uint32)
    window = (words[: len(data), None] << shifts) >> np.uint32(32 - longest)
    return window.reshape(-1)


def _starts(lengths: np.ndarray, count: int) -> np.ndarray:
    """Where `count` codewords begin; `lengths` has that of the codeword at every bit."""
    starts, at, length_at = [], 0, lengths.tobytes()
    try:
        for _ in range(count):
            starts.append(at)
            at += length_at[at]
    except IndexError:
        raise ContainerError("the codewords end before all symbols are read") from None
    return np.array(starts)
