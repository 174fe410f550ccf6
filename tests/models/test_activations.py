"""Activations: the same function everywhere, inside every Fire module, with the right gain."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from squeeze_utils.anatomy.signals import activation_modules
from squeeze_utils.models import ACTIVATIONS, build
from squeeze_utils.models.layers import FUNCTIONS, activation, gain

SMALL = {"num_classes": 10, "in_channels": 1, "width": 0.125}
NAMES = list(ACTIVATIONS)
TORCHS = {
    "relu": F.relu,
    "leaky_relu": lambda z: F.leaky_relu(z, 0.1),
    "prelu": lambda z: F.leaky_relu(z, 0.25),  # the slope that nn.PReLU starts from
    "tanh": torch.tanh,
    "elu": F.elu,
    "gelu": F.gelu,
    "silu": F.silu,
    "mish": F.mish,
    "hardswish": F.hardswish,
}


def network(**options) -> nn.Module:
    torch.manual_seed(0)
    return build("squeezenet_small", **SMALL, **options).eval()


@pytest.mark.parametrize("name", NAMES)
def test_every_fire_module_and_the_first_layer_have_it(name):
    model = network(activation=name)
    kind = type(activation(name))
    for fire in model.fires().values():
        assert type(fire.squeeze_activation) is type(fire.expand_activation) is kind
    found = activation_modules(model)
    assert len(found) == 1 + 2 * 8 and {type(module) for module in found.values()} == {kind}
    assert next(iter(found)) == "conv1"


def test_a_linear_squeeze_layer_has_no_activation_and_changes_the_outputs():
    images = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    model, plain = network(linear_squeeze=True), network()
    assert [name for name in activation_modules(model) if name.endswith("squeeze")] == []
    assert len(activation_modules(model)) == 1 + 8
    with torch.no_grad():
        assert not torch.allclose(model(images), plain(images))
        for fire in plain.fires().values():
            fire.squeeze_activation = nn.Identity()
        assert torch.equal(model(images), plain(images))
    for name in ("linear_squeeze", "final_relu"):
        with pytest.raises(ValueError, match=f"{name} must be True or False, got 'yes'"):
            network(**{name: "yes"})


@pytest.mark.parametrize("name", [name for name in NAMES if name != "relu"])
def test_every_single_place_changes_the_outputs(name):
    images = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    model, kept = network(activation="relu"), network(activation="relu")
    with torch.no_grad():
        plain = kept(images)
        assert not torch.allclose(network(activation=name)(images), plain)
        for place, module in activation_modules(model).items():
            owner, _, attribute = _path(model, module).rpartition(".")
            setattr(model.get_submodule(owner), attribute, activation(name))
            assert not torch.equal(model(images), plain), place
            setattr(model.get_submodule(owner), attribute, module)
        assert torch.equal(model(images), plain)


def _path(model: nn.Module, wanted: nn.Module) -> str:
    return next(path for path, module in model.named_modules() if module is wanted)


@pytest.mark.parametrize("name", NAMES)
def test_modules_and_functions_are_torchs_and_functions_write_over_nothing(name):
    z = torch.linspace(-6, 6, 1201, dtype=torch.float64)
    expected = TORCHS[name](z)
    assert torch.equal(FUNCTIONS[name](z), expected) and not FUNCTIONS[name](z).requires_grad
    assert torch.equal(z, torch.linspace(-6, 6, 1201, dtype=torch.float64))
    torch.testing.assert_close(activation(name).double()(z.clone()), expected)
    assert FUNCTIONS[name](torch.tensor(1.0)).shape == ()


def test_a_new_activation_is_entered_in_one_place(monkeypatch):
    assert list(FUNCTIONS) == NAMES == list(TORCHS)
    monkeypatch.setitem(ACTIVATIONS, "softplus", nn.Softplus)
    assert isinstance(network(activation="softplus").fires()[2].squeeze_activation, nn.Softplus)
    assert gain("softplus") == pytest.approx(1.0418668, rel=1e-6)
    assert len(activation_modules(network(activation="softplus"))) == 17


@pytest.mark.parametrize("name", NAMES)
def test_the_derivative_is_that_of_differences(name):
    # apart from the kinks at 0 and of hard-swish at -3 and 3, which 0.005 + 0.01 k avoids
    z = torch.arange(-500, 500, dtype=torch.float64) / 100 + 0.005
    leaf = z.clone().requires_grad_()
    (slope,) = torch.autograd.grad(FUNCTIONS[name](leaf).sum(), leaf)
    step = 1e-5
    differences = (FUNCTIONS[name](z + step) - FUNCTIONS[name](z - step)) / (2 * step)
    torch.testing.assert_close(slope, differences, atol=1e-8, rtol=1e-6)


@pytest.mark.parametrize("name", NAMES)
def test_the_gain_makes_the_mean_square_one(name):
    z = torch.randn(1_000_000, generator=torch.Generator().manual_seed(0))
    mean_square = float((gain(name) * FUNCTIONS[name](z)).square().mean())
    assert mean_square == pytest.approx(1, rel=0.02)


def test_a_network_without_memory_can_have_the_gain_of_any_activation():
    with torch.device("meta"):
        models = [network(activation=name, init="matched") for name in NAMES]
    assert all(parameter.is_meta for model in models for parameter in model.parameters())


def test_gains_that_are_known_exactly():
    assert gain("relu") == pytest.approx(2**0.5, rel=1e-9)
    assert gain("leaky_relu") == pytest.approx((2 / 1.01) ** 0.5, rel=1e-9)
    assert gain("prelu") == pytest.approx((2 / 1.0625) ** 0.5, rel=1e-9)


@pytest.mark.parametrize("name", ["tanh", "gelu"])
def test_matched_initialisation_scales_all_layers_but_the_last(name):
    kaiming, matched = (
        network(activation=name, norm="none", init=init) for init in ("kaiming", "matched")
    )
    last = "classifier.1.weight"
    for (path, a), b in zip(kaiming.named_parameters(), matched.parameters(), strict=True):
        factor = 1 if path == last else gain(name) / 2**0.5
        torch.testing.assert_close(b, factor * a)
    for relu in (network(init="kaiming"), network(init="matched")):
        torch.testing.assert_close(relu.features[0].weight, network().features[0].weight)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"activation": "Relu"}, "unknown activation 'Relu'; accepted: relu, leaky_relu, prelu"),
        ({"init": "xavier"}, "unknown init 'xavier'; accepted: kaiming, matched"),
    ],
)
def test_unknown_names_are_refused_with_the_accepted_ones(options, words):
    with pytest.raises(ValueError, match=words):
        network(**options)


def test_unknown_functions_are_refused_with_the_accepted_ones():
    for call in (gain, activation):
        with pytest.raises(ValueError, match=f"accepted: {', '.join(NAMES)}"):
            call("sine")
