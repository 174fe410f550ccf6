"""The shorter ways through a network in training give what its modules give one by one."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from squeeze_utils.models import build, fused
from squeeze_utils.models.fused import Features, PointwiseConv2d, fusible, norm_relu_pool


def three(channels: int = 6, side: int = 9) -> tuple[nn.BatchNorm2d, nn.MaxPool2d, torch.Tensor]:
    """A norm with factors of both signs, a pooling layer and a map, in float64."""
    torch.manual_seed(0)
    norm = nn.BatchNorm2d(channels).double()
    nn.init.normal_(norm.weight)
    nn.init.normal_(norm.bias)
    x = torch.randn(4, channels, side, side, dtype=torch.float64) + 2
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    return norm, nn.MaxPool2d(3, stride=2, ceil_mode=True), x


def one_by_one(model: nn.Module) -> nn.Module:
    """The model with a hook that changes nothing on every module, so that none is passed over."""
    for module in model.modules():
        module.register_forward_hook(lambda *_: None)
    return model


def passed(model: nn.Module, x: torch.Tensor) -> list[torch.Tensor]:
    """Output, gradients and buffers of one pass in training."""
    torch.manual_seed(1)
    y = model.train()(x)
    grads = torch.autograd.grad(y, [x, *model.parameters()], torch.randn(y.shape, dtype=y.dtype))
    return [y, *grads, *(buffer.clone() for buffer in model.buffers())]


@pytest.mark.parametrize("side", [8, 9])
@pytest.mark.parametrize("sign", [1.0, -1.0, None])
def test_pooling_before_normalising_has_the_same_gradients_and_statistics(side, sign):
    norm, pool, x = three(side=side)
    if sign is not None:
        norm.weight.data.abs_().mul_(sign)
    found = passed(Features(norm, nn.ReLU(), pool), x)
    norm.reset_running_stats()
    expected = passed(nn.Sequential(norm, nn.ReLU(), pool), x)
    for one, other in zip(found, expected, strict=True):
        torch.testing.assert_close(one, other)


def test_the_gradients_are_those_of_the_function():
    norm, pool, x = three(channels=2, side=5)

    def function(x, weight, bias):
        parts = (x, weight, bias, (norm.running_mean, norm.running_var), norm, pool)
        return fused._NormReluPool.apply(*parts)

    assert torch.autograd.gradcheck(function, (x, norm.weight, norm.bias))


@pytest.mark.parametrize("options", [{}, {"bypass": "simple"}, {"bypass": "complex"}])
def test_a_network_learns_what_it_learns_module_by_module(options):
    torch.manual_seed(0)
    model = build("squeezenet_small", 10, width=0.25, **options).double()
    x = torch.randn(8, 3, 32, 32, dtype=torch.float64, requires_grad=True)
    state = {name: value.clone() for name, value in model.state_dict().items()}
    found = passed(model, x)
    model.load_state_dict(state)
    for one, other in zip(found, passed(one_by_one(model), x), strict=True):
        torch.testing.assert_close(one, other)


def test_bfloat16_is_no_further_from_the_exact_result_than_module_by_module():
    torch.manual_seed(0)
    model = build("squeezenet_small", 10, width=0.25).to(memory_format=torch.channels_last)
    x = torch.randn(32, 3, 32, 32).contiguous(memory_format=torch.channels_last)

    def gradients() -> torch.Tensor:
        loss = model(x).float().square().sum()
        return torch.cat([g.flatten() for g in torch.autograd.grad(loss, [*model.parameters()])])

    exact = gradients()
    with torch.autocast("cpu", torch.bfloat16):
        found = gradients()
        plainly = one_by_one(model) and gradients()
    assert found.isfinite().all()
    assert (found - exact).norm() < 1.3 * (plainly - exact).norm() + 1e-3 * exact.norm()


def test_watched_or_different_modules_are_not_passed_over():
    norm, pool, x = three()
    relu = nn.ReLU()
    assert fusible(x, norm, relu, pool)
    for module in (norm, relu, pool):
        for register in ("forward_hook", "forward_pre_hook", "full_backward_hook"):
            handle = getattr(module, f"register_{register}")(lambda *_: None)
            assert not fusible(x, norm, relu, pool)
            handle.remove()
    handle = nn.modules.module.register_module_forward_hook(lambda *_: None)
    assert not fusible(x, norm, relu, pool)
    handle.remove()
    assert not fusible(x, norm, nn.LeakyReLU(), pool)
    assert not fusible(x, norm, nn.Sequential(relu), pool)
    assert not fusible(x, norm, relu, nn.AvgPool2d(2))
    assert not fusible(x, nn.BatchNorm2d(6, track_running_stats=False), relu, pool)
    parametrize.register_parametrization(norm, "weight", nn.Identity())
    assert not fusible(x, norm, relu, pool)
    assert fusible(x, nn.BatchNorm2d(6), relu, pool)
    assert not fusible(x, nn.BatchNorm2d(6).eval(), relu, pool)


def test_hooks_in_a_network_see_every_module_in_training():
    model = build("squeezenet_small", 10, width=0.125)
    seen = []
    for name, module in model.named_modules():
        module.register_forward_hook(lambda *_, name=name: seen.append(name))
    model.train()(torch.randn(2, 3, 32, 32))
    left_out = {name for name, _ in model.named_modules()} - set(seen)
    assert all(name.endswith("sum_quant") for name in left_out)


def test_a_network_in_use_goes_through_its_modules(monkeypatch):
    model = build("squeezenet_small", 10, width=0.125).eval()
    monkeypatch.setattr(fused, "norm_relu_pool", None)
    monkeypatch.setattr(fused.F, "linear", None)
    assert model(torch.randn(2, 3, 32, 32)).shape == (2, 10)


@pytest.mark.parametrize("bias", [True, False])
def test_a_pointwise_convolution_is_conv2d_with_its_names(bias):
    torch.manual_seed(0)
    ours, theirs = PointwiseConv2d(5, 7, bias=bias), nn.Conv2d(5, 7, 1, bias=bias)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 5, 4, 4, requires_grad=True)
    assert "Permute" in type(ours(x).grad_fn).__name__
    assert "Convolution" in type(ours.eval()(x).grad_fn).__name__
    for one, other in zip(passed(ours, x), passed(theirs, x), strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)
    parametrize.register_parametrization(ours, "weight", Doubled())
    torch.testing.assert_close(
        ours(x) - theirs(x), nn.functional.conv2d(x, theirs.weight), rtol=1e-4, atol=1e-5
    )


class Doubled(nn.Module):
    def forward(self, weight: torch.Tensor) -> torch.Tensor:
        return 2 * weight


def test_the_statistics_are_counted():
    norm, pool, x = three()
    norm_relu_pool(x, norm, pool)
    assert norm.num_batches_tracked == 1
