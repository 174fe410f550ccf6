"""Coders of one tensor's symbols: fixed width, Huffman, the paper's gaps, range coding.

Symbols are whole numbers from 0 to alphabet - 1. `zero` is the symbol that stands for the weight
zero, if there is one; gaps skip it. Every coder gives its bytes in named parts, which a table of
sizes shows, and reads them back from their concatenation.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import constriction
import numpy as np

from squeeze_utils.compress.sqz import huffman
from squeeze_utils.compress.sqz.bits import ContainerError, Reader, pack, unpack, varint, width_of

Parts = dict[str, bytes]
GAP_BITS = (2, 3, 4, 5, 6, 8)
SHORTEST, LONGEST = 64, 4096  # symbols that the range coder codes before it renews its counts


@dataclass(frozen=True)
class Coder:
    """Encode (symbols, alphabet, zero) to parts; decode (reader, count, alphabet, zero)."""

    encode: Callable[[np.ndarray, int, int | None], Parts]
    decode: Callable[[Reader, int, int, int | None], np.ndarray]


def _raw(symbols: np.ndarray, alphabet: int, zero: int | None) -> Parts:
    return {"codes": pack(symbols, width_of(alphabet))}


def _read_raw(reader: Reader, count: int, alphabet: int, zero: int | None) -> np.ndarray:
    width = width_of(alphabet)
    data = reader.take((count * width + 7) // 8, "codes")
    return _checked(unpack(data, width, count), alphabet)


def _huffman(symbols: np.ndarray, alphabet: int, zero: int | None) -> Parts:
    table, words = huffman.encode(symbols, alphabet)
    return {"tables": table, "codes": words}


def _read_huffman(reader: Reader, count: int, alphabet: int, zero: int | None) -> np.ndarray:
    return huffman.decode(reader, count, alphabet)


def gaps_of(symbols: np.ndarray, zero: int, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """The paper's relative indices: gaps (0..2**bits-1) and the symbols they lead to.

    A gap g stands for g zeros before the next entry. Where more than 2**bits - 1 zeros come in
    a row, a filler, a zero that is stored like an entry, breaks them up.
    """
    limit = 1 << bits
    at, distance = _entries(symbols, zero)
    fillers = distance // limit
    gaps = np.repeat(np.full(len(at), limit - 1), fillers + 1)
    entries = np.full(len(gaps), zero, dtype=np.int64)
    last = np.cumsum(fillers + 1) - 1
    gaps[last] = distance % limit
    entries[last] = symbols[at]
    return gaps, entries


def _entries(symbols: np.ndarray, zero: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the symbols other than zero are, and how many zeros come before each."""
    at = np.flatnonzero(symbols != zero)
    return at, np.diff(at, prepend=-1) - 1


def from_gaps(gaps: np.ndarray, entries: np.ndarray, count: int, zero: int) -> np.ndarray:
    """The inverse of `gaps_of`; ContainerError if they lead out of the tensor."""
    at = np.cumsum(gaps + 1) - 1
    if len(at) and at[-1] >= count:
        raise ContainerError("the gaps lead out of the tensor")
    symbols = np.full(count, zero, dtype=np.int64)
    symbols[at] = entries
    return symbols


def _gaps(symbols: np.ndarray, alphabet: int, zero: int | None) -> Parts:
    """Gaps and entries, each by Huffman; a gap has the bits that make the smallest file."""
    if zero is None:
        raise ValueError("gaps need a symbol for zero")
    bits = gap_bits(symbols, alphabet, zero)
    gaps, entries = gaps_of(symbols, zero, bits)
    gap_table, gap_words = huffman.encode(gaps, 1 << bits)
    table, words = huffman.encode(entries, alphabet)
    head = bytes([bits]) + varint(len(gaps))
    return {"tables": head + gap_table + table, "gaps": gap_words, "codes": words}


def gap_bits(symbols: np.ndarray, alphabet: int, zero: int) -> int:
    """The bits of a gap with which gaps and entries take the fewest bytes."""
    sizes = _gap_sizes(symbols, alphabet, zero)
    return min(sizes, key=sizes.__getitem__)


def _gap_sizes(symbols: np.ndarray, alphabet: int, zero: int) -> dict[int, int]:
    """Bytes of gaps and entries for each number of bits that a gap may have."""
    at, distance = _entries(symbols, zero)
    counts = np.bincount(symbols[at], minlength=alphabet)
    sizes = {}
    for bits in GAP_BITS:
        most = (1 << bits) - 1
        fillers = int((distance >> bits).sum())
        gaps, entries = np.bincount(distance & most, minlength=most + 1), counts.copy()
        gaps[most] += fillers
        entries[zero] += fillers
        stored = 1 + len(varint(len(distance) + fillers))  # the bits of a gap, and how many
        sizes[bits] = stored + huffman.size(gaps) + huffman.size(entries)
    return sizes


def _read_gaps(reader: Reader, count: int, alphabet: int, zero: int | None) -> np.ndarray:
    bits = reader.number(1, "bits of a gap")
    stored = reader.varint("number of entries")
    if zero is None or bits not in GAP_BITS or stored > count:
        raise ContainerError(f"{stored} entries with gaps of {bits} bits for {count} weights")
    tables = [huffman.read_table(reader, size) for size in (1 << bits, alphabet)]
    gaps, entries = (huffman.read_words(reader, stored, table) for table in tables)
    return from_gaps(gaps, entries, count, zero)


def _range(symbols: np.ndarray, alphabet: int, zero: int | None) -> Parts:
    """A range coder whose probabilities follow what has been coded so far: no table at all."""
    encoder = constriction.stream.queue.RangeEncoder()
    write_adaptive(encoder, symbols, alphabet)
    return {"codes": message_of(encoder)}


def _read_range(reader: Reader, count: int, alphabet: int, zero: int | None) -> np.ndarray:
    decoder = decoder_of(reader)
    return ended(decoder, read_adaptive(decoder, count, alphabet), alphabet)


def message_of(encoder: constriction.stream.queue.RangeEncoder) -> bytes:
    """What a range coder has written, and before it how many words that is."""
    words = encoder.get_compressed().astype("<u4").tobytes()
    return varint(len(words) // 4) + words


def decoder_of(reader: Reader) -> constriction.stream.queue.RangeDecoder:
    """A decoder of what `message_of` made."""
    length = reader.varint("words of the range coder")
    words = np.frombuffer(reader.take(4 * length, "range coder"), "<u4").astype(np.uint32)
    return constriction.stream.queue.RangeDecoder(words)


def ended(
    decoder: constriction.stream.queue.RangeDecoder, symbols: np.ndarray, alphabet: int
) -> np.ndarray:
    """The symbols of a message; ContainerError if they are no whole message, or no symbols."""
    if symbols.size and not decoder.maybe_exhausted():
        raise ContainerError("the range coder's data do not end with the tensor")
    return _checked(symbols, alphabet)


def write_adaptive(
    encoder: constriction.stream.queue.RangeEncoder,
    symbols: np.ndarray,
    alphabet: int,
    longest: int = LONGEST,
) -> None:
    """Symbols into a range coder that learns their frequencies, every `longest` symbols."""
    counts = _Counts(alphabet)
    for block in _blocks(len(symbols), longest):
        encoder.encode(np.ascontiguousarray(symbols[block], dtype=np.int32), counts.model())
        counts.add(symbols[block])


def read_adaptive(
    decoder: constriction.stream.queue.RangeDecoder,
    count: int,
    alphabet: int,
    longest: int = LONGEST,
) -> np.ndarray:
    """What `write_adaptive` wrote; ContainerError if no encoder wrote it."""
    counts = _Counts(alphabet)
    symbols = np.empty(count, dtype=np.int64)
    for block in _blocks(count, longest):
        try:
            symbols[block] = decoder.decode(counts.model(), block.stop - block.start)
        except AssertionError as error:  # constriction raises it for data that no encoder wrote
            raise ContainerError("the range coder's data are damaged") from error
        counts.add(symbols[block])
    return symbols


class _Counts:
    """How often each symbol came so far, ten times over, and one for what may still come.

    Whole numbers, so that every machine computes the same probabilities.
    """

    def __init__(self, alphabet: int) -> None:
        self.counts = np.ones(max(2, alphabet), dtype=np.int64)

    def model(self) -> constriction.stream.model.Categorical:
        return constriction.stream.model.Categorical(self.counts.astype(float), perfect=False)

    def add(self, block: np.ndarray) -> None:
        self.counts += 10 * np.bincount(block, minlength=len(self.counts))


def _blocks(count: int, longest: int) -> Iterator[slice]:
    """`count` symbols in blocks: short ones first, while little is known of their frequencies."""
    start, size = 0, SHORTEST
    while start < count:
        yield slice(start, min(count, start + size))
        start, size = start + size, min(2 * size, longest)


def _checked(symbols: np.ndarray, alphabet: int) -> np.ndarray:
    if len(symbols) and int(symbols.max()) >= alphabet:
        raise ContainerError(f"a code of {int(symbols.max())} in an alphabet of {alphabet}")
    return symbols


CODERS: dict[str, Coder] = {
    "raw": Coder(_raw, _read_raw),
    "huffman": Coder(_huffman, _read_huffman),
    "gaps": Coder(_gaps, _read_gaps),
    "range": Coder(_range, _read_range),
}
CODER_NAMES: tuple[str, ...] = tuple(CODERS)  # in this order: a file holds a coder's number


def best(symbols: np.ndarray, alphabet: int, zero: int | None) -> tuple[str, Parts]:
    """The coder that makes the fewest bytes, and what it makes; only range coding must be tried."""
    ranged = _range(symbols, alphabet, zero)
    sizes = {
        "raw": (len(symbols) * width_of(alphabet) + 7) // 8,
        "huffman": huffman.size(np.bincount(symbols, minlength=alphabet)),
        "gaps": min(_gap_sizes(symbols, alphabet, zero).values()) if zero is not None else np.inf,
        "range": sum(map(len, ranged.values())),
    }
    name = min(sizes, key=sizes.__getitem__)
    return name, ranged if name == "range" else CODERS[name].encode(symbols, alphabet, zero)
