"""Detectors and segmenters: shapes, sizes, and all that other networks of the series can do."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from states import as_if_trained
from torch import nn

from squeeze_utils import models
from squeeze_utils.anatomy.ablation import ObserveBlocks
from squeeze_utils.anatomy.answers import ObserveAnswers
from squeeze_utils.anatomy.class_maps import class_maps
from squeeze_utils.anatomy.costs import count
from squeeze_utils.anatomy.shifts import ObserveShifts, shift_consistency
from squeeze_utils.anatomy.signals import ObserveOutputs, ObserveSignals, layer_statistics
from squeeze_utils.anatomy.tracing import trace
from squeeze_utils.anatomy.views import ObserveViews
from squeeze_utils.compress.pricing.silent_units import RemoveSilent
from squeeze_utils.compress.pricing.steps import Squeeze
from squeeze_utils.compress.pruning import filters
from squeeze_utils.compress.pruning.filters import Shrink
from squeeze_utils.compress.pruning.scores import prunable
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.quantizing.after_training import Calibrate, QuantizeWeights
from squeeze_utils.compress.quantizing.equalising import Equalise
from squeeze_utils.compress.quantizing.fold_batch_norm import folded
from squeeze_utils.compress.quantizing.integer_network import integer_network
from squeeze_utils.compress.quantizing.mixed_bits import MixedBits
from squeeze_utils.compress.sqz.container import load_sqz, save_sqz
from squeeze_utils.compress.updates import Federate
from squeeze_utils.data import load_images
from squeeze_utils.deploy import network_files
from squeeze_utils.deploy.onnx_files import export_onnx
from squeeze_utils.deploy.runners import open_runner
from squeeze_utils.training.step import State, Step
from squeeze_utils.training.transfer import FitHead, LoadImageNet

SMALL = {"in_channels": 1, "image_size": 48, "width": 0.25}
DATA = {"detector": "digit_scenes", "segmenter": "digit_masks"}
NAMES = tuple(DATA)


def network(name: str, seed: int = 0, **options: object) -> nn.Module:
    """As after some training: statistics that are not those of the beginning."""
    torch.manual_seed(seed)
    classes = {"num_classes": 10 if name == "detector" else 11}
    return as_if_trained(models.build(name, **{**SMALL, **classes, **options})).eval()


def images(count: int = 2, side: int = 48) -> torch.Tensor:
    return torch.randn(count, 1, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize(("pools", "side"), [(3, 3), (2, 6), (1, 12)])
def test_a_detector_answers_for_each_cell(pools: int, side: int):
    assert network("detector", pools=pools)(images()).shape == (2, 15, side, side)


@pytest.mark.parametrize("backbone", models.backbones.BACKBONES)
@pytest.mark.parametrize("shape", [(48, 48), (45, 60), (33, 49)])
def test_a_segmenter_answers_for_each_pixel_of_any_size(backbone: str, shape: tuple[int, int]):
    model = network("segmenter", backbone=backbone, image_size=shape)
    assert model.input_shape == (1, *shape)
    assert model(torch.zeros(1, 1, *shape)).shape == (1, 11, *shape)


@pytest.mark.parametrize("name", NAMES)
def test_both_backbones_are_of_one_size(name: str):
    sizes = [
        sum(p.numel() for p in models.build(name, backbone=kind).parameters())
        for kind in ("squeezenet1_1", "vgg")
    ]
    assert sizes[0] < 1_500_000 and abs(sizes[1] / sizes[0] - 1) < 0.01


def test_an_untrained_detector_sees_next_to_nothing():
    model = models.build("detector", **SMALL)
    with torch.no_grad():
        assert float(model.eval()(images())[:, 0].sigmoid().mean()) < 0.05


def test_without_skips_the_decoder_is_smaller():
    sizes = [count(network("segmenter", skips=skips))["parameters"] for skips in (True, False)]
    assert sizes[1] < sizes[0]


@pytest.mark.parametrize("name", NAMES)
def test_unknown_and_wrong_options_are_refused(name: str):
    with pytest.raises(ValueError, match="has no option colour"):
        models.build(name, colour=3)
    with pytest.raises(ValueError, match="accepted: squeezenet1_1"):
        models.build(name, backbone="resnet20")
    for size in (16, (48,), (48, 48.0), (16, 48), 48.0, None, True):
        with pytest.raises(ValueError, match="image_size is a side or"):
            models.build(name, image_size=size)
    with pytest.raises(ValueError, match="width"):
        models.build(name, width=0)
    with pytest.raises(ValueError, match="num_classes"):
        models.build(name, num_classes=0)


@pytest.mark.parametrize("name", NAMES)
def test_a_spec_builds_it_again_also_from_json(name: str):
    spec = network(name, image_size=(48, 64)).spec
    again = models.ModelSpec.from_dict(json.loads(json.dumps(spec.as_dict())))
    assert again == spec and again.build().input_shape == (1, 48, 64)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("backbone", ["squeezenet1_1", "vgg"])
def test_folding_changes_no_answer(name: str, backbone: str):
    model = network(name, backbone=backbone)
    plain = folded(model)
    assert not any(isinstance(m, nn.BatchNorm2d) for m in plain.modules())
    torch.testing.assert_close(plain.eval()(images()), model(images()), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("name", NAMES)
def test_a_file_gives_the_same_network_back(name: str, tmp_path: Path):
    model, path = network(name, image_size=(48, 60)), tmp_path / "network.sqz"
    parts = save_sqz(model, path)
    back = load_sqz(path)
    assert sum(parts.values()) == path.stat().st_size and back.spec == model.spec
    assert torch.equal(back(images()), model(images()))


@pytest.mark.parametrize("name", NAMES)
def test_onnx_runtime_gives_the_same_numbers(name: str, tmp_path: Path):
    model, path = network(name), tmp_path / "network.onnx"
    export_onnx(model, path, model.input_shape)
    for batch in (1, 3):
        with torch.no_grad():
            expected = model(images(batch)).numpy()
        found = open_runner(path)(images(batch).numpy())
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)


def test_files_are_made_for_their_shape_but_only_classifiers_are_judged(tmp_path: Path):
    path = tmp_path / "network.sqz"
    save_sqz(network("detector", image_size=(48, 64)), path)
    network_files.deploy_file(path, tmp_path / "files")
    (made,) = (tmp_path / "files").glob("*.onnx")
    assert open_runner(made).shape == (1, 48, 64)
    with pytest.raises(ValueError, match="labels for detection"):
        network_files.judge_file(path, "digit_scenes")


@pytest.mark.parametrize("name", NAMES)
def test_the_anatomy_counts_them(name: str):
    model = network(name)
    counts = count(model)
    assert counts["parameters"] == sum(p.numel() for p in model.parameters())
    assert counts["multiply_adds"] > 10 * counts["parameters"]
    assert trace(model, model.input_shape).rows


@pytest.mark.parametrize("name", NAMES)
def test_weights_and_whole_filters_can_be_pruned_but_only_a_squeezenet_shrinks(name: str):
    data = load_images(DATA[name], train_limit=8)
    state = State(network(name), data)
    assert Prune(0.5).apply(state)["sparsity"] == pytest.approx(0.5, abs=0.01)
    state = State(network(name), data)
    Prune(0.25, granularity="filter").apply(state)
    assert any(filters.silent(state.model, state.masks).values())
    with pytest.raises(ValueError, match="only a SqueezeNet"):
        Shrink().apply(state)
    with pytest.raises(ValueError, match="only a SqueezeNet can round its maps"):
        Calibrate(bits=8).apply(state)


@pytest.mark.parametrize("name", NAMES)
def test_weights_can_be_rounded(name: str):
    state = State(folded(network(name)), load_images(DATA[name], train_limit=8))
    QuantizeWeights(4).apply(state)
    assert all(len(row.unique()) <= 15 for w in prunable(state.model).values() for row in w)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("criterion", ["gradient", "movement", "snip"])
def test_weights_are_judged_by_the_loss_of_their_task(name: str, criterion: str):
    state = State(network(name), load_images(DATA[name], train_limit=8))
    found = Prune(0.5, criterion=criterion).apply(state)
    assert found["sparsity"] == pytest.approx(0.5, abs=0.01)


ONLY_CLASSES: dict[Step, str] = {
    ObserveAnswers(): "answers are noted",
    ObserveOutputs(): "dead outputs are counted",
    ObserveShifts(): "answers to shifted images are compared",
    ObserveSignals(): "signals are measured",
    ObserveViews(): "views are averaged",
    ObserveBlocks(): "blocks are taken out",
    MixedBits(4): "class probabilities are compared",
    Federate(1): "images are dealt by class",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", ONLY_CLASSES, ids=lambda step: type(step).__name__)
def test_what_is_about_one_class_for_each_image_is_refused(name: str, step: Step):
    data = load_images(DATA[name], train_limit=8)
    said = f"{ONLY_CLASSES[step]} for classification only, not for {data.task}"
    with pytest.raises(ValueError, match=said):
        step.apply(State(network(name), data))


MEASURES: dict[str, Callable[[nn.Module], object]] = {  # of a network, without images of a set
    "answers to shifted images are compared": lambda m: shift_consistency(m, images(), [1]),
    "signals are measured": lambda m: layer_statistics(m, images(), torch.zeros(2).long()),
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("what", MEASURES)
def test_a_network_whose_answers_are_no_classes_is_refused(name: str, what: str):
    said = f"{what} for classification only, not for {network(name).task}"
    with pytest.raises(ValueError, match=said):
        MEASURES[what](network(name))


OTHER_NETWORKS: dict[Step, str] = {
    LoadImageNet(): "has other layers than squeezenet1_1",
    FitHead(): "features are averaged for a SqueezeNet with the paper's head only",
    RemoveSilent(): "RemoveSilent knows lenet_300_100, lenet5, not {name}",
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("step", OTHER_NETWORKS, ids=lambda step: type(step).__name__)
def test_steps_for_other_networks_say_which_they_are_for(name: str, step: Step):
    state = State(network(name), load_images(DATA[name], train_limit=8))
    with pytest.raises(ValueError, match=OTHER_NETWORKS[step].format(name=name)):
        step.apply(state)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_made_for_classifying_squeezenets_is_refused(name: str):
    state = State(folded(network(name)), load_images(DATA[name], train_limit=8))
    with pytest.raises(ValueError, match="only a SqueezeNet can be equalised"):
        Equalise().apply(state)
    with pytest.raises(ValueError, match="cannot be rounded layer by layer"):
        Squeeze(10_000).apply(state)
    with pytest.raises(ValueError, match="only a SqueezeNet whose maps are rounded"):
        integer_network(state.model, state.data)
    with pytest.raises(ValueError, match="class maps need a SqueezeNet"):
        class_maps(state.model, images())
