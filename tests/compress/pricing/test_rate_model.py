from __future__ import annotations

import numpy as np
import pytest
import torch

from squeeze_utils.compress.pricing import rate_model
from squeeze_utils.compress.sqz import mixture
from squeeze_utils.compress.sqz.mixture import Counts

SHARES = torch.tensor(0.3), torch.tensor(0.7)


def test_the_gradient_of_the_bits_is_that_of_finite_differences():
    u = torch.tensor([-2.3, -0.4, 0.2, 0.9, 1.6, 3.1], dtype=torch.float64, requires_grad=True)
    found = rate_model.lengths(*(share.double() for share in SHARES))
    assert torch.autograd.gradcheck(lambda x: rate_model.bits(x, found).sum(), (u,))


def test_at_whole_numbers_the_bits_are_the_code_lengths():
    numbers = torch.tensor([0, 0, 0, 0, 0, 0, 1, -1, 3, 1]).double()
    counts = rate_model.count(numbers)
    assert counts == (10, 4, 6)
    shares = torch.tensor(0.4), torch.tensor(0.6)
    total = float(rate_model.bits(numbers, rate_model.lengths(*shares)).sum())
    assert total == pytest.approx(mixture.estimate(counts), rel=1e-5)


def test_probabilities_add_up_to_one():
    found = rate_model.lengths(*SHARES)
    numbers = torch.arange(-200, 201).float()
    assert float((2 ** -rate_model.bits(numbers, found)).sum()) == pytest.approx(1, abs=1e-4)


@pytest.mark.parametrize("nonzero", [0.9, 0.999, 1.0])
def test_zero_is_never_dearer_than_one_unless_it_is_allowed(nonzero):
    shares = torch.tensor(nonzero), torch.tensor(nonzero * 1.01)
    kept = rate_model.lengths(*shares)
    free = rate_model.lengths(*shares, least_zero=0)
    assert kept.one > kept.zero + 1 and free.one < free.zero


def test_lengths_are_finite_at_the_ends():
    for nonzero, size in ((0.0, 0.0), (1.0, 1.0), (1.0, 300.0)):
        found = rate_model.lengths(torch.tensor(nonzero), torch.tensor(size), 0.0)
        assert all(torch.isfinite(length) for length in found)


@pytest.mark.parametrize("counts", [Counts(5, 0, 0), Counts(1, 1, 1), Counts(4, 4, 4)])
def test_an_estimate_where_nothing_varies(counts):
    assert mixture.estimate(counts) == counts.nonzero  # one bit for each sign


def test_the_table_is_the_model():
    table = mixture.mixture_table(Counts(100, 30, 45), 6)
    share = table / table.sum()
    assert share[6] == pytest.approx(0.7, rel=1e-2)
    assert share[7] == share[5] == pytest.approx(0.15 * 2 / 3, rel=1e-2)
    assert np.all(table > 0) and len(table) == 13
