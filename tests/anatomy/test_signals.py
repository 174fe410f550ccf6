"""Signals and dead outputs: found where they are, and nowhere else; nothing is changed."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from squeeze_utils.anatomy.signals import (
    ObserveOutputs,
    ObserveSignals,
    activation_modules,
    layer_statistics,
    silent_outputs,
)
from squeeze_utils.base.scale import Scale
from squeeze_utils.data.sets import load_images
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.models import ACTIVATIONS, build
from squeeze_utils.studies.catalogue import find
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State

SMALL = {"num_classes": 10, "in_channels": 1, "width": 0.25}


class Fixed(nn.Module):
    """Returns its input's first column times fixed weights, behind a ReLU."""

    def __init__(self, weights: list[float]) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x.flatten(1)[:, :1] * self.weights)


class Refuses(nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        raise RuntimeError("no")


def by_hand() -> nn.Sequential:
    """Three units z = (x, -x, -1) behind a ReLU, then scores (a1, a2 + a3)."""
    model = nn.Sequential(nn.Linear(1, 3), nn.ReLU(inplace=True), nn.Linear(3, 2, bias=False))
    with torch.no_grad():
        model[0].weight.copy_(torch.tensor([[1.0], [-1.0], [0.0]]))
        model[0].bias.copy_(torch.tensor([0.0, 0.0, -1.0]))
        model[2].weight.copy_(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 1.0]]))
    return model


def snapshot(model: nn.Module) -> tuple[dict, list[bool], list]:
    state = {name: value.clone() for name, value in model.state_dict().items()}
    return state, [m.training for m in model.modules()], [p.grad for p in model.parameters()]


def assert_unchanged(model: nn.Module, before: tuple[dict, list[bool], list]) -> None:
    state, modes, gradients = before
    assert all(torch.equal(value, state[name]) for name, value in model.state_dict().items())
    assert [m.training for m in model.modules()] == modes
    assert [p.grad for p in model.parameters()] == gradients
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    assert all(norm.track_running_stats for norm in norms)


def test_dead_outputs_and_unanswered_images_are_counted():
    images = torch.tensor([1.0, 2.0, 3.0, -1.0]).view(4, 1, 1, 1)
    model = Fixed([1.0, 0.0, 2.0, 0.0, 0.0]).train()
    dead, unanswered = silent_outputs(model, images)
    assert (dead, unanswered) == pytest.approx((60.0, 25.0))
    assert model.training


def test_the_mode_comes_back_even_if_the_network_fails():
    model = Refuses().train()
    with pytest.raises(RuntimeError, match="no"):
        silent_outputs(model, torch.zeros(1, 1, 1, 1))
    assert model.training


def test_observing_changes_nothing_and_sees_a_killed_last_relu():
    data = load_images("digits")
    model = build("squeezenet_small", final_relu=True, **SMALL)
    state = State(model, data)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    alive = ObserveOutputs(images=50).apply(state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with torch.no_grad():
        model.classifier[1].bias.fill_(-1e3)
    killed = ObserveOutputs(images=50).apply(state)
    assert killed == {"dead_outputs_percent": 100.0, "unanswered_images_percent": 100.0}
    assert alive["unanswered_images_percent"] < 100.0


def test_statistics_of_a_network_computed_by_hand():
    # x = 2 and x = -1: z = (2, -2, -1), (-1, 1, -1), so a = (2, 0, 0), (0, 1, 0)
    (row,) = layer_statistics(by_hand(), torch.tensor([[2.0], [-1.0]]), torch.tensor([0, 0]))
    assert row["layer"] == "1"
    assert row["input_mean_square"] == pytest.approx((4 + 4 + 1 + 1 + 1 + 1) / 6)
    assert row["mean"] == pytest.approx(0.5)
    assert row["variance"] == pytest.approx((4 + 1) / 6 - 0.25, rel=1e-5)
    assert row["zeros_percent"] == row["flat_percent"] == pytest.approx(100 * 4 / 6, rel=1e-5)
    assert row["dead_percent"] == pytest.approx(100 / 3, rel=1e-5)  # the third unit only
    # scores (2, 0), (0, 1): the loss by the scores is p - (1, 0), by a (p1 - 1, p2, p2)
    p = torch.softmax(torch.tensor([[2.0, 0.0], [0.0, 1.0]]), 1)
    gradient = torch.stack([p[:, 0] - 1, p[:, 1], p[:, 1]], 1)
    expected = float(gradient.var(unbiased=False))
    assert row["gradient_variance"] == pytest.approx(expected, rel=1e-5)


def test_saturated_and_dead_are_told_apart_by_the_derivative():
    model = nn.Sequential(nn.Tanh(), nn.Flatten())
    images = torch.tensor([[0.0, 3.0, 5.0], [0.0, 0.0, -5.0]]).view(2, 3, 1, 1)
    (row,) = layer_statistics(model, images, torch.tensor([0, 1]))
    assert row["flat_percent"] == pytest.approx(50.0)  # 3, 5 and -5; 1 - tanh(3)^2 is 0.01
    assert row["dead_percent"] == pytest.approx(100 / 3, rel=1e-5)  # only 5, -5 stays below 0.001
    assert row["zeros_percent"] == pytest.approx(50.0)


def test_a_unit_is_a_channel_and_one_living_pixel_keeps_it_alive():
    images = torch.full((2, 2, 3, 3), -1.0)
    images[1, 0, 2, 2] = 1.0
    model = nn.Sequential(nn.ReLU(), nn.Flatten())
    (row,) = layer_statistics(model, images, torch.tensor([0, 1]))
    assert row["dead_percent"] == pytest.approx(50.0)


def test_the_slope_of_a_prelu_is_reported():
    (row,) = layer_statistics(
        nn.Sequential(nn.PReLU(init=0.5)), torch.tensor([[1.0, -2.0]]), torch.tensor([0])
    )
    assert row["slope"] == 0.5
    assert row["mean"] == 0.0
    assert row["flat_percent"] == 0.0


@pytest.mark.parametrize("name", list(ACTIVATIONS))
def test_every_layer_in_order_and_the_network_as_it_was(name):
    torch.manual_seed(0)
    model = build("squeezenet_small", activation=name, dropout=0.5, **SMALL).train()
    model.features[0].eval()  # a mode of its own, which has to survive
    before = snapshot(model)
    images = torch.randn(6, 1, 16, 16)
    kept = images.clone()
    rows = layer_statistics(model, images, torch.arange(6))
    parts = [f"fire{i}.{part}" for i in range(2, 10) for part in ("squeeze", "expand")]
    assert [row["layer"] for row in rows] == ["conv1", *parts]
    for row in rows:
        assert row["gradient_variance"] > 0
        assert row["input_mean_square"] == pytest.approx(1, abs=0.01)  # batch normalisation
    assert torch.equal(images, kept)
    assert_unchanged(model, before)
    assert rows == layer_statistics(model, images, torch.arange(6))


def test_the_network_is_restored_when_it_refuses_the_images():
    model = build("squeezenet_small", **SMALL).train()
    before = snapshot(model)
    with pytest.raises(RuntimeError, match="channels"):
        layer_statistics(model, torch.randn(2, 3, 16, 16), torch.tensor([0, 1]))
    assert_unchanged(model, before)


def test_names_of_stacked_first_layers_and_of_a_last_relu():
    model = build("squeezenet_small", first_repeat=2, final_relu=True, **SMALL)
    names = list(activation_modules(model))
    assert len(names) == len(set(names)) == 2 + 16 + 1
    assert names[1] == "conv1" and names[0].startswith("conv1.") and names[-1] == "conv10"
    dense = build("squeezenet_small", head="dense", final_relu=True, **SMALL)
    assert list(activation_modules(dense))[-1] == "conv10"


@pytest.mark.parametrize(
    ("images", "labels", "words"),
    [
        (torch.zeros(2, 1, 8, 8, dtype=torch.uint8), torch.zeros(2), "normalised images .*uint8"),
        (torch.zeros(0, 1), torch.zeros(0), "n at least 1"),
        (torch.zeros(3, 1), torch.zeros(2), r"labels \(2,\)"),
    ],
)
def test_wrong_images_are_refused(images, labels, words):
    with pytest.raises(ValueError, match=words):
        layer_statistics(by_hand(), images, labels.long())


def test_a_network_without_activations_is_refused():
    with pytest.raises(ValueError, match="no activation module inside; known are relu"):
        layer_statistics(nn.Linear(1, 2), torch.zeros(1, 1), torch.tensor([0]))


@pytest.mark.parametrize("step", [ObserveOutputs, ObserveSignals])
def test_a_number_of_images_is_positive_and_whole(step):
    for images in (0, -5, 2.5):
        with pytest.raises(ValueError, match="images must be a whole number of at least 1"):
            step(images=images)


def test_the_step_measures_the_first_training_images_and_changes_nothing():
    data = load_images("digits", size=16)
    model = build("squeezenet_small", **SMALL).train()
    before = snapshot(model)
    found = ObserveSignals(images=20).apply(State(model, data))["signals"]
    assert len(found) == 17
    assert_unchanged(model, before)
    other = ObserveSignals(images=21).apply(State(copy.deepcopy(model), data))["signals"]
    assert other != found
    with pytest.raises(ValueError, match="images must be a whole number of at least 1, got 0"):
        ObserveSignals(images=0)


def test_the_study_observes_every_activation_fresh_and_after_the_very_same_training():
    study = find("activation_signals", Scale("quick"))
    labels = [dict(arm.labels) for arm in study.arms]
    assert {row["activation"] for row in labels} == set(ACTIVATIONS)
    trained = {arm.experiment.key for arm in find("activations", Scale("quick")).arms}
    for arm, row in zip(study.arms, labels, strict=True):
        recipe = arm.experiment.recipe
        assert recipe[-1] == ObserveSignals()
        assert Experiment.from_dict(arm.experiment.as_dict()) == arm.experiment
        if row["when"] == "after":
            assert isinstance(recipe[0], Train) and arm.experiment.prefix(1).key in trained
        else:
            assert len(recipe) == 1
