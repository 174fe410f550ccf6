from __future__ import annotations

import pytest
import torch
from tiny import tiny_set
from torch.nn import functional as F

from squeeze_utils.compress.pruning.scores import prunable
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.sharing import codebooks
from squeeze_utils.compress.sharing.steps import Share, TuneCentroids, shared_codes
from squeeze_utils.compress.sqz import container
from squeeze_utils.models import ModelSpec
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State, shared_weights

DATA = tiny_set(size=16)


SPEC = ModelSpec.of("squeezenet_small", width=0.125, in_channels=1, num_classes=3)


PLAN = {"epochs": 2, "batch_size": 16, "precision": "float32"}


@pytest.fixture
def state() -> State:
    torch.manual_seed(0)
    return State(SPEC.build(), DATA, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("bits", range(1, 9))
@pytest.mark.parametrize("sparsity", [0.0, 0.6])
def test_a_layer_has_two_to_the_bits_values_with_zero_among_them(state, bits, sparsity):
    if sparsity:
        Prune(sparsity).apply(state)
    zeros = {n: int((w == 0).sum()) for n, w in prunable(state.model).items()}
    Share(bits).apply(state)
    for name, weight in prunable(state.model).items():
        values = weight.detach().unique()
        assert len(values) <= 2**bits
        assert int((weight == 0).sum()) == zeros[name]
        assert ((values == 0).any()) == (sparsity > 0)


def test_one_bit_of_a_pruned_layer_is_zero_or_the_mean():
    weight = torch.tensor([0.0, 2.0, 0.0, 4.0])
    codes, book = shared_codes(weight, 1)
    assert book.tolist() == [0.0, 3.0] and codes.tolist() == [0, 1, 0, 1]
    codes, book = shared_codes(torch.zeros(3), 4)
    assert book.tolist() == [0.0] and codes.tolist() == [0, 0, 0]


def test_the_gradient_of_a_value_is_the_sum_over_the_weights_that_share_it(state):
    Prune(0.5).apply(state)
    Share(2).apply(state)
    name = "features.0.weight"
    weight, codes = dict(state.model.named_parameters())[name], state.codebooks[name]
    x, y = torch.randn(4, 1, 16, 16), torch.tensor([0, 1, 2, 0])
    state.model.eval()
    F.cross_entropy(state.model(x), y).backward()
    expected = torch.zeros(4).scatter_add_(0, codes.flatten(), weight.grad.flatten())
    state.model.zero_grad()
    with shared_weights(state):
        values = state.model.features[0].parametrizations.weight.original
        F.cross_entropy(state.model(x), y).backward()
        assert values.grad[0] == 0  # zero is held
        assert torch.allclose(values.grad[1:], expected[1:], rtol=1e-4, atol=1e-6)
    assert name in dict(state.model.named_parameters())


def test_tuning_moves_the_values_and_keeps_what_is_shared_and_what_is_zero(state):
    Prune(0.6).apply(state)
    Share(3).apply(state)
    before = {n: w.detach().clone() for n, w in prunable(state.model).items()}
    TuneCentroids(**PLAN, lr=0.01).apply(state)
    for name, weight in prunable(state.model).items():
        assert torch.equal(weight == 0, before[name] == 0)
        assert len(weight.detach().unique()) <= 8
        for value in before[name].unique():
            assert len(weight.detach()[before[name] == value].unique()) == 1
    assert not torch.equal(before["features.0.weight"], prunable(state.model)["features.0.weight"])


def test_later_training_respects_what_is_shared(state):
    Share(2).apply(state)
    Train(1, batch_size=16, lr=0.01, precision="float32").apply(state)
    assert all(len(w.detach().unique()) <= 4 for w in prunable(state.model).values())


def test_a_shared_network_is_small_in_a_file(state):
    dense = len(container.encode_sqz(state.model)[0])
    Prune(0.7).apply(state)
    Share(4).apply(state)
    data, _ = container.encode_sqz(state.model)
    assert len(data) < dense / 3
    assert torch.equal(
        container.decode_sqz(data).features[0].weight, state.model.features[0].weight
    )


def test_layers_can_have_their_own_bits_or_be_left_out(state):
    own = (("features.4.squeeze.weight", 1),)
    Share(4, per_layer=own, exclude=("classifier",)).apply(state)
    weights = prunable(state.model)
    assert len(weights["features.4.squeeze.weight"].detach().unique()) == 2
    assert len(weights["classifier.1.weight"].detach().unique()) > 16
    assert "classifier.1.weight" not in state.codebooks


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Share(0), "bits must be a whole number from 1 to 16"),
        (lambda: Share(17), "number from 1 to 16, got 17"),
        (lambda: Share(4, "best"), "unknown method 'best'; accepted: linear, density, random"),
        (
            lambda: codebooks.centroids(torch.ones(3), 0),
            "the number of centroids must be",
        ),
    ],
)
def test_bad_settings_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_what_is_missing_is_said(state):
    with pytest.raises(ValueError, match="put a Share step before TuneCentroids"):
        TuneCentroids(1).apply(state)
    with pytest.raises(ValueError, match="no layer is called conv1; there are: features"):
        Share(4, per_layer=(("conv1", 2),)).apply(state)
