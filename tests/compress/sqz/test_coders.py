from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from squeeze_utils.compress.sqz import coders, forms
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


def rebuilt(form: forms.Form) -> np.ndarray:
    reader = Reader(form.head)
    head, floats = forms.read_head(form.kind, reader, 6)
    reader.end()
    assert floats in (None, len(form.floats))
    assert (head.alphabet, head.zero) == (form.alphabet, form.zero)
    return forms.JOIN[form.kind](head, form.symbols, form.floats)


def same_bits(a: np.ndarray, b: np.ndarray) -> bool:
    return np.array_equal(a.view(np.uint32), b.view(np.uint32))


def values(kind: str) -> np.ndarray:
    rng = np.random.default_rng(0)
    numbers = rng.integers(-7, 8, 600)
    if kind == "grid":
        return numbers.astype(np.float32) * np.float32(0.0173)
    if kind == "rows":
        scales = rng.random((6, 1)).astype(np.float32)
        return (numbers.reshape(6, -1).astype(np.float32) * scales).reshape(-1)
    if kind == "shared":
        return rng.normal(size=16).astype(np.float32)[rng.integers(0, 16, 600)]
    if kind == "sparse":
        return (rng.normal(size=600) * (rng.random(600) < 0.2)).astype(np.float32)
    return np.array([0.0, -0.0, np.nan, np.inf, -np.inf, 1e-42, 1.0, 2.0] * 30, np.float32)


@pytest.mark.parametrize("kind", ["grid", "rows", "shared", "sparse", "special"])
def test_every_form_gives_the_tensor_back_bit_for_bit(kind):
    tensor = values(kind)
    found = {form.kind: form for form in forms.forms(tensor, 6)}
    expected = {"grid": "grid", "rows": "grid", "shared": "codebook", "sparse": "sparse"}
    assert expected.get(kind, "codebook") in found
    for form in found.values():
        if form.kind != "dense":
            assert same_bits(rebuilt(form), tensor)


def test_a_grid_has_one_step_or_one_for_each_row():
    assert len(forms.grid(values("grid"), 6).floats) == 1
    assert len(forms.grid(values("rows"), 6).floats) == 6
    assert forms.grid(values("shared"), 6) is None


@pytest.mark.parametrize("numbers", [[0, 9, -35, 91, 22, 13], [0, 500, -311, 7], [6, -10, 15]])
def test_a_grid_is_found_where_no_two_values_are_neighbours(numbers):
    row = np.array(numbers, np.float32) * np.float32(0.0123)
    form = forms.grid(row, 1)
    assert form is not None and same_bits(rebuilt(form), row)
    assert forms.grid(np.random.default_rng(0).normal(size=9).astype(np.float32), 1) is None


def test_zero_is_a_symbol_of_its_own_where_it_occurs_and_minus_zero_is_another():
    tensor = np.array([0.0, -0.0, 1.0, 1.0] * 8, np.float32)
    book = forms.codebook(tensor)
    assert book.alphabet == 3 and book.floats.view(np.uint32)[book.zero] == 0
    assert forms.codebook(np.ones(32, np.float32)).zero is None
