from __future__ import annotations

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from squeeze_utils.models import build
from squeeze_utils.training import optimizers
from squeeze_utils.training.muon import COEFFICIENTS, ITERATIONS, orthogonal


@pytest.fixture
def model() -> nn.Module:
    torch.manual_seed(0)
    return build("squeezenet_small", width=0.125, in_channels=1, pooling="mixed")


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_every_optimizer_lowers_a_loss(name, model):
    x, y = torch.randn(8, 1, 16, 16), torch.arange(8)
    optimizer = optimizers.make_optimizer(name, model, lr=0.003)
    losses = []
    for _ in range(12):
        optimizer.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize("name", ["sgd", "momentum", "nesterov", "rmsprop", "adam", "adamw"])
def test_weight_decay_reaches_weights_but_neither_biases_nor_norms(name, model):
    groups = optimizers.make_optimizer(name, model, 0.1, weight_decay=0.01).param_groups
    decay = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert len(decay) == len(list(model.parameters()))
    for module in model.modules():
        for parameter in module.parameters(recurse=False):
            is_weight = isinstance(module, nn.Conv2d) and parameter.ndim == 4
            assert decay[id(parameter)] == (0.01 if is_weight else 0.0)


@pytest.mark.parametrize("name", ["sgd", "adamw", "muon"])
def test_without_a_gradient_only_decay_moves_a_weight(name):
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 2, 1))
    nn.init.ones_(model[0].bias)
    before = [p.detach().clone() for p in model.parameters()]
    optimizer = optimizers.make_optimizer(name, model, lr=0.5, weight_decay=0.1)
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    optimizer.step()
    for old, new in zip(before, model.parameters(), strict=True):
        factor = 0.95 if new.ndim >= 2 else 1.0
        assert torch.allclose(new, factor * old, atol=1e-6)


@pytest.mark.parametrize("memory", [torch.contiguous_format, torch.channels_last])
@pytest.mark.parametrize("number", ["bfloat16", "float32"])
def test_muon_moves_a_convolution_as_the_matrix_that_it_is(memory, number, monkeypatch):
    monkeypatch.setattr("squeeze_utils.training.muon.precision", lambda *_: number)
    torch.manual_seed(0)
    conv = nn.Conv2d(3, 8, 3, bias=False).to(memory_format=memory)
    matrix = nn.Parameter(conv.weight.detach().permute(0, 2, 3, 1).flatten(1).clone())
    start = matrix.detach().clone()
    ours = optimizers.make_optimizer("muon", conv, lr=0.02, weight_decay=0.1)
    theirs = torch.optim.Muon([matrix], 0.02, weight_decay=0.1, adjust_lr_fn="match_rms_adamw")
    for step in range(3):
        gradient = torch.randn(8, 3, 3, 3)
        conv.weight.grad = gradient.clone(memory_format=memory)
        matrix.grad = gradient.permute(0, 2, 3, 1).flatten(1)
        optimizers.set_lr(ours.param_groups, 0.02 / (step + 1))
        optimizers.set_lr(theirs.param_groups, 0.02 / (step + 1))
        ours.step()
        theirs.step()
    moved = conv.weight.permute(0, 2, 3, 1).flatten(1)
    assert (moved - matrix).norm() < 0.02 * (matrix - start).norm()


def test_large_matrices_are_made_orthogonal_in_bfloat16_where_that_is_an_instruction(monkeypatch):
    torch.manual_seed(0)
    matrices = [torch.randn(192, 300), torch.randn(250, 185), torch.randn(16, 20)]
    found = {}
    for number in ("float32", "bfloat16"):
        monkeypatch.setattr("squeeze_utils.training.muon.precision", lambda *_, n=number: n)
        found[number] = orthogonal(matrices)
    pairs = list(zip(found["float32"], found["bfloat16"], strict=True))
    assert torch.equal(*pairs[2])
    for one, other in pairs[:2]:
        assert one.shape == other.shape and one.dtype == other.dtype
        assert 0 < (one - other).norm() < 0.05 * one.norm()


def step_by_step(matrix: torch.Tensor) -> torch.Tensor:
    """Newton-Schulz as it is written down: one matrix, multiplied in every iteration."""
    a, b, c = COEFFICIENTS
    x = matrix / matrix.norm()
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


def test_matrices_are_made_orthogonal_either_way_round():
    torch.manual_seed(0)
    for found in orthogonal([torch.randn(6, 40), torch.randn(40, 6)]):
        values = torch.linalg.svdvals(found)
        assert values.shape == (6,) and 0.6 < values.min() <= values.max() < 1.3
    assert orthogonal([]) == []


def test_many_matrices_at_once_give_what_each_gives_by_itself():
    torch.manual_seed(0)
    shapes = ((4, 16), (16, 4), (16, 36), (9, 9), (17, 40), (48, 108), (128, 600), (1, 5))
    matrices = [torch.randn(shape) * torch.logspace(0, -3, shape[1]) for shape in shapes]
    for matrix, found in zip(matrices, orthogonal(matrices), strict=True):
        wide = matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T
        expected = step_by_step(wide)
        expected = expected if wide is matrix else expected.T
        assert (found - expected).norm() < 1e-3 * expected.norm()


def test_a_wide_matrix_is_made_orthogonal_element_by_element_either_way_round():
    wide = torch.randn(128, 600) * torch.logspace(0, -4, 128)[:, None]
    expected = step_by_step(wide)
    for found in (orthogonal([wide])[0], orthogonal([wide.T])[0].T):
        torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-5)


def test_a_layer_without_a_gradient_does_not_disturb_the_others():
    torch.manual_seed(0)
    zero, matrix = torch.zeros(3, 4), torch.randn(3, 4)
    alone, beside = orthogonal([matrix])[0], orthogonal([zero, matrix])
    assert not beside[0].any() and torch.equal(beside[1], alone)


def test_frozen_parameters_are_left_out(model):
    model.features[0].weight.requires_grad_(False)
    groups = optimizers.make_optimizer("sgd", model, 0.1).param_groups
    assert all(p is not model.features[0].weight for group in groups for p in group["params"])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sdg", 0.1), "unknown optimizer 'sdg'; accepted: sgd, perturbed, momentum"),
        (("sgd", 0.0), "learning rate must be positive, got 0.0"),
        (("sgd", math.inf), "learning rate must be positive, got inf"),
        (("sgd", 0.1, -1.0), "weight_decay must be at least 0, got -1.0"),
    ],
)
def test_refused(arguments, words, model):
    name, *numbers = arguments
    with pytest.raises(ValueError, match=words):
        optimizers.make_optimizer(name, model, *numbers)


def test_a_model_without_trainable_parameters_is_refused(model):
    with pytest.raises(ValueError, match="no trainable parameter"):
        optimizers.make_optimizer("sgd", model.requires_grad_(False), 0.1)


@pytest.mark.parametrize("t", [0.0, 0.1, 0.2, 0.35, 0.6, 0.999])
def test_schedules_are_their_formulas(t):
    assert optimizers.make_schedule("constant")(t) == 1.0
    assert optimizers.make_schedule("linear")(t) == pytest.approx(1 - t)
    assert optimizers.make_schedule("cosine")(t) == pytest.approx(0.5 * (1 + math.cos(math.pi * t)))
    rising, falling = t / 0.2, (1 - t) / 0.8
    assert optimizers.make_schedule("one_cycle")(t) == pytest.approx(min(rising, falling))


def test_unknown_schedule():
    with pytest.raises(ValueError, match="unknown schedule 'step'; accepted: constant, linear"):
        optimizers.make_schedule("step")
