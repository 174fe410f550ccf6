from __future__ import annotations

import numpy as np
import torch
from hypothesis import given
from hypothesis import strategies as st

from squeeze_utils.compress.sharing import codebooks

numbers = st.lists(st.floats(-10, 10, width=32), min_size=2, max_size=60)


def loss_of(values: torch.Tensor, book: torch.Tensor) -> float:
    return float((values.double()[:, None] - book.double()).square().min(1).values.sum())


@given(numbers, st.integers(1, 6))
def test_no_start_beats_the_exact_optimum(values, count):
    tensor = torch.tensor(values)
    exact = loss_of(tensor, codebooks.centroids(tensor, count, "exact"))
    for start in codebooks.STARTS:
        book = codebooks.centroids(tensor, count, start)
        assert 1 <= len(book) <= count and (book.diff() > 0).all()
        assert exact <= loss_of(tensor, book) + 1e-4 * (1 + tensor.square().sum())


def test_the_exact_optimum_of_a_small_case_by_hand():
    values = torch.tensor([0.0, 1.0, 2.0, 10.0, 11.0, 30.0])
    assert codebooks.centroids(values, 3, "exact").tolist() == [1.0, 10.5, 30.0]
    assert codebooks.centroids(values, 6, "linear").tolist() == values.tolist()
    assert codebooks.assign(values, torch.tensor([1.0, 10.5, 30.0])).tolist() == [0, 0, 0, 1, 1, 2]


def test_starts_lie_where_they_say():
    values = np.random.default_rng(0).normal(size=1000)
    rng = np.random.default_rng(0)
    linear, density, random = (codebooks.STARTS[s](values, 8, rng) for s in codebooks.STARTS)
    assert linear[0] == values.min() and linear[-1] == values.max()
    assert np.ptp(density) < 0.6 * np.ptp(linear)
    assert set(random) <= set(values)
