"""Chapter 05: counts, shapes and windows of every kernel and ratio that its studies train."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from squeeze_utils.models import EXPANDS, SMALL, Fire, build
from squeeze_utils.models.fire import expand_3x3
from squeeze_utils.studies.kernels import FIRST, RATIOS, SHARES

WIDTHS = {i: 128 + 128 * ((i - 2) // 2) for i in range(2, 10)}


def on_meta(**options) -> nn.Module:
    with torch.device("meta"):
        return build("squeezenet_small", **options)


def weights(module: nn.Module) -> int:
    """Parameters of the convolutions alone, without biases."""
    return sum(m.weight.numel() for m in module.modules() if isinstance(m, nn.Conv2d))


def by_formula(ratio: float, share: float) -> list[float]:
    """N = ratio e (C + e (1 + 8 share)) for Fire modules 2 to 9, with 64 channels coming in."""
    inputs = [SMALL.first_channels, *list(WIDTHS.values())[:-1]]
    return [
        ratio * e * (C + e * (1 + 8 * share)) for C, e in zip(inputs, WIDTHS.values(), strict=True)
    ]


@pytest.mark.parametrize("share", SHARES)
@pytest.mark.parametrize("ratio", RATIOS)
def test_weights_of_every_fire_module_follow_the_formula(ratio, share):
    built = [weights(f) for f in on_meta(squeeze_ratio=ratio, pct3x3=share).fires().values()]
    if share in (0.25, 0.5, 0.75):  # whole numbers of filters
        assert built == by_formula(ratio, share)
    else:
        assert built == pytest.approx(by_formula(ratio, share), rel=0.02)


def test_every_number_of_filters_is_the_rounded_share():
    for share in SHARES:
        for i, fire in on_meta(pct3x3=share, squeeze_ratio=0.5).fires().items():
            e3 = fire.expand3x3.out_channels
            assert e3 == max(1, round(share * WIDTHS[i]))
            assert e3 + fire.expand1x1.out_channels == fire.out_channels == WIDTHS[i]


def test_a_share_never_leaves_a_side_without_filters():
    for share in (1e-6, 1 - 1e-6):
        for fire in on_meta(pct3x3=share, width=0.05).fires().values():
            assert min(fire.expand1x1.out_channels, fire.expand3x3.out_channels) == 1


@pytest.mark.parametrize("kind", EXPANDS)
def test_every_expand_keeps_the_shapes_of_the_plain_network(kind):
    plain, other = on_meta().eval(), on_meta(expand=kind).eval()
    x = torch.empty(2, 3, 32, 32, device="meta")
    for one, two in zip(plain.features, other.features, strict=True):
        assert one(x).shape == two(x).shape
        x = one(x)
    assert other(torch.empty(2, 3, 32, 32, device="meta")).shape == (2, 10)


@pytest.mark.parametrize(("name", "layers", "kernel"), [
    ("3x3", 1, 3), ("5x5", 1, 5), ("7x7", 1, 7), ("two 3x3", 2, 3),
])  # fmt: skip
def test_every_first_layer_keeps_the_32_pixels(name, layers, kernel):
    model = on_meta(width=0.5, **FIRST[name]).eval()
    pool = next(i for i, m in enumerate(model.features) if isinstance(m, nn.MaxPool2d))
    first = model.features[:pool]
    convolutions = [m for m in first if isinstance(m, nn.Conv2d)]
    assert [m.kernel_size for m in convolutions] == [(kernel, kernel)] * layers
    assert first(torch.empty(1, 3, 32, 32, device="meta")).shape == (1, 32, 32, 32)
    assert weights(first) == kernel**2 * (3 * 32 + (layers - 1) * 32 * 32)
    assert sum(isinstance(m, nn.ReLU) for m in first) == layers


def window(layer: nn.Module, channels: int, side: int = 15) -> torch.Tensor:
    """Offsets from the middle, (n, 2), of the pixels that the middle output has a gradient from."""
    image = torch.rand(1, channels, side, side, requires_grad=True)
    layer(image)[0, :, side // 2, side // 2].sum().backward()
    return image.grad[0].abs().sum(0).nonzero() - side // 2


def square(*offsets: int) -> set[tuple[int, int]]:
    return {(y, x) for y in offsets for x in offsets}


WINDOWS = {
    "plain": square(-1, 0, 1),
    "depthwise": square(-1, 0, 1),
    "dilated": square(-2, 0, 2),
}


@pytest.mark.parametrize("kind", EXPANDS)
def test_what_one_output_of_an_expand_layer_sees(kind):
    torch.manual_seed(0)
    fire = Fire(3, 4, 5, 6, act="tanh", expand=kind)
    seen = {tuple(place) for place in window(fire, 3).tolist()}
    assert seen == WINDOWS[kind]


def test_dilated_sees_a_window_of_five_and_two_keep_their_holes():
    torch.manual_seed(0)
    one = window(expand_3x3("dilated", 2, 3, bias=True), 2)
    assert (int(one.min()), int(one.max()), len(one)) == (-2, 2, 9)
    two = nn.Sequential(*(Fire(4, 4, 2, 2, act="tanh", expand="dilated") for _ in range(2)))
    assert {tuple(p) for p in window(two, 4).tolist()} == square(-4, -2, 0, 2, 4)


@pytest.mark.parametrize("name", ["5x5", "two 3x3"])
def test_two_stacked_layers_see_as_far_as_one_of_five(name):
    torch.manual_seed(0)
    model = build("squeezenet_small", width=0.5, activation="tanh", **FIRST[name]).eval()
    pool = next(i for i, m in enumerate(model.features) if isinstance(m, nn.MaxPool2d))
    assert {tuple(p) for p in window(model.features[:pool], 3).tolist()} == square(*range(-2, 3))


@pytest.mark.parametrize(("s", "e3"), [(1, 1), (4, 6), (16, 64), (64, 256)])
def test_cost_of_a_depthwise_separable_layer(s, e3):
    plain, separable = (weights(expand_3x3(k, s, e3, bias=True)) for k in ("plain", "depthwise"))
    assert plain == weights(expand_3x3("dilated", s, e3, bias=True)) == 9 * s * e3
    assert separable / plain == pytest.approx(1 / e3 + 1 / 9)


def test_a_depthwise_separable_layer_is_one_convolution_of_rank_one_per_channel():
    torch.manual_seed(0)
    layer = expand_3x3("depthwise", 3, 5, bias=False).double()
    within, across = layer
    kernel = across.weight * within.weight[:, 0]  # (5, 3, 3, 3)
    x = torch.randn(2, 3, 6, 7, dtype=torch.float64)
    torch.testing.assert_close(layer(x), nn.functional.conv2d(x, kernel, padding=1))
    assert all(torch.linalg.matrix_rank(kernel[:, c].flatten(1)) == 1 for c in range(3))


@pytest.mark.parametrize("kind", EXPANDS)
def test_a_gradient_reaches_every_weight(kind):
    torch.manual_seed(0)
    model = build("squeezenet_small", width=0.25, expand=kind, first_repeat=2)
    nn.functional.cross_entropy(model(torch.randn(4, 3, 16, 16)), torch.arange(4)).backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in model.parameters())


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"expand": "shuffled"}, "unknown expand 'shuffled'; accepted: plain, depthwise, dilated"),
        ({"head": "sparse"}, "unknown head 'sparse'; accepted: average, dense"),
        ({"init": "zeros"}, "unknown init 'zeros'; accepted: kaiming, matched"),
        ({"pct3x3": 0}, "pct3x3 must lie in .0, 1., got 0"),
        ({"pct3x3": 1}, "pct3x3 must lie in .0, 1., got 1"),
        ({"pct3x3": -0.5}, "pct3x3 must lie in"),
        ({"squeeze_ratio": 0.0}, "squeeze_ratio must be positive, got 0.0"),
        ({"squeeze_ratio": -0.125}, "squeeze_ratio must be positive, got -0.125"),
        ({"first_repeat": 0}, "first_repeat must be a whole number from 1 to 8, got 0"),
        ({"first_repeat": 9}, "first_repeat must be a whole number from 1 to 8, got 9"),
        ({"first_repeat": 1.5}, "first_repeat must be a whole number from 1 to 8, got 1.5"),
        ({"first_padding": -1}, "first_padding must be a whole number of at least 0, got -1"),
    ],
)
def test_refused(options, words):
    with pytest.raises(ValueError, match=words):
        build("squeezenet_small", **options)


def test_an_unknown_expand_is_refused_by_the_fire_module_too():
    with pytest.raises(ValueError, match="unknown expand 'wide'; accepted: plain, depthwise"):
        Fire(4, 2, 2, 2, expand="wide")
