from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from squeeze_utils.compress.quantizing.grids import RANGES, quantized_weight, sqnr, weight_scale
from squeeze_utils.models import build
from squeeze_utils.models.fake_quant import FakeQuant, levels, quantized, rounded


@given(st.integers(2, 8), st.floats(0.01, 10), st.integers(0, 3))
def test_rounding_is_at_most_half_a_step_off_inside_the_range(bits, size, seed):
    x = size * torch.randn(200, generator=torch.Generator().manual_seed(seed))
    low, high = levels(bits, signed=True)
    scale = x.abs().max() / high
    y = rounded(x, scale, low, high)
    assert (y - x).abs().max() <= 0.5 * scale * (1 + 1e-5)
    numbers = y / scale
    assert torch.allclose(numbers, numbers.round(), atol=1e-3)
    assert numbers.round().unique().numel() <= 2**bits - 1


def test_it_is_torchs_fake_quantization():
    x = torch.randn(500) * 3
    ours = rounded(x, torch.tensor(0.1), 0, 255, torch.tensor(100.0))
    assert torch.equal(ours, torch.fake_quantize_per_tensor_affine(x, 0.1, 100, 0, 255))


def test_without_gradients_the_numbers_are_the_same():
    x = torch.randn(2000) * 3
    for low, high, zero in ((-7, 7, 0.0), (0, 255, 100.0)):
        scale = torch.tensor(0.037)
        with_gradient = rounded(x, scale, low, high, torch.tensor(zero))
        with torch.no_grad():
            assert torch.equal(rounded(x, scale, low, high, torch.tensor(zero)), with_gradient)


def test_the_error_is_half_a_step_at_most_over_the_whole_range_of_an_affine_grid():
    point = FakeQuant(3)
    for low, high in ((-1.0, 3.0), (-0.37, 2.9), (0.0, 1.0)):
        point.set_range(low, high)
        x = torch.linspace(low, high, 2001)
        assert (point(x) - x).abs().max() <= 0.5 * float(point.scale) * (1 + 1e-5)


def test_gradients_go_straight_through_inside_and_the_step_has_lsqs():
    x = torch.tensor([-5.0, -0.4, 0.13, 0.6, 5.0], requires_grad=True)
    scale = torch.tensor(0.5, requires_grad=True)
    rounded(x, scale, -3, 3).sum().backward()
    assert x.grad.tolist() == [0, 1, 1, 1, 0]
    inside = torch.tensor([-0.4, 0.13, 0.6]) / 0.5
    expected = -3 + float((inside.round() - inside).sum()) + 3
    assert float(scale.grad) == pytest.approx(expected, abs=1e-5)
    scale.grad = None
    rounded(x, scale, -3, 3, share=0.25).sum().backward()
    assert float(scale.grad) == pytest.approx(0.25 * expected, abs=1e-5)


def test_a_bit_is_worth_six_decibels():
    x = torch.rand(100_000, generator=torch.Generator().manual_seed(0)) * 2 - 1
    found = [
        sqnr(x, quantized_weight(x[None], weight_scale(x[None], bits, "tensor", "minmax"), bits)[0])
        for bits in range(4, 11)
    ]
    steps = torch.tensor(found).diff()
    assert ((steps > 5.9) & (steps < 6.8)).all()


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
def test_the_least_squares_range_is_never_worse_and_channels_help(bits):
    generator = torch.Generator().manual_seed(0)
    weight = torch.randn(16, 8, 3, 3, generator=generator)
    weight *= torch.logspace(-2, 0, 16)[:, None, None, None]
    weight[0, 0, 0, 0] = 5.0  # an outlier
    left = {
        (granularity, kind): sqnr(
            weight, quantized_weight(weight, weight_scale(weight, bits, granularity, kind), bits)
        )
        for granularity in ("tensor", "channel")
        for kind in RANGES
    }
    assert left["channel", "mse"] >= max(left.values()) - 1e-6
    assert left["tensor", "mse"] >= left["tensor", "minmax"]
    assert left["channel", "minmax"] > left["tensor", "minmax"]
    assert weight_scale(weight, bits).shape == (16, 1, 1, 1)


def test_zero_is_always_on_the_grid():
    point = FakeQuant(4)
    for low, high in ((-1.0, 3.0), (0.2, 5.0), (-4.0, -1.0), (0.0, 0.0)):
        point.set_range(low, high)
        assert float(point(torch.zeros(3)).abs().max()) == 0
        y = point(torch.linspace(-6, 6, 500))
        assert y.unique().numel() <= 16


def test_a_fake_quant_without_a_range_does_nothing():
    x = torch.randn(5)
    assert torch.equal(FakeQuant(8)(x), x)
    assert isinstance(quantized(torch.nn.ReLU(), 0), torch.nn.ReLU)


@pytest.mark.parametrize(("bypass", "count"), [("none", 18), ("simple", 22), ("complex", 26)])
def test_every_map_of_a_squeezenet_can_be_rounded(bypass, count):
    """The input, behind conv1 and two in every Fire module, and behind every sum."""
    model = build("squeezenet_small", width=0.25, bypass=bypass, activation_bits=8)
    points = [m for m in model.modules() if isinstance(m, FakeQuant)]
    assert len(points) == count
    plain = build("squeezenet_small", width=0.25, bypass=bypass)
    x = torch.randn(2, 3, 32, 32)
    named = dict(model.named_parameters())
    assert sum(p.numel() for p in named.values()) == count + sum(
        p.numel() for p in plain.parameters()
    )
    assert model.eval()(x).shape == plain.eval()(x).shape


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: weight_scale(torch.ones(2, 2), 1), "bits must be a whole number from 2 to 16"),
        (lambda: weight_scale(torch.ones(2, 2), 17), "number from 2 to 16, got 17"),
        (lambda: weight_scale(torch.ones(2, 2), 8, "row"), "unknown granularity 'row'; accepted"),
        (lambda: weight_scale(torch.ones(2, 2), 8, "tensor", "best"), "unknown range 'best'"),
        (lambda: build("squeezenet_small", activation_bits=1), "activation_bits must be a whole"),
    ],
)
def test_bad_settings_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
