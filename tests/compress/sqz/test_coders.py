from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeeze_utils.compress.sqz import coders
from squeeze_utils.compress.sqz.bits import ContainerError, Reader
from squeeze_utils.compress.sqz.coders import CODERS

messages = st.integers(1, 40).flatmap(
    lambda alphabet: st.tuples(
        st.just(alphabet),
        st.lists(st.sampled_from([0, 0, 0, alphabet - 1, alphabet // 2]), max_size=300),
    )
)


def coded(name: str, symbols: np.ndarray, alphabet: int) -> bytes:
    return b"".join(CODERS[name].encode(symbols, alphabet, 0).values())


@pytest.mark.parametrize("name", CODERS)
@given(messages)
def test_every_message_comes_back_from_every_coder(name, message):
    alphabet, numbers = message
    symbols = np.array(numbers, dtype=np.int64)
    reader = Reader(coded(name, symbols, alphabet))
    assert CODERS[name].decode(reader, len(symbols), alphabet, 0).tolist() == numbers
    reader.end()


@pytest.mark.parametrize("name", CODERS)
@pytest.mark.parametrize(
    ("symbols", "alphabet"),
    [
        ([], 4),
        ([2], 3),
        ([0] * 500, 1),
        ([0] * 500, 7),
        ([3] * 500, 4),
        ([0] * 999 + [1] + [0] * 999, 2),
        (list(range(256)) * 3, 256),
    ],
    ids=["empty", "one", "single symbol", "all zero", "never zero", "one in many", "all"],
)
def test_extreme_messages_come_back(name, symbols, alphabet):
    symbols = np.array(symbols, dtype=np.int64)
    reader = Reader(coded(name, symbols, alphabet))
    assert (CODERS[name].decode(reader, len(symbols), alphabet, 0) == symbols).all()
    reader.end()


def test_the_papers_gaps_with_fillers():
    """Three bits reach a gap of 7 zeros; a tenth zero in a row needs a filler."""
    symbols = np.array([0, 0, 5] + [0] * 10 + [6, 7] + [0] * 8 + [5])
    gaps, entries = coders.gaps_of(symbols, 0, 3)
    assert gaps.tolist() == [2, 7, 2, 0, 7, 0]
    assert entries.tolist() == [5, 0, 6, 7, 0, 5]
    assert coders.from_gaps(gaps, entries, len(symbols), 0).tolist() == symbols.tolist()
    with pytest.raises(ContainerError, match="out of the tensor"):
        coders.from_gaps(gaps, entries, len(symbols) - 1, 0)


@pytest.mark.parametrize("density", [0.5, 0.1, 0.01])
def test_the_range_coder_beats_huffman_and_comes_close_to_the_entropy(density):
    rng = np.random.default_rng(0)
    p = np.array([1 - density, *([density / 15] * 15)])
    symbols = rng.choice(16, 200_000, p=p)
    counts = np.bincount(symbols, minlength=16)
    bound = -(counts * np.log2(counts / counts.sum())).sum() / 8
    found = {name: len(coded(name, symbols, 16)) for name in CODERS}
    assert bound <= found["range"] < 1.02 * bound + 60
    assert found["range"] < found["huffman"] < found["raw"]
    name, parts = coders.best(symbols, 16, 0)
    assert sum(map(len, parts.values())) == min(found.values()) == found[name]


def test_what_cannot_be_in_a_message_is_refused():
    with pytest.raises(ContainerError, match="a code of 7 in an alphabet of 6"):
        CODERS["raw"].decode(Reader(bytes([0b11100000])), 1, 6, 0)
    with pytest.raises(ContainerError, match="entries with gaps of 7 bits"):
        CODERS["gaps"].decode(Reader(bytes([7, 1, 0, 0])), 9, 2, 0)
    with pytest.raises(ValueError, match="gaps need a symbol for zero"):
        CODERS["gaps"].encode(np.zeros(3, int), 2, None)


@given(st.binary(max_size=60), st.integers(0, 300), st.integers(1, 300))
def test_no_coder_does_anything_but_decode_or_refuse(data, count, alphabet):
    for coder in CODERS.values():
        try:
            found = coder.decode(Reader(data), count, alphabet, 0)
        except ContainerError:
            continue
        assert len(found) == count and (count == 0 or 0 <= found.min() <= found.max() < alphabet)
