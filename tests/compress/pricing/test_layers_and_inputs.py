from __future__ import annotations

import pytest
import torch
from biased_networks import biased_network, grey_images
from torch import nn

from squeeze_utils.compress.pricing import (
    layers_and_inputs,
)
from squeeze_utils.models import build


@pytest.fixture(scope="module")
def model() -> nn.Module:
    return biased_network(0.25)


@pytest.fixture(scope="module")
def images() -> torch.Tensor:
    return grey_images()


def test_windows_times_weights_are_the_convolution():
    conv = nn.Conv2d(3, 4, 3, stride=2, padding=1)
    x = torch.randn(2, 3, 9, 9)
    at = layers_and_inputs.window_places(x, conv, 25, torch.Generator().manual_seed(0))
    seen = layers_and_inputs.windows(x, conv, at) @ conv.weight.flatten(1).T + conv.bias
    wanted = conv(x)[:, :, at[:, 0], at[:, 1]].permute(0, 2, 1).reshape(-1, 4)
    assert torch.allclose(seen, wanted, atol=1e-5)
    assert at.unique(dim=0).shape == (25, 2) and at.max() == 4  # every place of 5 x 5, once


def test_places_of_a_large_map_are_drawn_from_all_of_it():
    conv, x = nn.Conv2d(3, 4, 3, stride=2, padding=1), torch.randn(2, 3, 40, 24)
    drawn = [
        layers_and_inputs.window_places(x, conv, 96, torch.Generator().manual_seed(seed))
        for seed in range(30)
    ]
    assert all(at.shape == (96, 2) for at in drawn)
    assert torch.cat(drawn).unique(dim=0).shape == (20 * 12, 2)


def test_of_many_images_each_gives_fewer_windows():
    images = (2, 1000, 2000, 45_000, 1_000_000)
    assert [layers_and_inputs.windows_of_each(n) for n in images] == [96, 96, 48, 2, 1]


def with_dense_layers() -> list[nn.Module]:
    """LeNet-5, a SqueezeNet with a dense head, and VGG-11 of thin Fire modules for 32 pixels."""
    torch.manual_seed(0)
    small = {"num_classes": 10, "in_channels": 1}
    return [
        build("lenet5", image_size=16, **small),
        build("squeezenet_small", width=0.25, norm="none", head="dense", **small),
        build("vgg11", image_size=32, fire=True, normalisation="none", **small),
    ]


@pytest.mark.parametrize("which", range(4))
def test_a_layer_sees_what_the_network_hands_it(which, model, images):
    model = [model, *with_dense_layers()][which].eval()
    images = nn.functional.interpolate(images, scale_factor=2) if which == 3 else images
    seen = {}
    handles = [
        conv.register_forward_pre_hook(lambda m, args, n=name: seen.__setitem__(n, args[0]))
        for name, conv in layers_and_inputs.weighted(model).items()
    ]
    with torch.no_grad():
        model(images)
        for handle in handles:
            handle.remove()
        x = images
        for stage in layers_and_inputs.stages(model):
            for name in layers_and_inputs.layers_of(stage):
                found = layers_and_inputs.input_of(stage, name, x)
                assert torch.equal(found.view_as(seen[name]), seen.pop(name)), name
            x = layers_and_inputs.run_stage(stage, x)
    assert not seen


def test_stages_hold_every_convolution_once(model):
    names = [
        n for stage in layers_and_inputs.stages(model) for n in layers_and_inputs.layers_of(stage)
    ]
    convolutions = [n for n, m in model.named_modules() if isinstance(m, nn.Conv2d)]
    assert sorted(names) == sorted(convolutions) and len(names) == 26
    x = torch.randn(1, 1, 16, 16)
    out = x
    for stage in layers_and_inputs.stages(model):
        for _, module in stage:
            out = module(out)
    assert torch.equal(out.flatten(1), model(x))


def test_the_correction_undoes_a_linear_change_of_the_inputs():
    generator = torch.Generator().manual_seed(0)
    original = torch.randn(4000, 6, generator=generator)
    mix = torch.eye(6) + 0.2 * torch.randn(6, 6, generator=generator)
    moments = layers_and_inputs.Moments.empty(6)
    moments.add(original @ mix, original)
    weight = torch.randn(3, 6, generator=generator)
    before = ((original - original @ mix) @ weight.T).square().mean()
    after = (original @ weight.T - original @ mix @ moments.corrected(weight).T).square().mean()
    assert after < 0.002 * before
