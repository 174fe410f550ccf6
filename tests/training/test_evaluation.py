"""Modes and hooks that last for one block and leave every module as it was."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from squeeze_utils.models import build
from squeeze_utils.training.evaluation import evaluating, in_mode, watching


def mixed() -> nn.Module:
    """A network in training of which one normalisation is in evaluation, as for fine-tuning."""
    model = build("squeezenet_small", 3, width=0.125).train()
    model.features[1].eval()
    return model


def modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


@pytest.mark.parametrize("training", [True, False])
def test_within_all_modules_are_in_one_mode_and_afterwards_each_in_its_own(training):
    model = mixed()
    before = modes(model)
    with in_mode(model, training):
        assert set(modes(model)) == {training}
    assert modes(model) == before and len(set(before)) == 2
    with pytest.raises(ZeroDivisionError), evaluating(model):
        assert not any(modes(model))
        1 / 0  # noqa: B018
    assert modes(model) == before


def test_watching_tells_the_name_of_every_run_in_order():
    model = nn.Sequential(nn.Linear(2, 3), nn.ReLU(inplace=True))
    seen = []

    def before(name, module, inputs):
        seen.append(("before", name, type(module).__name__, inputs[0].shape))

    def after(name, module, inputs, output):
        seen.append(("after", name, type(module).__name__, output.shape))

    modules = {"dense": model[0], "relu": model[1]}
    with watching(modules, before=before, after=after):
        model(torch.zeros(4, 2))
    model(torch.zeros(4, 2))
    assert seen == [
        ("before", "dense", "Linear", (4, 2)),
        ("after", "dense", "Linear", (4, 3)),
        ("before", "relu", "ReLU", (4, 3)),
        ("after", "relu", "ReLU", (4, 3)),
    ]


def test_what_a_call_returns_takes_the_place_of_inputs_and_output():
    model = nn.Sequential(nn.Identity())
    x = torch.ones(1)
    with watching({"0": model[0]}, before=lambda name, module, inputs: (inputs[0] + 1,)):
        assert model(x) == 2
        with watching({"0": model[0]}, after=lambda name, module, inputs, output: 10 * output):
            assert model(x) == 20
        assert model(x) == 2
    assert model(x) == 1


def test_no_hook_is_left_behind_a_failure():
    model = nn.Sequential(nn.Linear(2, 3))
    with pytest.raises(RuntimeError, match="shape"), watching({"0": model[0]}, after=print):
        model(torch.zeros(1, 5))
    assert not model[0]._forward_hooks and not model[0]._forward_pre_hooks
    with pytest.raises(AttributeError), watching({"0": model[0], "1": None}, after=print):
        pass
    assert not model[0]._forward_hooks
