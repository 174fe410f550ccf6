"""Fire modules taken out at test time: the right thing is left, and the model is whole after."""

from __future__ import annotations

import copy
import json

import pytest
import torch
from tiny import tiny_set, tiny_spec
from torch import nn

from squeeze_utils.anatomy import ablation
from squeeze_utils.anatomy.ablation import (
    Ablation,
    ObserveBlocks,
    ablate_blocks,
    bypass_of,
    fire_modules,
    without_blocks,
)
from squeeze_utils.data import normalise
from squeeze_utils.models import build
from squeeze_utils.training.evaluation import evaluate
from squeeze_utils.training.step import State, Step

CAN = ("fire3", "fire5", "fire7", "fire9")


@pytest.fixture(scope="module")
def data():
    return tiny_set()


def thin(bypass: str = "none", **options) -> nn.Module:
    """A small SqueezeNet whose outputs differ from image to image."""
    torch.manual_seed(1)
    options = {"width": 0.125, "in_channels": 1, **options}
    return build("squeezenet_small", 3, bypass=bypass, **options).eval()


def seen(model: nn.Module, data) -> torch.Tensor:
    with torch.no_grad():
        return model(normalise(data.validation.images, data.mean, data.std))


def undecided(model: nn.Module, data) -> nn.Module:
    """The model with the images' own batch statistics and centred outputs: no class wins always."""
    for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
        norm.momentum = 1.0
    seen(model.train(), data)
    with torch.no_grad():
        model.classifier[1].bias -= seen(model.eval(), data).mean(0)
    return model


def rebuilt(model: nn.Module, name: str) -> nn.Module:
    """A copy with the bypass, or nothing at all, as a layer in the place of a Fire module."""
    copied = copy.deepcopy(model)
    place = next(i for i, m in enumerate(model.features) if m is fire_modules(model)[name])
    copied.features[place] = copied.features[place].bypass or nn.Identity()
    return copied


@pytest.mark.parametrize(
    ("bypass", "odd", "even"),
    [
        ("none", "input", "nothing"),
        ("simple", "identity", "nothing"),
        ("complex", "identity", "projection"),
    ],
)
def test_what_is_left_of_each_block(data, bypass, odd, even):
    model = undecided(thin(bypass), data)
    rows = ablate_blocks(model, data.validation, data)
    assert [row.block for row in rows] == [f"fire{i}" for i in range(2, 10)]
    assert [row.left for row in rows] == [even, odd] * 4
    assert all(row.accuracy is None for row in rows if row.left == "nothing")
    accuracies = {row.block: row.accuracy for row in rows if row.left != "nothing"}
    for name, accuracy in accuracies.items():
        assert accuracy == evaluate(rebuilt(model, name), data.validation, data).accuracy
    assert len(set(accuracies.values())) > 1


def test_without_a_block_its_output_is_its_bypass(data):
    x = torch.randn(2, 1, 16, 16)
    for bypass, name in (("simple", "fire5"), ("complex", "fire6"), ("none", "fire7")):
        model = thin(bypass)
        fire = fire_modules(model)[name]
        caught = []
        with without_blocks(model, name):  # a hook that is added later sees what the others made
            hook = fire.register_forward_hook(lambda m, i, o, to=caught: to.append((i[0], o)))
            model(x)
            hook.remove()
        before, after = caught[0]
        expected = before if fire.bypass is None else fire.bypass(before)
        assert torch.equal(after, expected)


def test_the_accuracy_is_that_of_the_network_without_the_block(data):
    model = thin("complex")
    with without_blocks(model, "fire4"):
        expected = evaluate(model, data.validation, data).accuracy
    assert Ablation("fire4", "projection", expected) in ablate_blocks(model, data.validation, data)


@pytest.mark.parametrize("norm", ["batch", "none"])
def test_a_block_whose_branch_is_zero_is_not_missed(data, norm):
    model = thin("complex", norm=norm)
    for name in CAN:
        fire = fire_modules(model)[name]
        with torch.no_grad():
            last = [fire.expand_norm] if norm == "batch" else [fire.expand1x1, fire.expand3x3]
            for layer in last:
                layer.weight.zero_()
                layer.bias.zero_()
    whole = seen(model, data)
    assert whole.std(0).max() > 0
    for name in CAN:
        with without_blocks(model, name):
            assert torch.equal(seen(model, data), whole)
    with without_blocks(model, *CAN):
        assert torch.equal(seen(model, data), whole)
    with without_blocks(model, "fire4"):
        assert not torch.equal(seen(model, data), whole)


def test_the_model_is_bit_by_bit_what_it_was(data):
    model = thin("complex").train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    ablate_blocks(model, data.validation, data)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training
    assert not any(fire._forward_hooks for fire in fire_modules(model).values())


def test_a_failure_on_the_way_leaves_the_model_whole(data, monkeypatch):
    model = thin("simple")
    whole = seen(model, data)

    def breaks(*arguments):
        raise RuntimeError("out of memory")

    monkeypatch.setattr(ablation, "evaluate", breaks)
    with pytest.raises(RuntimeError, match="out of memory"):
        ablate_blocks(model, data.validation, data)
    assert torch.equal(seen(model, data), whole)
    with pytest.raises(ZeroDivisionError), without_blocks(model, "fire3", "fire5"):
        assert not torch.equal(seen(model, data), whole)
        1 / 0  # noqa: B018
    assert torch.equal(seen(model, data), whole)


def test_a_model_without_fire_modules_is_refused(data):
    for work in (fire_modules, lambda m: ablate_blocks(m, data.validation, data)):
        with pytest.raises(ValueError, match="Classifier has no Fire modules to take out"):
            work(tiny_spec(num_classes=3).build())


def test_other_networks_of_fire_modules_are_taken_apart_by_module_name():
    found = fire_modules(build("lenet5_fire"))
    assert len(found) == 2 and all(name.startswith("features.") for name in found)
    assert {bypass_of(fire) for fire in found.values()} == {"nothing"}


def test_blocks_that_cannot_be_taken_out_are_refused():
    model = thin("simple")
    with pytest.raises(ValueError, match="unknown block 'fire1'; accepted: fire2, fire3"):
        without_blocks(model, "fire1").__enter__()
    with pytest.raises(ValueError, match="fire4 cannot be taken out: it makes 32 channels of 16"):
        without_blocks(model, "fire3", "fire4").__enter__()
    assert not any(fire._forward_hooks for fire in fire_modules(model).values())


def test_the_step_reads_the_validation_split_and_gives_plain_values(data):
    model = thin("complex")
    found = ObserveBlocks().apply(State(model, data))["blocks"]
    rows = ablate_blocks(model, data.validation, data)
    assert found == [vars(row) for row in rows]
    assert json.loads(json.dumps(found)) == found
    assert Step.from_dict(ObserveBlocks().as_dict()) == ObserveBlocks()
