"""Modes and hooks that last for one block and leave every module as it was."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny import tiny_set, tiny_spec
from torch import nn
from torch.nn import functional as F

from squeeze_utils.data import normalise
from squeeze_utils.models import build
from squeeze_utils.training import evaluation
from squeeze_utils.training.evaluation import (
    count_views,
    evaluate,
    evaluate_views,
    evaluating,
    watching,
)


def mixed() -> nn.Module:
    """A network in training of which one normalisation is in evaluation, as for fine-tuning."""
    model = build("squeezenet_small", 3, width=0.125).train()
    model.features[1].eval()
    return model


def modes(model: nn.Module) -> list[bool]:
    return [module.training for module in model.modules()]


def test_within_all_modules_are_in_one_mode_and_afterwards_each_in_its_own():
    model = mixed()
    before = modes(model)
    with evaluating(model):
        assert not any(modes(model))
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


def shifted(image: np.ndarray, down: int, right: int, mirror: bool) -> np.ndarray:
    """An image (c, h, w), mirrored and then moved, reflected at the edges."""
    size = image.shape[1]
    padded = np.pad(image[..., ::-1] if mirror else image, ((0, 0), (2, 2), (2, 2)), "reflect")
    return padded[:, 2 - down : 2 - down + size, 2 - right : 2 - right + size]


@pytest.mark.parametrize(("shift", "views"), [(2, 18), (1, 18), (0, 2)])
def test_views_are_averaged_before_the_answer(shift, views):
    data = tiny_set()
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 30), nn.Tanh(), nn.Linear(30, 3)).train()
    images = normalise(data.test.images, data.mean, data.std).numpy()
    moves = sorted({-shift, 0, shift})
    answers = [
        model(torch.from_numpy(np.stack([shifted(i, down, right, mirror) for i in images])))
        for down in moves
        for right in moves
        for mirror in (False, True)
    ]
    assert len(answers) == views == count_views(shift)
    logits = torch.stack(answers).mean(0)
    found = evaluate_views(model, data.test, data, shift=shift)
    expected = F.cross_entropy(logits, data.test.labels).item()
    assert found.loss == pytest.approx(expected, rel=1e-5)
    hits = (logits.argmax(1) == data.test.labels).float().mean().item()
    assert found.accuracy == pytest.approx(100 * hits)
    assert found.confusion.sum() == len(data.test) and model.training


def test_the_ordinary_evaluation_makes_no_views(monkeypatch):
    data, model = tiny_set(), tiny_spec().build()
    plain = evaluate(model, data.test, data)
    monkeypatch.setattr(evaluation, "_views", None)
    assert evaluate(model, data.test, data).loss == plain.loss
    with pytest.raises(ValueError, match="shift must be a whole number from 0 to 7, got 8"):
        evaluate_views(model, data.test, data, shift=8)
