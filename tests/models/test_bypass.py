"""The bypass of the three forms of SqueezeNet: which Fire adds what, in which shapes."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from squeeze_utils.models import BYPASSES, Fire, build

FORMS = ("squeezenet1_0", "squeezenet1_1", "squeezenet_small")
IDENTITIES, PROJECTIONS = {3, 5, 7, 9}, {2, 4, 6, 8}
CHANNELS = {"squeezenet1_0": 96, "squeezenet1_1": 64, "squeezenet_small": 64}


def on_meta(name: str, **options) -> nn.Module:
    with torch.device("meta"):
        return build(name, **options).eval()


def parameters(module: nn.Module) -> int:
    return sum(p.numel() for p in module.parameters())


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("width", [1.0, 0.5])
def test_the_shapes_around_every_fire_module(form, width):
    """A bypass adds what has the shape of the output; a Fire keeps height and width."""
    model = on_meta(form, bypass="complex", width=width)
    seen = {}
    for i, fire in model.fires().items():
        fire.register_forward_hook(lambda m, x, y, i=i: seen.update({i: (x[0].shape, y.shape)}))
    model(torch.empty(2, *model.input_shape, device="meta"))
    before = int(CHANNELS[form] * width)
    for i, fire in model.fires().items():
        (_, c_in, *sides_in), (_, c_out, *sides_out) = seen[i]
        assert (c_in, sides_in) == (before, sides_out)
        assert fire.adds_input == (c_in == c_out) == (i in IDENTITIES)
        assert (fire.bypass is not None) == (i in PROJECTIONS)
        before = c_out


@pytest.mark.parametrize("form", FORMS)
def test_what_a_complex_bypass_costs(form):
    """A 1x1 convolution of c_in x c_out weights, with c_out biases or 2 c_out of the norm."""
    plain, simple, complex_ = (on_meta(form, bypass=b) for b in BYPASSES)
    assert parameters(simple) == parameters(plain)
    normalised, cost, c_in = form == "squeezenet_small", 0, CHANNELS[form]
    for i, fire in complex_.fires().items():
        c_out = fire.out_channels
        if i in PROJECTIONS:
            own = c_in * c_out + c_out * (2 if normalised else 1)
            assert parameters(fire.bypass) == own
            cost += own
        c_in = c_out
    assert parameters(complex_) - parameters(plain) == cost
    known = {"squeezenet1_0": 341_248, "squeezenet1_1": 337_152}
    assert cost == known.get(form, cost)


def test_the_projection_is_normalised_where_the_rest_is():
    fire = Fire(6, 2, 4, 4, bypass="complex", normalisation="batch")
    convolution, norm = fire.bypass
    assert convolution.bias is None and convolution.weight.shape == (8, 6, 1, 1)
    assert isinstance(norm, nn.BatchNorm2d)
    assert Fire(6, 2, 4, 4, bypass="complex").bypass.bias is not None


def zero_branch(fire: Fire) -> None:
    with torch.no_grad():
        for layer in (fire.expand1x1, fire.expand3x3):
            layer.weight.zero_()
            layer.bias.zero_()


def test_with_a_zero_branch_an_identity_is_the_input_and_its_gradient_passes_whole():
    torch.manual_seed(0)
    fire = Fire(8, 2, 4, 4, bypass="simple")
    zero_branch(fire)
    x, gradient = torch.randn(2, 8, 5, 5, requires_grad=True), torch.randn(2, 8, 5, 5)
    y = fire(x)
    y.backward(gradient)
    assert torch.equal(y, x) and torch.equal(x.grad, gradient)
    plain = Fire(8, 2, 4, 4)
    zero_branch(plain)
    x.grad = None
    y = plain(x)
    y.backward(gradient)
    assert not y.any() and not x.grad.any()


def test_with_a_zero_branch_a_projection_is_all_there_is():
    torch.manual_seed(0)
    fire = Fire(6, 2, 4, 4, bypass="complex")
    zero_branch(fire)
    x = torch.randn(2, 6, 5, 5)
    assert torch.equal(fire(x), fire.bypass(x))


def test_where_the_channels_differ_a_simple_bypass_is_none():
    torch.manual_seed(0)
    fire, plain = Fire(6, 2, 4, 4, bypass="simple"), Fire(6, 2, 4, 4)
    plain.load_state_dict(fire.state_dict())
    x = torch.randn(2, 6, 5, 5)
    assert torch.equal(fire(x), plain(x))


@pytest.mark.parametrize("version", ["1_0", "1_1"])
def test_torchvision_weights_in_the_plain_form_and_in_the_others(version):
    """Plain: the very outputs. Simple: the same tensors, other outputs. Complex: some lacking."""
    from torchvision import models

    torch.manual_seed(0)
    theirs = getattr(models, f"squeezenet{version}")(weights=None).eval()
    plain, simple, complex_ = (build(f"squeezenet{version}", bypass=b).eval() for b in BYPASSES)
    for ours in (plain, simple):
        ours.load_state_dict(theirs.state_dict(), strict=True)
    loaded = complex_.load_state_dict(theirs.state_dict(), strict=False)
    assert not loaded.unexpected_keys
    lacking = {name.split(".bypass.")[0] for name in loaded.missing_keys}
    projecting = {id(fire) for i, fire in complex_.fires().items() if i in PROJECTIONS}
    assert lacking == {n for n, m in complex_.named_modules() if id(m) in projecting}
    assert len(loaded.missing_keys) == 8
    x = torch.randn(2, 3, 63, 63)
    with torch.no_grad():
        expected, added = theirs(x), simple(x)
        torch.testing.assert_close(plain(x), expected, atol=1e-5, rtol=1e-5)
    assert (added - expected).abs().max() > 1e-3 * expected.abs().max()


@pytest.mark.parametrize("form", FORMS)
def test_every_bypass_changes_the_outputs_of_its_own_fire_module(form):
    torch.manual_seed(0)
    model = build(form, bypass="complex", width=0.125).eval()
    for fire in model.fires().values():
        x = torch.randn(1, fire.squeeze.in_channels, 4, 4)
        kept = fire(x)
        bypass, adds = fire.bypass, fire.adds_input
        fire.bypass, fire.adds_input = None, False
        bare = fire(x)
        fire.bypass, fire.adds_input = bypass, adds
        expected = x if adds else bypass(x)
        torch.testing.assert_close(kept - bare, expected, atol=1e-5, rtol=1e-4)
        assert expected.abs().max() > 0


def test_an_unknown_bypass_lists_the_accepted():
    words = "unknown bypass 'long'; accepted: none, simple, complex"
    with pytest.raises(ValueError, match=words):
        Fire(8, 2, 4, 4, bypass="long")
    for form in FORMS:
        with pytest.raises(ValueError, match=words):
            build(form, bypass="long")
