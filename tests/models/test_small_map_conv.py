"""The convolution whose weights' gradient is one product of matrices."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from squeeze_utils.models import ModelSpec
from squeeze_utils.models.small_map_conv import SmallMapConv2d


def gradients(layer: nn.Module, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
    torch.manual_seed(1)
    y = layer(x)
    return (y, *torch.autograd.grad(y, [x, layer.weight], torch.randn_like(y)))


@pytest.mark.parametrize("side", [(1, 1), (2, 2), (4, 8), (5, 8)])
@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_outputs_and_gradients_are_conv2ds(side, layout):
    torch.manual_seed(0)
    ours = SmallMapConv2d(32, 7).to(memory_format=layout)
    theirs = nn.Conv2d(32, 7, 3, padding=1, bias=False)
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(3, 32, *side).contiguous(memory_format=layout).requires_grad_()
    for found, expected in zip(gradients(ours, x), gradients(theirs, x), strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("frozen", ["x", "weight"])
def test_what_needs_no_gradient_gets_none(frozen):
    layer = SmallMapConv2d(2, 3)
    x = torch.randn(1, 2, 4, 4, requires_grad=frozen != "x")
    layer.weight.requires_grad_(frozen != "weight")
    layer(x).sum().backward()
    assert (x.grad is None) == (frozen == "x")
    assert (layer.weight.grad is None) == (frozen == "weight")


def test_a_wide_map_goes_conv2ds_way_and_so_do_few_channels_and_a_network_in_use():
    layer = SmallMapConv2d(80, 3)
    small, wide = torch.randn(1, 80, 8, 8), torch.randn(1, 80, 8, 9)
    few = SmallMapConv2d(15, 3)(torch.randn(1, 15, 4, 4))
    assert "Convolve" not in type(few.grad_fn).__name__
    assert "Convolve" in type(layer(small).grad_fn).__name__
    assert "Convolve" not in type(layer(wide).grad_fn).__name__
    assert "Convolve" not in type(layer.eval()(small).grad_fn).__name__


def test_vgg_for_small_images_has_it_where_there_are_many_channels():
    def found(**options: int) -> list[int]:
        with torch.device("meta"):
            model = ModelSpec.of("vgg11", num_classes=10, **options).build()
        return [m.out_channels for m in model.modules() if isinstance(m, SmallMapConv2d)]

    assert found(image_size=32) == [256, 256, 512, 512, 512, 512]
    assert found(image_size=224) == []
