from __future__ import annotations

import pytest
import torch
from tiny import tiny_set

from squeeze_utils.compress.pricing.frozen_codes import FreezeCodes
from squeeze_utils.compress.pricing.silent_units import RemoveSilent
from squeeze_utils.compress.pruning.steps import Prune, hold
from squeeze_utils.compress.quantizing.after_training import Halve
from squeeze_utils.compress.quantizing.in_training import QuantizedTrain
from squeeze_utils.compress.sqz.steps import Encode
from squeeze_utils.models import build
from squeeze_utils.training.step import State


def state_of(name: str, size: int, **options) -> State:
    torch.manual_seed(0)
    model = build(name, 3, image_size=size, **options)
    return State(model, tiny_set(size=size))


def outputs(state: State) -> torch.Tensor:
    x = torch.randn(4, *state.model.input_shape, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        return state.model.eval()(x)


@pytest.mark.parametrize(("name", "size"), [("lenet_300_100", 8), ("lenet5", 16)])
def test_silent_units_go_and_the_function_stays(name, size):
    state = state_of(name, size)
    torch.manual_seed(1)
    with torch.no_grad():
        for parameter in state.model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(
                    torch.rand(len(parameter)).lt(0.6).view(-1, *[1] * (parameter.ndim - 1))
                )
            elif len(parameter) > 3:
                parameter.mul_(torch.rand(len(parameter)) < 0.5)
    before, wide = outputs(state), sum(p.numel() for p in state.model.parameters())
    found = RemoveSilent().apply(state)["silent"]
    assert all(0 < layer["removed"] < layer["units"] for layer in found)
    assert sum(p.numel() for p in state.model.parameters()) < wide
    torch.testing.assert_close(outputs(state), before, rtol=1e-4, atol=1e-5)
    assert Encode().apply(state)["file_bytes"] > 0
    again = RemoveSilent().apply(state)["silent"]
    assert sum(layer["removed"] for layer in again) == 0


@pytest.mark.parametrize(("name", "size"), [("lenet_300_100", 8), ("lenet5", 16)])
def test_learned_steps_of_layers_stay_those_of_the_narrower_network(name, size):
    """One step for each weight: it goes on by name, whatever rows and columns are left."""
    state = state_of(name, size)
    first = next(n for n, _ in state.model.named_parameters())
    Prune(0.8).apply(state)
    rows = torch.ones_like(state.masks[first])
    rows[:3] = False
    hold(state, {first: rows, first.replace("weight", "bias"): rows.flatten(1).any(1)})
    how = {"batch_size": 16, "lr": 1e-3, "precision": "float32"}
    QuantizedTrain(1, bits=4, granularity="tensor", steps="learned", **how).apply(state)
    before = outputs(state)
    grids = {name: step.clone() for name, step in state.saved["grids"].items()}
    assert RemoveSilent().apply(state)["silent"][0]["removed"] >= 3
    assert state.saved["grids"].keys() == grids.keys()
    assert all(torch.equal(step, grids[name]) for name, step in state.saved["grids"].items())
    torch.testing.assert_close(outputs(state), before, rtol=1e-4, atol=1e-5)
    for name, step in grids.items():
        numbers = state.model.get_parameter(name) / step.view(1)
        torch.testing.assert_close(numbers, numbers.round(), atol=1e-3, rtol=0)
    for step in (Halve(), FreezeCodes(), Encode("compact")):
        found = step.apply(state)
    assert found["file_bytes"] > 0


def test_a_constant_that_somebody_hears_stays():
    state = state_of("lenet_300_100", 8)
    with torch.no_grad():
        state.model.classifier[0].weight[:2] = 0
        state.model.classifier[0].bias[:2] = torch.tensor([0.5, -0.5])
    before = outputs(state)
    (first, second) = RemoveSilent().apply(state)["silent"]
    assert (first["removed"], second["removed"]) == (1, 0)
    torch.testing.assert_close(outputs(state), before)


def test_a_network_of_zeros_keeps_a_unit_in_each_layer():
    state = state_of("lenet5", 16)
    with torch.no_grad():
        for parameter in state.model.parameters():
            parameter.zero_()
    RemoveSilent().apply(state)
    assert state.model.spec.as_dict()["options"]["channels"] == (1, 1)
    assert not outputs(state).any()


def test_other_networks_are_refused():
    with pytest.raises(ValueError, match="lenet_300_100, lenet5, not vgg11"):
        RemoveSilent().apply(state_of("vgg11", 32, in_channels=1))


@pytest.mark.parametrize("wrong", [{"channels": (20,)}, {"channels": (0, 5)}, {"hidden": 0}])
def test_bad_widths_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        build("lenet5", **wrong)
