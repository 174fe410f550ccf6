"""Shifts: what commutes with them, what does not, and that looking changes nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny import tiny_set
from torch import nn

from squeeze_utils.anatomy.shifts import (
    ObserveShifts,
    apply_periodically,
    fourier_shift,
    mirrored,
    pooling_error,
    pooling_errors,
    pooling_layers,
    shift_consistency,
    shifted,
)
from squeeze_utils.base.scale import Scale
from squeeze_utils.models import POOLINGS, build
from squeeze_utils.models.layers import pooling
from squeeze_utils.studies.pooling import KIND_CHAPTER, shifts
from squeeze_utils.training.evaluation import evaluate
from squeeze_utils.training.step import State, Step


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(6, 2, 16, 16, generator=torch.Generator().manual_seed(0))


class Constant(nn.Module):
    """Says class 2, whatever it sees."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.tensor([0.0, 1.0, 2.0]).expand(len(x), 3)


class Corner(nn.Module):
    """Says class 1 where the first pixel is bright: as far from ignoring a shift as can be."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack((torch.zeros(len(x)), x[:, 0, 0, 0]), dim=1)


def test_what_enters_a_shifted_image_is_its_mirror_image():
    row = torch.tensor([1.0, 2.0, 3.0, 4.0])
    x = row.expand(1, 1, 4, 4)
    assert shifted(x, 0, 2)[0, 0, 3].tolist() == [2, 1, 1, 2]
    assert shifted(x, 0, -1)[0, 0, 0].tolist() == [2, 3, 4, 4]
    assert torch.equal(shifted(x.mT, -1, 0), shifted(x, 0, -1).mT)
    assert torch.equal(shifted(x, 0, 0), x)
    assert mirrored(x)[0, 0, 7].tolist() == [1, 2, 3, 4, 4, 3, 2, 1]


def test_a_whole_fourier_shift_is_a_roll_and_two_halves_are_a_whole():
    smooth = torch.cos(2 * torch.pi * torch.arange(12) / 6).expand(1, 1, 4, 12)
    for by in (0, 1, 5, -2):
        torch.testing.assert_close(fourier_shift(smooth, by, 3), smooth.roll(by, 3))
    twice = fourier_shift(fourier_shift(smooth, 0.5, 3), 0.5, 3)
    torch.testing.assert_close(twice, smooth.roll(1, 3))
    torch.testing.assert_close(fourier_shift(smooth.mT, 0.5, 2), fourier_shift(smooth, 0.5, 3).mT)


@pytest.mark.parametrize("name", POOLINGS)
def test_every_pooling_commutes_with_shifts_by_its_stride_and_no_less(name, images):
    torch.manual_seed(0)
    layer = pooling(name, 2)
    assert pooling_error(layer, images, 0) == pytest.approx(0, abs=1e-3)
    assert pooling_error(layer, images, 2) == pytest.approx(0, abs=1e-3)
    assert pooling_error(layer, images, 4) == pytest.approx(0, abs=1e-3)
    assert pooling_error(layer, images, 1) > 5


def test_a_layer_with_stride_one_commutes_with_every_shift(images):
    layer = nn.Conv2d(2, 3, 3, padding=1)
    assert max(pooling_error(layer, images, d) for d in range(4)) < 1e-3
    assert pooling_error(nn.Identity(), images, 3) < 1e-3


def test_an_image_without_fine_detail_loses_nothing_and_a_stripe_everything():
    every_second = nn.MaxPool2d(1, 2)
    t = torch.arange(16) + 0.5  # half a pixel in: the mirror image continues the cosine
    coarse = torch.cos(2 * torch.pi * t / 8).expand(1, 1, 16, 16)
    assert pooling_error(every_second, coarse, 1) < 1e-3
    stripe = torch.tensor([1.0, 0.0]).repeat(8).expand(1, 1, 16, 16).contiguous()
    assert pooling_error(every_second, stripe, 1) > 50
    assert pooling_error(nn.MaxPool2d(3, 2, ceil_mode=True), stripe, 1) < 1e-3


def test_the_average_of_a_stripe_swings_between_two_thirds_and_one_third():
    stripe = torch.tensor([1.0, 0.0]).repeat(8).expand(1, 1, 16, 16).contiguous()
    layer = pooling("average", 1)
    there, moved = apply_periodically(layer, stripe), apply_periodically(layer, stripe.roll(1, 3))
    torch.testing.assert_close(there, torch.full((1, 1, 8, 8), 2 / 3))
    torch.testing.assert_close(moved, torch.full((1, 1, 8, 8), 1 / 3))


def test_a_constant_model_is_perfectly_consistent_and_a_corner_is_not(images):
    assert shift_consistency(Constant(), images, [0, 1, 5]) == {0: 100.0, 1: 100.0, 5: 100.0}
    found = shift_consistency(Corner(), images, [0, 1, 3])
    assert found[0] == 100.0
    assert found[3] < 100.0


def test_answers_that_change_under_shifts_are_counted():
    x = torch.full((2, 1, 4, 4), -1.0)
    x[0, :, 0, 0] = 1.0  # bright corner; mirrored at the edge, it survives one step down or right
    assert shift_consistency(Corner(), x, [0, 1]) == {0: 100.0, 1: 75.0}  # lost up and left


@pytest.mark.parametrize(
    ("given", "words"),
    [([], "at least one shift"), ([-1], "shift must"), ([1.5], "shift must"), ([17], "at most")],
)
def test_bad_shifts_are_refused(given, words, images):
    with pytest.raises(ValueError, match=words):
        shift_consistency(Constant(), images, given)


def test_a_dead_map_commutes_with_everything():
    assert pooling_error(nn.Identity(), torch.zeros(1, 1, 8, 8), 1) == 0.0


def test_bad_layers_and_options_are_refused(images):
    with pytest.raises(ValueError, match="shift must"):
        pooling_error(nn.Identity(), images, -1)
    with pytest.raises(ValueError, match="no whole stride"):
        pooling_error(nn.MaxPool2d(3, 3), images, 1)
    with pytest.raises(ValueError, match="largest must"):
        ObserveShifts(largest=0)


@pytest.mark.parametrize("name", (*POOLINGS, "blur of 3x3"))
def test_the_pooling_layers_of_a_network_are_found_in_order(name, images):
    grey = pooling_layers(build("squeezenet1_1", in_channels=1))
    assert "features.0" not in grey and len(grey) == 3  # its first convolution has one channel
    torch.manual_seed(0)
    model = build("squeezenet_small", pooling=name, width=0.25, in_channels=2).train()
    layers = pooling_layers(model)
    assert list(layers) == ["features.3", "features.6", "features.9"]
    errors = pooling_errors(model, images)
    assert list(errors) == list(layers)
    assert all(0 < value < 300 for value in errors.values())
    assert model.training
    assert not any(layer._forward_pre_hooks for layer in layers.values())


def test_observing_changes_nothing_and_reads_validation_images_only():
    data = tiny_set(size=16, counts=(12, 24, 24))
    torch.manual_seed(0)
    model = build("squeezenet_small", num_classes=3, in_channels=1, width=0.125).train()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    step = ObserveShifts(images=20, largest=3, maps=4)
    found = step.apply(State(model, data))
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training
    assert [len(found[f"shift_{what}"]) for what in ("consistency", "accuracy")] == [3, 4]
    assert len(found["pooling_errors_percent"]) == 3
    assert found["consistency_percent"] == pytest.approx(sum(found["shift_consistency"]) / 3)
    unmoved, *moved = found["shift_accuracy"]
    assert found["shift_drop_points"] == pytest.approx(unmoved - sum(moved) / 3)
    others = tiny_set(size=16, seed=1)
    assert step.apply(State(model, replace(data, train=others.train, test=others.test))) == found


def test_outputs_beyond_the_classes_are_no_answers():
    data = tiny_set(size=16, counts=(12, 24, 24))
    torch.manual_seed(0)
    model = build("squeezenet_small", num_classes=5, in_channels=1, width=0.125)
    with torch.no_grad():
        model.classifier[1].bias[3:] += 100  # the largest of all, but there are three classes
    found = ObserveShifts(images=24, largest=1, maps=4).apply(State(model, data))
    judged = evaluate(model, data.validation, data).accuracy
    assert found["shift_accuracy"][0] == pytest.approx(judged) and judged > 0


def test_the_study_is_the_pooling_study_with_one_more_step():
    for scale in (Scale("quick"), Scale("reference")):
        watched, pooled = shifts(scale), KIND_CHAPTER.study(scale)
        assert len(watched.arms) == len(pooled.arms)
        assert watched.pilot == pooled.pilot
        for one, other in zip(watched.arms, pooled.arms, strict=True):
            assert one.labels == other.labels
            assert one.experiment.prefix(1).key == other.experiment.key
            step = one.experiment.recipe[-1]
            assert isinstance(step, ObserveShifts)
            assert Step.from_dict(step.as_dict()) == step
