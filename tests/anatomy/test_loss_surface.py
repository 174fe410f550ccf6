"""The loss around a solution: right in the middle, fair in its directions, and harmless."""

from __future__ import annotations

import pytest
import torch
from tiny import tiny_set, tiny_spec
from torch import nn

from squeeze_utils.anatomy.loss_surface import (
    ObserveSurface,
    grid_offsets,
    loss_surface,
    mean_loss_rise,
    random_directions,
)
from squeeze_utils.data import Split
from squeeze_utils.models import build
from squeeze_utils.training.evaluation import evaluate
from squeeze_utils.training.step import State, Step

SHAPE = {"span": 0.4, "points": 3}


@pytest.fixture(scope="module")
def data():
    return tiny_set()


def thin(**options) -> nn.Module:
    torch.manual_seed(0)
    return build("squeezenet_small", 3, width=0.125, in_channels=1, **options)


def drawn(model: nn.Module, seed: int = 0):
    return random_directions(model, torch.Generator().manual_seed(seed))


def snapshot(model: nn.Module) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in model.state_dict().items()}


def same(model: nn.Module, before: dict[str, torch.Tensor]) -> bool:
    return all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_every_filter_of_a_direction_is_as_long_as_the_models_own():
    model = thin()
    first, second = drawn(model)
    for name, weight in model.named_parameters():
        for d in (first[name], second[name]):
            assert d.shape == weight.shape
            if weight.ndim < 2:
                assert not d.any()
            else:
                torch.testing.assert_close(d.flatten(1).norm(dim=1), weight.flatten(1).norm(dim=1))
    moved = [name for name in first if first[name].any()]
    assert len(moved) == 26 and all(name.endswith("weight") for name in moved)
    assert not torch.equal(first[moved[0]], second[moved[0]])


def test_a_zero_filter_stays_where_it_is():
    model = thin()
    with torch.no_grad():
        model.features[0].weight[2].zero_()
    first, _ = drawn(model)
    assert not first["features.0.weight"][2].any()
    assert first["features.0.weight"][1].any()


def test_the_generator_decides_the_directions():
    model = thin()
    name = "features.0.weight"
    assert torch.equal(drawn(model)[0][name], drawn(model)[0][name])
    assert not torch.equal(drawn(model)[0][name], drawn(model, seed=1)[0][name])


def test_the_middle_is_the_loss_of_the_model_and_the_model_is_left_as_it_was(data):
    model = thin().train()
    before = snapshot(model)
    grid = loss_surface(model, data.train, data, drawn(model), **SHAPE)
    assert grid.shape == (3, 3)
    assert float(grid[1, 1]) == evaluate(model, data.train, data).loss
    assert grid.unique().numel() == 9
    assert same(model, before) and model.training


def test_only_the_first_images_count(data):
    model = thin()
    few = Split(data.train.images[:7], data.train.labels[:7])
    grid = loss_surface(model, data.train, data, drawn(model), images=7, **SHAPE)
    assert torch.equal(grid, loss_surface(model, few, data, drawn(model), **SHAPE))
    assert float(grid[1, 1]) == evaluate(model, few, data).loss


def test_turning_a_direction_round_mirrors_the_surface(data):
    model = thin()
    first, second = drawn(model)
    back = {name: -d for name, d in first.items()}
    grid = loss_surface(model, data.train, data, (first, second), **SHAPE)
    assert torch.equal(loss_surface(model, data.train, data, (back, second), **SHAPE), grid.flip(0))
    swapped = loss_surface(model, data.train, data, (second, first), **SHAPE)
    torch.testing.assert_close(swapped, grid.T)


def test_the_surface_does_not_depend_on_the_scale_of_weights_that_batch_norm_undoes(data):
    """Ten times the weights, ten times the statistics: the same function, the same picture."""
    model = thin().eval()
    grid = loss_surface(model, data.train, data, drawn(model), **SHAPE)
    with torch.no_grad():
        for norm in (m for m in model.modules() if isinstance(m, nn.BatchNorm2d)):
            norm.eps = 1e-12
    exact = loss_surface(model, data.train, data, drawn(model), **SHAPE)
    torch.testing.assert_close(exact, grid, rtol=1e-2, atol=1e-2)
    with torch.no_grad():
        model.features[0].weight.mul_(10)
        model.features[1].running_mean.mul_(10)
        model.features[1].running_var.mul_(100)
    scaled = loss_surface(model, data.train, data, drawn(model), **SHAPE)
    torch.testing.assert_close(scaled, exact, rtol=1e-4, atol=1e-4)


def test_a_failure_on_the_way_leaves_the_model_as_it_was(data, monkeypatch):
    model = thin()
    before, calls = snapshot(model), []

    def breaks(*arguments, **options):
        calls.append(1)
        if len(calls) == 3:
            raise RuntimeError("out of memory")
        return evaluate(*arguments, **options)

    monkeypatch.setattr("squeeze_utils.anatomy.loss_surface.evaluate", breaks)
    with pytest.raises(RuntimeError, match="out of memory"):
        loss_surface(model, data.train, data, drawn(model), **SHAPE)
    assert len(calls) == 3 and same(model, before)


def test_offsets_and_rise():
    assert grid_offsets(1.0, 5).tolist() == [-1.0, -0.5, 0.0, 0.5, 1.0]
    steps = grid_offsets(1.0, 5)
    bowl = 2.0 + steps[:, None].square() + steps[None, :].square()
    assert mean_loss_rise(bowl, 1.0, 0.5) == pytest.approx(0.25)
    with pytest.raises(ValueError, match=r"no point of the grid lies within 0\.1"):
        mean_loss_rise(bowl, 1.0, 0.1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"points": 4}, "points must be odd.* got 4"),
        ({"points": 1}, "points must be a whole number of at least 3, got 1"),
        ({"span": 0.0}, "span must be positive, got 0"),
        ({"span": float("nan")}, "span must be positive, got nan"),
        ({"images": 0}, "images must be a whole number of at least 1, got 0"),
    ],
)
def test_refused(data, options, words):
    model = thin()
    with pytest.raises(ValueError, match=words):
        loss_surface(model, data.train, data, drawn(model), **options)
    with pytest.raises(ValueError, match=words):
        ObserveSurface(**options)


def test_directions_of_another_model_are_refused(data):
    model = thin()
    with pytest.raises(ValueError, match="those of another model"):
        loss_surface(model, data.train, data, drawn(thin(bypass="complex")), **SHAPE)
    with pytest.raises(ValueError, match="two directions, got 1"):
        loss_surface(model, data.train, data, drawn(model)[:1], **SHAPE)


def test_the_step_records_the_grid_and_changes_nothing(data):
    torch.manual_seed(0)
    model = tiny_spec(num_classes=3).build()
    before = snapshot(model)
    step = ObserveSurface(span=0.4, points=3, images=10)
    found = step.apply(State(model, data, generator=torch.Generator().manual_seed(5)))["surface"]
    expected = loss_surface(model, data.train, data, drawn(model, seed=5), images=10, **SHAPE)
    assert found == [[round(v, 4) for v in row] for row in expected.tolist()]
    assert same(model, before)
    assert Step.from_dict(step.as_dict()) == step


def test_a_loss_that_is_not_finite_is_recorded_as_nothing(data):
    model = tiny_spec(num_classes=3).build()
    with torch.no_grad():
        next(model.parameters()).fill_(float("inf"))
    found = ObserveSurface(span=0.4, points=3, images=10).apply(State(model, data))["surface"]
    assert found == [[None] * 3] * 3
