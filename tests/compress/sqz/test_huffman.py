from __future__ import annotations

import constriction
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeeze_utils.compress.sqz import huffman
from squeeze_utils.compress.sqz.bits import ContainerError, Reader, varint

counts_lists = st.lists(st.integers(0, 5000), min_size=1, max_size=60).filter(any)


def entropy(counts: np.ndarray) -> float:
    p = counts[counts > 0] / counts.sum()
    return float(-(p * np.log2(p)).sum())


@given(counts_lists)
def test_the_mean_length_lies_within_a_bit_of_the_entropy(numbers):
    counts = np.array(numbers)
    lengths = huffman.code_lengths(counts)
    assert ((lengths > 0) == (counts > 0)).all()
    if (counts > 0).sum() > 1:
        mean = (lengths * counts).sum() / counts.sum()
        assert entropy(counts) - 1e-9 <= mean < entropy(counts) + 1
        assert (2.0 ** -lengths[counts > 0]).sum() == 1  # Kraft's sum: nothing is wasted


@given(counts_lists)
def test_no_codeword_begins_another(numbers):
    lengths = huffman.code_lengths(np.array(numbers))
    codes = huffman.canonical(lengths)
    words = [f"{codes[s]:0{lengths[s]}b}" for s in np.flatnonzero(lengths)]
    assert len(set(words)) == len(words)
    assert not any(a != b and b.startswith(a) for a in words for b in words)


@given(counts_lists.filter(lambda numbers: sum(n > 0 for n in numbers) > 1))
def test_the_cost_is_that_of_the_librarys_code(numbers):
    counts = np.array(numbers, dtype=float)
    library = constriction.symbol.huffman.EncoderHuffmanTree(counts)
    lengths = huffman.code_lengths(np.array(numbers))
    total = 0
    for symbol in np.flatnonzero(counts):
        coder = constriction.symbol.QueueEncoder()
        coder.encode_symbol(int(symbol), library)
        total += coder.get_compressed()[1] * counts[symbol]
    # symbols that never come share the tree in the library: it may be a little worse
    assert (lengths * counts).sum() <= total


@given(st.lists(st.integers(0, 20), max_size=400))
def test_every_message_comes_back(message):
    symbols = np.array(message, dtype=np.int64)
    table, words = huffman.encode(symbols, 21)
    assert len(table + words) == huffman.size(np.bincount(symbols, minlength=21))
    reader = Reader(table + words)
    assert huffman.decode(reader, len(symbols), 21).tolist() == message
    reader.end()


def test_a_long_message_and_codes_that_would_be_too_long():
    rng = np.random.default_rng(0)
    symbols = rng.choice(4, 100_000, p=[0.9, 0.05, 0.03, 0.02])
    table, words = huffman.encode(symbols, 4)
    assert (huffman.decode(Reader(table + words), len(symbols), 4) == symbols).all()
    fibonacci = [1, 1]
    while len(fibonacci) < 60:
        fibonacci.append(fibonacci[-1] + fibonacci[-2])
    lengths = huffman.code_lengths(np.array(fibonacci))
    assert lengths.max() <= huffman.LONGEST and (2.0**-lengths).sum() == 1


def test_a_known_code():
    """Counts 5, 2, 1, 1: words 0, 10, 110, 111 and 15 bits for the message."""
    lengths = huffman.code_lengths(np.array([5, 2, 1, 1]))
    assert lengths.tolist() == [1, 2, 3, 3]
    assert huffman.canonical(lengths).tolist() == [0b0, 0b10, 0b110, 0b111]
    symbols = np.array([0, 0, 0, 0, 0, 1, 1, 2, 3])
    _, words = huffman.encode(symbols, 4)
    assert words == varint(2) + bytes([0b00000101, 0b01101110])


@pytest.mark.parametrize("lengths", [[1, 1, 1], [2, 2], [1, 3], [2], [40, 40]])
def test_lengths_of_no_prefix_code_are_refused(lengths):
    with pytest.raises(ContainerError, match="not those of a prefix code"):
        huffman.canonical(np.array(lengths))


def test_codewords_that_are_cut_or_too_long_are_refused():
    symbols = np.arange(50) % 5
    lengths = huffman.code_lengths(np.bincount(symbols))
    _, words = huffman.encode(symbols, 5)
    data = words[1:]
    assert (huffman.decode_words(data, 50, lengths) == symbols).all()
    for wrong in (data[:-1], data + b"\0", b""):
        with pytest.raises(ContainerError):
            huffman.decode_words(wrong, 50, lengths)
    with pytest.raises(ContainerError, match="do not end where"):
        huffman.decode_words(data, 30, lengths)
