from __future__ import annotations

import pytest
import torch
from tiny import tiny_set, tiny_spec
from torch import nn

from squeeze_utils.compress.pricing.frozen_codes import FreezeCodes
from squeeze_utils.compress.pricing.in_training import PriceBits, priced_parameters
from squeeze_utils.compress.pricing.learned_grid import (
    MOST,
    SMALLEST_STEP,
    SPEED,
    LearnedGrid,
    grids_of,
    half,
)
from squeeze_utils.compress.pricing.steps import Squeeze
from squeeze_utils.compress.sharing.steps import Share
from squeeze_utils.compress.sqz import forms
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.training.loop import Train
from squeeze_utils.training.resuming import HalfwayFile
from squeeze_utils.training.step import State

HOW = {"optimizer": "adamw", "lr": 2e-2, "batch_size": 12, "precision": "float32"}


def new_state(seed: int = 0, **options) -> State:
    torch.manual_seed(seed)
    return State(tiny_spec(num_classes=3, **options).build(), tiny_set())


def priced(state: State, price: float, epochs: int = 4, **options) -> dict:
    plan = Train(epochs, schedule="cosine", during=(PriceBits(price, **options),), **HOW)
    return plan.apply(state)


def rounded() -> State:
    """A network that `Squeeze` has rounded, with its zeros as masks."""
    state = new_state()
    Squeeze(1_500, images=30).apply(state)
    return state


def share_of_zeros(state: State) -> float:
    numbers = torch.cat([p.flatten() for p in priced_parameters(state.model).values()])
    return float((numbers == 0).float().mean())


def test_weights_end_on_their_grids_and_the_network_is_plain_again():
    state = new_state()
    names = list(state.model.state_dict())
    priced(state, 1e-4)
    assert list(state.model.state_dict()) == names and not list(grids_of(state.model))
    for name, parameter in priced_parameters(state.model).items():
        step = state.saved["grids"][name]
        numbers = parameter / step
        assert torch.allclose(numbers, numbers.round(), atol=1e-3) and isinstance(
            parameter, nn.Parameter
        )


def test_training_at_a_price_begins_with_the_steps_of_a_rounded_network():
    state = rounded()
    x = torch.rand(4, *state.model.input_shape)
    wanted, steps = state.model(x), dict(state.saved["grids"])
    with PriceBits(1e-4, first_step=7.0).around(state):
        torch.testing.assert_close(state.model(x), wanted, rtol=1e-3, atol=1e-4)
        now = {name: grid.step for name, grid, _ in grids_of(state.model)}
    for name, step in steps.items():
        multiple = float(now[name].detach() / step)  # all numbers of a layer can be even
        assert multiple == pytest.approx(round(multiple), rel=1e-3), name


def test_biases_can_begin_with_finer_steps_than_weights():
    def first_steps(**options) -> dict[str, float]:
        state = new_state()
        for name, parameter in priced_parameters(state.model).items():
            torch.nn.init.normal_(parameter, std=9.0 if name.endswith("bias") else 0.1)
        with PriceBits(0.0, **options).around(state):
            return {name: float(grid.step.detach()) for name, grid, _ in grids_of(state.model)}

    alike, finer = first_steps(first_step=0.5), first_steps(first_step=0.5, first_bias_step=0.05)
    for name, step in alike.items():
        tenth = 0.1 if name.endswith("bias") else 1.0
        assert finer[name] == pytest.approx(tenth * step, rel=2e-3), name
    assert {name.rpartition(".")[2] for name in alike} == {"weight", "bias"}


def test_a_rounded_network_trained_at_a_price_keeps_its_zeros_and_gets_smaller():
    state, before = rounded(), rounded()
    zeros = {name: ~mask for name, mask in state.masks.items()}
    priced(state, 1e-3)
    assert zeros and all(
        not state.model.get_parameter(name)[places].any() for name, places in zeros.items()
    )
    moved = [
        not torch.equal(p, before.model.get_parameter(n)) for n, p in state.model.named_parameters()
    ]
    assert any(moved)
    sizes = [Encode().apply(each)["file_bytes"] for each in (before, state)]
    assert sizes[1] < sizes[0]


@pytest.mark.parametrize(
    "weight", [torch.zeros(20), torch.arange(-300.0, 301.0), torch.arange(-9.0, 10.0) * 1e-6]
)
def test_a_weight_of_zeros_of_many_levels_or_of_tiny_steps_gets_a_step_by_its_size(weight):
    assert forms.find_steps(forms.values_of(weight), 1) is not None
    grid = LearnedGrid(weight, first_step=0.5)
    spread = float(weight.square().mean().sqrt()) or 0.05
    least = max(0.5 * spread, SMALLEST_STEP)
    assert float(grid.step.detach()) == pytest.approx(least, rel=1e-3)


def test_a_higher_price_makes_a_smaller_file():
    sizes = []
    for price in (0.0, 1e-4, 1e-3):
        state = new_state()
        priced(state, price)
        FreezeCodes().apply(state)
        sizes.append(Encode("compact").apply(state)["file_bytes"])
    assert sizes[0] > sizes[1] > sizes[2]


def test_estimated_bits_and_bytes_of_the_codes_agree():
    state = new_state()
    priced(state, 3e-4, 8)
    estimated = FreezeCodes().apply(state)["estimated_bytes"]
    codes = Encode("compact").apply(state)["file_parts"]["codes"]
    assert codes == pytest.approx(estimated, rel=0.02) and codes > 300


def test_a_layer_priced_to_death_still_loads_and_runs():
    state = new_state()
    priced(state, 1.0, 40)
    found = FreezeCodes().apply(state)
    assert found["estimated_bytes"] == 0
    assert all(layer["nonzero"] == 0 for layer in found["priced_layers"])
    assert Encode("compact").apply(state)["file_bytes"] < 60
    assert torch.equal(state.model(state.data.test.images.float()[:2]), torch.zeros(2, 3))


# Size of the weights and the first step, in these sizes: numbers of 1, of 4 to 6, and of 2.
STARTS = pytest.mark.parametrize(("size", "first_step"), [(0.05, 1.0), (0.01, 0.2), (0.2, 0.5)])


def without_zeros(size: float, first_step: float) -> State:
    """A network whose weights and biases are all about `size`, and on no grid yet."""
    state = new_state()
    for parameter in priced_parameters(state.model).values():
        with torch.no_grad():
            parameter.copy_(parameter.sign() * size * (0.8 + 0.4 * torch.rand_like(parameter)))
        assert LearnedGrid(parameter.detach(), first_step).numbers(parameter).all()
    return state


@STARTS
def test_a_layer_does_not_lock_itself_into_values_that_are_not_zero(size, first_step):
    state = without_zeros(size, first_step)
    priced(state, 3e-3, 20, first_step=first_step)
    assert share_of_zeros(state) > 0.5


@STARTS
def test_without_the_guard_it_does(size, first_step):
    state = without_zeros(size, first_step)
    priced(state, 3e-3, 20, first_step=first_step, least_zero=0.0)
    assert share_of_zeros(state) < 0.1


def test_it_goes_on_half_way_to_the_same_bits(tmp_path):
    whole = new_state()
    priced(whole, 1e-4, 4)
    cut = new_state()
    cut.halfway = HalfwayFile(tmp_path / "half", seconds=0)

    def stop(epoch: dict) -> None:
        if epoch["epoch"] == 2:
            raise InterruptedError

    cut.after_epoch = stop
    with pytest.raises(InterruptedError):
        priced(cut, 1e-4, 4)
    again = new_state()
    again.halfway = HalfwayFile(tmp_path / "half", seconds=0)
    priced(again, 1e-4, 4)
    for name, tensor in whole.model.state_dict().items():
        assert torch.equal(tensor, again.model.state_dict()[name]), name
    assert all(torch.equal(s, again.saved["grids"][n]) for n, s in whole.saved["grids"].items())


def test_pruned_weights_stay_zero_and_a_moving_average_ends_on_a_grid():
    state = new_state()
    weight = state.model.classifier[0].weight
    mask = torch.rand(weight.shape, generator=torch.Generator().manual_seed(0)) < 0.5
    with torch.no_grad():
        weight.mul_(mask)
    state.masks["classifier.0.weight"] = mask
    Train(2, ema=0.9, during=(PriceBits(1e-4),), **HOW).apply(state)
    FreezeCodes().apply(state)
    assert not state.model.classifier[0].weight[~mask].any()
    assert Encode("compact").apply(state)["ratio"] > 10


def test_the_price_rises_and_stays():
    rising = PriceBits(2.0, rise=0.5)
    assert [rising.price_at(t) for t in (0, 0.25, 0.5, 1)] == [0, 1, 2, 2]
    assert PriceBits(2.0, rise=0).price_at(0) == 2


@pytest.mark.parametrize(
    "wrong",
    [
        {"price": -1},
        {"price": float("nan")},
        {"rise": 1.5},
        {"first_step": 0},
        {"first_bias_step": -0.1},
        {"least_zero": 1.0},
    ],
)
def test_bad_numbers_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        PriceBits(**{"price": 1e-6, **wrong})


def test_shared_weights_are_refused_and_codes_need_grids():
    state = new_state()
    with pytest.raises(ValueError, match="no grids to freeze"):
        FreezeCodes().apply(state)
    Share(2).apply(state)
    with pytest.raises(ValueError, match="leave Share out"):
        priced(state, 1e-4)
    with pytest.raises(TypeError, match="during"):
        PriceBits(1.0).apply(state)


def test_numbers_beyond_the_range_are_held_at_its_end():
    grid = LearnedGrid(torch.ones(4))
    weight = torch.tensor([1e6, -1e6, 1.0, 0.0])
    assert grid.numbers(weight).tolist() == [MOST, -MOST, 1, 0]
    assert float(grid(weight).detach().max()) == MOST * float(grid.step.detach())


def test_the_gradient_of_the_step_is_that_of_lsq():
    grid = LearnedGrid(torch.ones(3))
    weight = torch.tensor([0.3, -1.4, 2.6])
    grid(weight).sum().backward()
    u = weight / grid.step.detach()
    wanted = SPEED * float(grid.step.detach()) * float((torch.round(u) - u).sum())
    assert float(grid.log_step.grad) == pytest.approx(wanted, rel=1e-3)


def test_steps_are_those_that_a_file_can_hold():
    for value in (0.1, 1e-9, 1e9):
        step = half(torch.tensor([value]))
        assert torch.equal(step, step.half().float()) and 0 < float(step) < float("inf")
    assert float(LearnedGrid(torch.zeros(5)).step.detach()) > 0
