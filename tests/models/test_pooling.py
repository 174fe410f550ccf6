"""Ways to halve a map: shapes for even and odd sides, arithmetic, parameters, and both heads."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from squeeze_utils.anatomy.tables import summary
from squeeze_utils.models import POOLINGS, build
from squeeze_utils.models.layers import BlurPool, MixedPool, WideBlurPool, pooling
from squeeze_utils.models.squeezenet_config import HEADS
from squeeze_utils.studies.pooling import PLACES

THIN = {"width": 0.125, "num_classes": 10}


def parameters(model: nn.Module) -> int:
    return sum(p.numel() for p in model.parameters())


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize("side", [3, 4, 5, 7, 8, 15, 16, 31, 32])
def test_sides_after_pooling(name, side):
    """Windows without padding round down (n - 1) / 2 for odd n, padded ones round up."""
    padded = name in ("stride", "blur")
    expected = (side + 1) // 2 if padded else side // 2
    found = pooling(name, 5)(torch.randn(2, 5, side, side + 2))
    assert found.shape == (2, 5, expected, expected + 1)


@pytest.mark.parametrize("name", POOLINGS)
@pytest.mark.parametrize(
    ("pool_after", "sides"),
    [((1, 3, 5), [16, 8, 4]), ((1, 2, 3), [16, 8, 4]), ((2, 5, 8), [16, 8, 4])],
)
def test_a_32_pixel_image_at_each_pool_of_the_network(name, pool_after, sides):
    model = build("squeezenet_small", pooling=name, pool_after=pool_after, **THIN).eval()
    kind = type(pooling(name, 1))
    pools = [
        layer
        for layer in model.features
        if type(layer) is kind and (kind is not nn.Conv2d or layer.stride == (2, 2))
    ]
    seen = []
    for layer in pools:
        layer.register_forward_hook(lambda _, given, out: seen.append((given[0].shape, out.shape)))
    with torch.no_grad():
        scores = model(torch.randn(1, 3, 32, 32))
    assert scores.shape == (1, 10)
    assert [out[2] for _, out in seen] == [out[3] for _, out in seen] == sides
    assert [before[2] for before, _ in seen] == [32, 16, 8]
    assert all(before[1] == out[1] for before, out in seen)


def test_equal_windows_see_three_pixels_and_the_strided_one_is_normalised():
    x = torch.zeros(1, 1, 9, 9)
    x[0, 0, 4, 4] = 1.0
    wide, narrow = WideBlurPool()(x), pooling("blur", 1)(x)
    assert wide.sum() > narrow.sum()
    assert torch.equal(wide, wide.flip(2)) and torch.equal(wide, wide.flip(3))
    conv, norm, relu = pooling("strided block", 3)
    assert conv.bias is None and conv.stride == (2, 2) and conv.groups == 3
    assert isinstance(norm, nn.BatchNorm2d) and isinstance(relu, nn.ReLU)


def test_blur_is_a_dense_maximum_and_the_binomial_filter():
    x = torch.randn(2, 3, 9, 12, generator=torch.Generator().manual_seed(0))
    dense = F.max_pool2d(F.pad(x, (0, 1, 0, 1), mode="replicate"), 2, stride=1)
    row = torch.tensor([1.0, 2.0, 1.0]) / 4
    kernel = torch.outer(row, row).expand(3, 1, 3, 3)
    padded = F.pad(dense, (1, 1, 1, 1), mode="replicate")
    torch.testing.assert_close(BlurPool()(x), F.conv2d(padded, kernel, stride=2, groups=3))
    assert parameters(BlurPool()) == 0


def test_a_stripe_survives_neither_blur_nor_max_but_swings_in_the_average():
    stripe = torch.tensor([1.0, 0.0]).repeat(6).expand(1, 1, 12, 12).contiguous()
    for name, expected in (("max", [1, 1]), ("blur", [1, 1]), ("average", [2 / 3, 1 / 3])):
        inner = [pooling(name, 1)(x)[0, 0, 2, 2] for x in (stripe, stripe.roll(1, 3))]
        assert [float(value) for value in inner] == pytest.approx(expected)


def test_mixed_starts_halfway_and_reaches_both_ends():
    x = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    layer = MixedPool()
    assert float(torch.sigmoid(layer.blend.detach())) == 0.5
    assert parameters(layer) == 1
    for value, end in ((40.0, "max"), (-40.0, "average")):
        with torch.no_grad():
            layer.blend.fill_(value)
        torch.testing.assert_close(layer(x), pooling(end, 3)(x))
    layer = MixedPool()
    layer(x).sum().backward()
    assert layer.blend.grad is not None and float(layer.blend.grad) > 0  # max is never smaller


def test_a_strided_convolution_has_nine_weights_and_a_bias_for_each_channel():
    layer = pooling("stride", 7)
    assert parameters(layer) == 10 * 7
    x = torch.zeros(1, 7, 6, 6)
    x[0, 3] = 1.0
    changed = (layer(x) - layer(torch.zeros_like(x))).abs().sum((0, 2, 3)) > 0
    assert changed.nonzero().flatten().tolist() == [3]  # no channel reads another
    plain, strided = (build("squeezenet_small", pooling=name, **THIN) for name in ("max", "stride"))
    channels = [layer.in_channels for layer in strided.features[:10] if _is_depthwise(layer)]
    assert parameters(strided) - parameters(plain) == 10 * sum(channels) > 0
    assert len(channels) == 3


def _is_depthwise(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and layer.groups == layer.in_channels > 1


def test_places_cost_no_parameters_and_four_times_the_work_of_what_sees_a_doubled_map():
    models = {name: build("squeezenet_small", pool_after=at, **THIN) for name, at in PLACES.items()}
    assert len({parameters(model) for model in models.values()}) == 1
    work = {name: summary(model, (3, 32, 32))["multiply_adds"] for name, model in models.items()}
    assert work["early"] < work["as in 1.1"] < work["late"]
    none, all_late = (
        build("squeezenet_small", pool_after=at, final_relu=False, **THIN) for at in ((1,), ())
    )
    first = none.features[0].weight.numel() * 32 * 32  # conv1 stands before the pool
    halved, whole = (summary(m, (3, 32, 32))["multiply_adds"] for m in (none, all_late))
    assert whole - first == 4 * (halved - first)


@pytest.mark.parametrize("place", [0, 10, -1])
def test_a_place_that_does_not_exist_is_refused(place):
    with pytest.raises(ValueError, match=r"pool_after accepts layers 1 to 9, got \(1, "):
        build("squeezenet_small", pool_after=(1, place))


def test_unknown_names_are_refused_with_the_accepted_ones():
    with pytest.raises(ValueError, match="unknown pooling 'median'; accepted: max, average, str"):
        pooling("median", 4)
    with pytest.raises(ValueError, match="unknown head 'fc'; accepted: average, dense"):
        build("squeezenet_small", head="fc")


@pytest.mark.parametrize("head", HEADS)
@pytest.mark.parametrize("side", [16, 24, 32, 64])
def test_both_heads_take_every_size(head, side):
    model = build("squeezenet_small", head=head, **THIN).eval()
    assert model(torch.randn(2, 3, side, side)).shape == (2, 10)


def test_the_dense_head_has_sixteen_times_the_weights_and_the_same_multiply_adds():
    average, dense = (build("squeezenet_small", head=head, **THIN) for head in HEADS)
    channels = average.classifier[1].in_channels
    linear = next(layer for layer in dense.classifier if isinstance(layer, nn.Linear))
    assert linear.weight.shape == (10, 16 * channels)
    assert parameters(dense) - parameters(average) == 10 * 15 * channels
    work = [summary(model, (3, 32, 32))["multiply_adds"] for model in (average, dense)]
    assert work[0] == work[1]


def test_the_average_head_is_a_dense_head_with_shared_weights():
    torch.manual_seed(0)
    average, dense = (build("squeezenet_small", head=head, **THIN).eval() for head in HEADS)
    dense.features.load_state_dict(average.features.state_dict())
    conv10 = average.classifier[1]
    linear = next(layer for layer in dense.classifier if isinstance(layer, nn.Linear))
    with torch.no_grad():
        shared = conv10.weight.flatten(1)[:, :, None].expand(-1, -1, 16) / 16
        linear.weight.copy_(shared.flatten(1))
        linear.bias.copy_(conv10.bias)
        x = torch.randn(3, 3, 32, 32)
        torch.testing.assert_close(dense(x), average(x), rtol=1e-4, atol=1e-6)
