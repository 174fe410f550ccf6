from __future__ import annotations

import numpy as np
import pytest
import torch

from squeeze_utils.compress.pricing import (
    priced_rounding,
)


@pytest.fixture(scope="module")
def covariance() -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    seen = torch.randn(2000, 24, generator=generator) @ torch.randn(24, 24, generator=generator)
    return seen.T @ seen / len(seen)


def error_of(weight: torch.Tensor, covariance: torch.Tensor) -> float:
    return float((weight @ covariance * weight).sum())


def test_later_columns_make_up_for_the_rounding_of_earlier_ones(covariance):
    weight = torch.randn(16, 24, generator=torch.Generator().manual_seed(1))
    triangle = priced_rounding.factor(covariance)
    assert torch.allclose(triangle.T @ triangle @ covariance, torch.eye(24), atol=1e-2)
    columns = priced_rounding.Columns(covariance, torch.arange(24), triangle)
    found = priced_rounding.round_layer(weight, columns, 1e-3, sweeps=0)
    plain = (weight / found.step).round() * found.step
    errors = [error_of(w - weight, covariance) for w in (plain, found.weight)]
    assert errors[1] < 0.7 * errors[0]
    assert errors[1] == pytest.approx(found.error, rel=0.02)


def test_the_order_makes_curvatures_alike_and_keeps_their_product(covariance):
    columns = priced_rounding.Columns.of(covariance)
    assert sorted(columns.order.tolist()) == list(range(24))
    assert torch.equal(columns.covariance, covariance[columns.order][:, columns.order])
    ordered, plain = (
        1 / triangle.diagonal().double() ** 2
        for triangle in (columns.triangle, priced_rounding.factor(covariance))
    )
    assert ordered.log().sum() == pytest.approx(float(plain.log().sum()), abs=0.1)
    assert ordered.sum() < 0.85 * plain.sum()
    assert columns.order[-1] == covariance.diagonal().argmin()  # nothing is left to lean on


def test_the_order_is_the_same_whatever_is_done_at_once(covariance, monkeypatch):
    """The simple way, one column after the other; also with inputs that never vary."""
    silent = covariance.clone()
    silent[3:7], silent[:, 3:7] = 0, 0
    for matrix in (covariance, silent + 1e-9 * torch.eye(len(silent))):
        expected = one_by_one(matrix)
        for block in (1, 4, len(matrix) - 1, 1000):
            monkeypatch.setattr(priced_rounding, "ORDERED", block)
            assert torch.equal(priced_rounding.order_for(matrix), expected)


def one_by_one(covariance: torch.Tensor) -> torch.Tensor:
    left, order = covariance.double().clone(), []
    for _ in range(len(left)):
        variance = left.diagonal().clone()
        variance[order] = torch.inf
        at = int(variance.argmin())
        order.append(at)
        left -= torch.outer(left[at], left[at]) / max(left[at, at], 1e-12)
    return torch.tensor(order[::-1])


def test_second_thoughts_lower_error_plus_price_and_give_numbers_in_their_places(covariance):
    weight = torch.randn(16, 24, generator=torch.Generator().manual_seed(1))
    columns, price = priced_rounding.Columns.of(covariance), 0.1
    paid = []
    for sweeps in (0, 1, 2):
        found = priced_rounding.round_layer(weight, columns, price, sweeps=sweeps)
        assert error_of(found.weight - weight, covariance) == pytest.approx(found.error, rel=0.02)
        paid.append(found.error + price * found.bits)
    assert paid[1] < paid[0] and paid[2] <= 1.001 * paid[1]


def test_one_more_look_changes_a_weight_only_for_the_better():
    """A block of columns at a time gives what one weight after the other gives."""
    generator = torch.Generator().manual_seed(0)
    mix = torch.randn(70, 70, generator=generator)
    covariance = (mix.T @ mix / 70 + 0.1 * torch.eye(70)).numpy()
    wanted = 2 * torch.randn(70, 3, generator=generator).numpy()
    costs, step = np.full(2 * priced_rounding.MOST + 1, 0.05, np.float32), 0.7
    found = priced_rounding._again(
        wanted, np.rint(wanted), covariance, step, costs, priced_rounding.ONE_GRID
    )
    slow = np.rint(wanted)
    for j in range(70):
        pull = covariance[j] @ (wanted - slow)
        slow[j] = np.rint(slow[j] + pull / covariance[j, j])  # all bits cost the same here
    assert np.array_equal(found, slow) and not np.array_equal(slow, np.rint(wanted))


def test_a_bias_gets_the_grid_of_a_column_that_always_sees_one():
    bias = torch.randn(40, generator=torch.Generator().manual_seed(0))
    found = priced_rounding.round_bias(bias, 1e-2)
    step = priced_rounding.step_for(1e-2, priced_rounding.STEADY, float(bias.abs().max()))
    assert (found - bias).abs().max() <= 0.51 * step and 10 < len(found.unique()) < 40
    assert torch.equal(priced_rounding.round_bias(torch.zeros(3), 1e-3), torch.zeros(3))


def test_a_covariance_that_is_none_is_mended():
    broken = torch.diag(torch.tensor([1.0, 1.0, -1e-7]))
    triangle = priced_rounding.factor(broken)
    assert torch.isfinite(triangle).all() and (triangle.diagonal() > 0).all()


def test_a_higher_price_needs_fewer_bits_and_makes_more_zeros():
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(64, 32, generator=generator)
    plain = priced_rounding.Columns.of(torch.eye(32))
    cheap, dear = (priced_rounding.round_layer(weight, plain, price) for price in (1e-3, 1e-1))
    assert dear.bits < 0.6 * cheap.bits and dear.error > cheap.error
    assert (dear.numbers == 0).sum() > (cheap.numbers == 0).sum()
    counts = torch.bincount((dear.numbers + priced_rounding.MOST).flatten())
    shares = counts[counts > 0] / weight.numel()
    entropy = -(shares * shares.log2()).sum() * weight.numel()
    assert dear.bits == pytest.approx(float(entropy), rel=0.05)


def test_a_layer_of_zeros_stays_zero():
    found = priced_rounding.round_layer(
        torch.zeros(4, 6), priced_rounding.Columns.of(torch.eye(6)), 1e-6
    )
    assert not found.numbers.any() and found.error == 0
