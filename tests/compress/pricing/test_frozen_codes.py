from __future__ import annotations

import pytest
import torch
from tiny import QUICK, tiny_set

from squeeze_utils.compress.pricing.frozen_codes import FreezeCodes, zero_rows
from squeeze_utils.compress.pricing.in_training import PriceBits, priced_parameters
from squeeze_utils.compress.sqz.container import COMPACT
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.models import build
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State

STEP = 0.25


def fire_on_grids() -> State:
    """LeNet-5 with Fire modules, every parameter full of ones times a step."""
    state = State(build("lenet5_fire", 3, image_size=16), tiny_set(size=16))
    for parameter in priced_parameters(state.model).values():
        torch.nn.init.constant_(parameter, STEP)
    names = priced_parameters(state.model)
    state.saved["grids"] = {name: torch.tensor([STEP]) for name in names}
    return state


def test_rows_of_zeros_are_counted_for_a_network_whose_links_nobody_knows():
    state = fire_on_grids()
    wanted = {"features.2.expand3x3.weight": 2, "features.2.expand3x3.bias": 5}
    with torch.no_grad():
        for name, rows in wanted.items():
            state.model.get_parameter(name)[:rows] = STEP / 3  # rounds to zero
        state.model.get_parameter("features.2.squeeze.weight")[0, 1:] = 0  # one weight is left
    layers = FreezeCodes().apply(state)["priced_layers"]
    assert {row["layer"]: row["zero_rows"] for row in layers if row["zero_rows"]} == wanted
    assert [row["layer"] for row in layers] == list(priced_parameters(state.model))


@pytest.mark.parametrize("shape", [(4,), (4, 2), (4, 2, 3, 3)])
def test_a_row_is_silent_only_if_all_of_it_is_zero(shape):
    numbers = torch.zeros(shape)
    assert zero_rows(numbers) == 4
    numbers.view(4, -1)[1, -1] = -1
    assert zero_rows(numbers) == 3 and zero_rows(torch.ones(shape)) == 0


@pytest.mark.parametrize("value", [0.3, 0.0])
@pytest.mark.parametrize("coder", COMPACT)
def test_a_tensor_of_one_element_goes_through_grid_and_file(coder, value):
    state = State(build("lenet_300_100", 1, image_size=8), tiny_set(classes=1))
    bias = "classifier.4.bias"
    torch.nn.init.constant_(state.model.get_parameter(bias), value)
    Train(1, during=(PriceBits(1e-3),), **QUICK).apply(state)
    last = FreezeCodes().apply(state)["priced_layers"][-1]
    assert (last["layer"], last["numbers"], last["nonzero"]) == (bias, 1, int(value > 0))
    Encode(coder).apply(state)  # it reads the file again and compares
    kept = state.model.get_parameter(bias)
    assert kept.item() == pytest.approx(value, rel=0.1) and kept.shape == (1,)


def test_one_step_for_each_row_is_refused():
    state = fire_on_grids()
    state.saved["grids"]["classifier.2.weight"] = torch.full((3,), STEP)
    with pytest.raises(ValueError, match=r"classifier\.2\.weight has 3 steps; FreezeCodes needs"):
        FreezeCodes().apply(state)
