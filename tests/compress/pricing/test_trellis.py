"""Dependent rounding: the decoder's way back, the best path of all, and bits at equal error."""

from __future__ import annotations

import itertools
from contextlib import suppress

import numpy as np
import pytest
import torch

from squeeze_utils.compress.pricing import priced_rounding, trellis
from squeeze_utils.compress.pricing.trellis import NEXT, Dependent, numbers_at, places_of
from squeeze_utils.compress.sqz.bits import ContainerError, varint


@pytest.mark.parametrize("rows", [1, 5, 64, 65, 200])
def test_a_decoder_follows_the_machine_of_the_encoder(rows):
    places = np.random.default_rng(rows).integers(-3, 4, (7, rows))
    numbers = numbers_at(places)
    back, grids = places_of(numbers)
    assert np.array_equal(back, places)
    assert set(np.unique(numbers[grids == 0] % 2)) <= {0}
    odd = numbers[(grids == 1) & (numbers != 0)]
    assert (odd % 2 == 1).all()


def test_the_machine_as_drawn_by_hand():
    # Even, odd, odd, even: states 0, 0, 2, 3, and so grids 0, 0, 1, 1.
    numbers = numbers_at(np.array([[2, 1, 1, -2]]))
    assert numbers.tolist() == [[4, 2, 1, -3]]


def test_numbers_of_the_wrong_grid_are_refused():
    with pytest.raises(ValueError, match="two grids"):
        places_of(np.array([[1, 0, 0]]))


def test_the_two_ways_into_a_state_are_those_that_lead_there():
    for state in range(4):
        ways = zip(trellis.FROM[state], trellis.PARITY[state], strict=True)
        assert all(NEXT[before, parity] == state for before, parity in ways)


def test_no_other_path_costs_less():
    generator = np.random.default_rng(0)
    sizes = np.arange(trellis.MOST + 1)
    for _ in range(20):
        wanted = 1.2 * generator.standard_normal(4).astype(np.float32)
        costs = np.stack([0.1 + 0.3 * sizes, 0.2 * sizes]).astype(np.float32)
        found = Dependent.chosen(wanted, np.float32(1), costs)

        def paid(places, wanted=wanted, costs=costs):
            numbers = numbers_at(np.array([places]))
            _, grids = places_of(numbers)
            error = ((wanted - numbers[0]) ** 2).sum()
            return error + costs[grids[0], np.abs(places)].sum()

        places, _ = places_of(found[None])
        least = min(map(paid, itertools.product(range(-2, 3), repeat=4)))
        assert paid(places[0]) == pytest.approx(least, rel=1e-5)


def test_a_number_that_is_wanted_to_be_zero_may_be_another():
    costs = np.zeros((2, trellis.MOST + 1), np.float32)
    costs[:, 0] = 5  # zeros are dear
    found = Dependent.chosen(np.array([2, 0, 0.9], np.float32), np.float32(1), costs)
    assert found.tolist() == [2, 1, 1]
    places, _ = places_of(found[None])
    assert places.tolist() == [[1, 1, 1]]


def test_at_two_bits_it_takes_less_error_and_bits_together_than_one_grid():
    generator = torch.Generator().manual_seed(0)
    weight = torch.distributions.Laplace(0.0, 1.0).icdf(torch.rand(128, 40, generator=generator))
    columns = priced_rounding.Columns.of(torch.eye(40))
    price = 0.1
    one, two = (
        priced_rounding.round_layer(weight, columns, price, grid=grid)
        for grid in (priced_rounding.ONE_GRID, Dependent())
    )
    saved = (one.bits - two.bits) + (one.error - two.error) / price
    assert 0.01 < saved / one.bits < 0.08
    assert two.bits < 3 * weight.numel() and torch.equal(
        torch.from_numpy(numbers_at(places_of(two.numbers.numpy().T)[0]).T), two.numbers
    )


@pytest.mark.parametrize("shape", [(1, 1), (3, 70), (5, 65), (4, 200), (2, 1000), (40, 128)])
def test_bytes_hold_the_same_numbers(shape):
    places = np.random.default_rng(0).integers(-2, 3, shape)
    numbers = numbers_at(places)
    assert np.array_equal(trellis.decode(trellis.encode(numbers), shape), numbers)


def test_bytes_are_about_as_many_as_the_estimate():
    places = np.rint(np.random.default_rng(0).laplace(size=(200, 64))).astype(np.int64)
    numbers = numbers_at(places)
    estimate = Dependent.bits(torch.from_numpy(numbers.T)) / 8
    assert len(trellis.encode(numbers)) == pytest.approx(estimate, rel=0.02)


def test_damaged_bytes_are_refused_or_give_numbers():
    numbers = numbers_at(np.random.default_rng(0).integers(-2, 3, (20, 64)))
    data = trellis.encode(numbers)
    with pytest.raises(ContainerError):
        trellis.decode(data[: len(data) // 2], numbers.shape)
    with pytest.raises(ContainerError):
        trellis.decode(data, (10, 64))
    words = varint(trellis.MOST // 100) + varint(0) + varint(9) + bytes(range(36))
    with pytest.raises(ContainerError, match="do not end with the tensor"):
        trellis.decode(words, (1, 2))
    for at in range(len(data)):
        damaged = data[:at] + bytes([data[at] ^ 0x55]) + data[at + 1 :]
        with suppress(ContainerError):
            assert trellis.decode(damaged, numbers.shape).shape == numbers.shape


def test_zeros_stay_zeros():
    columns = priced_rounding.Columns.of(torch.eye(6))
    found = priced_rounding.round_layer(torch.zeros(4, 6), columns, 1e-6, grid=Dependent())
    assert not found.numbers.any() and found.error == 0
