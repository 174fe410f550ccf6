"""The coder that knows where a weight stands: any symbols come back, structure makes them short."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from squeeze_utils.compress.sqz import coders, contexts, forms
from squeeze_utils.compress.sqz.bits import ContainerError, Reader


def written(symbols: np.ndarray, alphabet: int, zero: int, border: int) -> bytes:
    return contexts.encode(symbols, alphabet, zero, border)["codes"]


def size_without(symbols: np.ndarray, alphabet: int) -> int:
    return len(coders.CODERS["range"].encode(symbols.reshape(-1), alphabet, 0)["codes"])


@settings(max_examples=60, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 40), st.integers(1, 40), st.integers(1, 9)),
    alphabet=st.integers(1, 40),
    density=st.floats(0, 1),
    seed=st.integers(0, 1000),
    data=st.data(),
)
def test_any_symbols_come_back(shape, alphabet, density, seed, data):
    zero = data.draw(st.integers(0, alphabet - 1))
    border = data.draw(st.integers(0, alphabet))
    random = np.random.default_rng(seed)
    symbols = random.integers(0, alphabet, shape)
    symbols[random.random(shape) > density] = zero
    reader = Reader(written(symbols, alphabet, zero, border))
    back = contexts.decode(reader, shape, alphabet, zero)
    assert reader.is_at_end and (back.reshape(shape) == symbols).all()


def sparse_by(odds: np.ndarray, seed: int = 0) -> np.ndarray:
    """Symbols 0 to 4, of which 2 is zero; `odds` says how likely each is another one."""
    random = np.random.default_rng(seed)
    there = random.random(odds.shape) < odds
    return np.where(there, random.choice([0, 1, 3, 4], odds.shape), 2)


SHARES = np.geomspace(0.005, 0.8, 120)
STRUCTURES = {
    "outputs": np.broadcast_to(SHARES[:, None, None], (120, 100, 1)),
    "inputs": np.broadcast_to(SHARES[None, :, None], (100, 120, 1)),
    "kernels": np.where(np.random.default_rng(1).random((60, 40, 1)) < 0.2, 0.6, 0.02)
    * np.ones((1, 1, 9)),
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_what_outputs_inputs_or_kernels_share_makes_a_file_smaller(name):
    symbols = sparse_by(STRUCTURES[name])
    assert len(written(symbols, 5, 2, 3)) < 0.95 * size_without(symbols, 5)


def test_without_structure_little_is_lost():
    symbols = sparse_by(np.full((200, 200, 1), 0.1))
    assert len(written(symbols, 5, 2, 3)) < 1.005 * size_without(symbols, 5)


def test_signs_that_agree_within_a_kernel_make_a_file_smaller():
    random = np.random.default_rng(2)
    sign = random.choice([0, 4], (60, 40, 1)) * np.ones((1, 1, 9), int)
    symbols = np.where(random.random(sign.shape) < 0.5, sign, 2)
    mixed = sparse_by(np.full(sign.shape, 0.5))
    mixed = np.where(mixed < 2, 0, np.where(mixed > 2, 4, 2))
    assert len(written(symbols, 5, 2, 3)) < 0.8 * len(written(mixed, 5, 2, 3))


def test_damage_is_an_error_or_other_symbols_of_the_alphabet():
    shape, random = (20, 10, 9), np.random.default_rng(3)
    data = written(sparse_by(np.full(shape, 0.2)), 5, 2, 3)
    for _ in range(300):
        broken = bytearray(data[: random.integers(len(data) + 1)])
        for at in random.integers(0, len(broken), 2) if broken else ():
            broken[at] = random.integers(256)
        try:
            back = contexts.decode(Reader(bytes(broken)), shape, 5, 2)
        except ContainerError:
            continue
        assert back.shape == (1800,) and back.min() >= 0 and back.max() < 5


def test_a_border_beyond_the_alphabet_is_refused():
    with pytest.raises(ContainerError, match="a border of 9 in an alphabet of 5"):
        contexts.decode(Reader(bytes([9, 0])), (1, 1, 1), 5, 2)


@pytest.mark.parametrize(
    "shape, wanted",
    [((), (1, 1, 1)), ((7,), (7, 1, 1)), ((7, 3), (7, 3, 1)), ((7, 3, 5, 5), (7, 3, 25))],
)
def test_every_tensor_has_outputs_inputs_and_taps(shape, wanted):
    assert forms.layout(shape) == wanted
