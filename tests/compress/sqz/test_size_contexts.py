from __future__ import annotations

import numpy as np
import pytest

from squeeze_utils.compress.sqz.bits import ContainerError
from squeeze_utils.compress.sqz.size_contexts import decode, encode

SHAPES = [(1, 1, 1), (3, 50, 1), (40, 30, 9), (100, 1, 1)]


def sizes_of(shape: tuple[int, int, int], most: int, seed: int = 0) -> np.ndarray:
    """Sizes that do not depend on each other; about a third are zero."""
    generator = np.random.default_rng(seed)
    return generator.integers(1, most + 1, shape) * (generator.random(shape) < 0.7)


@pytest.mark.parametrize("by_contexts", [False, True])
@pytest.mark.parametrize("most", [1, 2, 17])
@pytest.mark.parametrize("shape", SHAPES)
def test_sizes_come_back(shape, most, by_contexts):
    sizes = sizes_of(shape, most)
    before = sizes.copy()
    words = encode(sizes, by_contexts)
    largest = int(sizes.max())
    assert np.array_equal(decode(words, sizes != 0, largest, by_contexts), sizes)
    assert np.array_equal(sizes, before)


def test_one_size_and_no_size_take_nothing():
    assert len(encode(np.ones((8, 8, 1), int), True)) <= 1
    assert len(encode(np.zeros((8, 8, 1), int), True)) == 0


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_where_neighbours_are_alike_contexts_save_bits(axis):
    """Sizes are large in half of the outputs, of the inputs, or of the taps of each input."""
    shape = (64, 64, 4)
    large = np.arange(shape[axis]) % 2 == 0
    large = np.moveaxis(
        np.broadcast_to(large, shape[:axis] + shape[axis + 1 :] + large.shape), -1, axis
    )
    generator = np.random.default_rng(1)
    sizes = np.where(large, generator.integers(3, 7, shape), generator.integers(1, 4, shape))
    plain, known = (len(encode(sizes, by_contexts)) for by_contexts in (False, True))
    assert known < 0.9 * plain


def test_where_they_do_not_depend_on_each_other_contexts_cost_little():
    sizes = sizes_of((64, 64, 9), 6)
    plain, known = (len(encode(sizes, by_contexts)) for by_contexts in (False, True))
    assert plain <= known < 1.01 * plain


def test_words_that_no_encoder_wrote_are_refused_or_give_possible_sizes():
    sizes = sizes_of((40, 30, 9), 6)
    words, there = encode(sizes, True), sizes != 0
    generator = np.random.default_rng(2)
    for _ in range(20):
        other = words.copy()
        other[generator.integers(len(other))] ^= generator.integers(1, 1 << 32, dtype=np.uint32)
        try:
            found = decode(other, there, 6, True)
        except ContainerError:
            continue
        assert np.array_equal(found != 0, there) and found.max() <= 6
