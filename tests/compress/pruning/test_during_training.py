from __future__ import annotations

import itertools

import pytest
import torch
from tiny import tiny_set

from squeeze_utils.compress.pricing.in_training import PriceBits
from squeeze_utils.compress.pruning.during_training import Gradual, Rewire, cubic
from squeeze_utils.compress.pruning.scores import prunable
from squeeze_utils.compress.pruning.steps import Prune, sparsity
from squeeze_utils.compress.quantizing.in_training import QuantizedTrain
from squeeze_utils.compress.sharing.steps import Share, TuneCentroids
from squeeze_utils.models import ModelSpec
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State, Step, check_masks

DATA = tiny_set(size=16)


SPEC = ModelSpec.of("squeezenet_small", width=0.125, in_channels=1, num_classes=3)


PLAN = {"epochs": 8, "batch_size": 16, "lr": 0.01, "precision": "float32"}


@pytest.fixture
def state() -> State:
    torch.manual_seed(0)
    return State(SPEC.build(), DATA, generator=torch.Generator().manual_seed(1))


def test_the_cubic_goes_from_nothing_to_the_whole_and_slows_down():
    path = [cubic(t / 10, 0.8, 0.2, 0.7) for t in range(11)]
    assert path[:3] == [0, 0, 0] and path[7:] == [0.8] * 4
    rises = [b - a for a, b in itertools.pairwise(path[2:8])]
    assert rises == sorted(rises, reverse=True) and min(rises) > 0
    assert cubic(0.5, 0.8) == pytest.approx(0.8 * (1 - 0.5**3))


@pytest.mark.parametrize("scope", ["layer", "global"])
def test_gradual_pruning_ends_at_its_sparsity_and_never_goes_back(state, scope):
    seen = []
    part = Gradual(0.75, scope, every=2)
    callback = part.callback(state)

    def watched(model, step, steps):
        callback(model, step, steps)
        seen.append(sparsity(model, list(prunable(model))))

    for step in range(1, 41):
        watched(state.model, step, 40)
    assert seen[0] == 0 and seen[-1] == pytest.approx(0.75, abs=0.01)
    assert seen == sorted(seen)
    Train(**PLAN, during=(part,)).apply(state)
    assert sparsity(state.model, list(prunable(state.model))) == pytest.approx(0.75, abs=0.01)
    check_masks(state)


@pytest.mark.parametrize("grow", ["gradient", "random"])
def test_rewiring_moves_connections_and_keeps_their_number(state, grow):
    Prune(0.8, "random").apply(state)
    before = {name: mask.clone() for name, mask in state.masks.items()}
    Train(**PLAN, during=(Rewire(grow=grow, every=3),)).apply(state)
    check_masks(state)
    moved = 0
    for name, mask in state.masks.items():
        assert int(mask.sum()) == int(before[name].sum())
        moved += int((mask & ~before[name]).sum())
    assert moved > 0


@pytest.mark.parametrize("how", ["quantized", "priced"])
def test_connections_go_and_move_where_weights_are_rounded_too(state, how):
    def train(part) -> None:
        if how == "quantized":
            QuantizedTrain(**PLAN, bits=8, during=(part,)).apply(state)
        else:
            Train(**PLAN | {"optimizer": "adamw"}, during=(PriceBits(1e-7), part)).apply(state)

    train(Gradual(0.5, every=2))
    before = {name: mask.clone() for name, mask in state.masks.items()}
    for name, weight in prunable(state.model).items():
        assert int(before[name].sum()) == weight.numel() - round(weight.numel() / 2)
    train(Rewire(every=3))
    assert any(not torch.equal(mask, before[name]) for name, mask in state.masks.items())
    assert all(mask.sum() == before[name].sum() for name, mask in state.masks.items())


@pytest.mark.parametrize("part", [Gradual(0.5), Rewire()])
def test_shared_weights_are_not_pruned_during_training(state, part):
    Prune(0.5).apply(state)
    Share(3).apply(state)
    with pytest.raises(ValueError, match="before Share"):
        TuneCentroids(1, batch_size=16, during=(part,)).apply(state)


def test_a_new_connection_starts_at_zero_where_the_gradient_is_largest(state):
    Prune(0.5).apply(state)
    weight = dict(state.model.named_parameters())["features.0.weight"]
    mask = state.masks["features.0.weight"].clone()
    weight.grad = torch.zeros_like(weight)
    wanted = (~mask).nonzero()[0]
    weight.grad[tuple(wanted)] = -5.0
    smallest = torch.where(mask, weight.detach().abs(), torch.inf).argmin()
    rewire = Rewire(fraction=1.0 / int(mask.sum()) * 1.01, every=1)
    rewire.callback(state)(state.model, 1, 10_000)
    after = state.masks["features.0.weight"]
    assert after[tuple(wanted)] and not after.flatten()[smallest]
    assert weight[tuple(wanted)] == 0 and weight.flatten()[smallest] == 0


def test_what_happens_within_training_survives_json():
    plan = Train(**PLAN, during=(Gradual(0.9), Rewire(grow="random")))
    for defaults in (True, False):
        assert Step.from_dict(plan.as_dict(defaults)) == plan
    assert plan.as_dict(False)["during"][0] == {"step": "Gradual", "sparsity": 0.9}


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Gradual(1.0), r"sparsity must lie in \[0, 1\)"),
        (lambda: Gradual(0.5, begin=0.8, end=0.2), "begin < end"),
        (lambda: Gradual(0.5, every=0), "every must be a whole number of at least 1"),
        (lambda: Gradual(0.5, "block"), "unknown scope 'block'; accepted: layer, global"),
        (lambda: Rewire(fraction=0.0), r"fraction must lie in \(0, 1\)"),
        (lambda: Rewire(grow="best"), "unknown growth 'best'; accepted: gradient, random"),
        (lambda: Train(1, during=("prune",)), "things to do within training"),
    ],
)
def test_bad_settings_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()


def test_a_part_of_training_is_no_step_and_rewiring_needs_a_pruned_network(state):
    with pytest.raises(TypeError, match="Gradual is no step of its own"):
        Gradual(0.5).apply(state)
    with pytest.raises(ValueError, match="put a Prune step before"):
        Train(1, during=(Rewire(),)).apply(state)


def test_gradual_pruning_leaves_exactly_what_it_says(state):
    """Momentum revives pruned weights before they are scored: those must not take a place."""
    plan = Train(4, batch_size=16, lr=0.05, precision="float32", during=(Gradual(0.8, every=1),))
    plan.apply(state)
    for weight in prunable(state.model).values():
        assert int(weight.count_nonzero()) == weight.numel() - round(0.8 * weight.numel())


def test_gradual_pruning_can_end_at_another_sparsity_in_each_layer(state):
    own = (("features.0.weight", 0.25),)
    part = Gradual(0.9, every=2, per_layer=own)
    plan = Train(4, batch_size=16, lr=0.01, precision="float32", during=(part,))
    assert Step.from_dict(plan.as_dict()) == plan
    plan.apply(state)
    for name, weight in prunable(state.model).items():
        share = 0.25 if name == "features.0.weight" else 0.9
        expected = max(1, weight.numel() - round(share * weight.numel()))
        assert int(weight.count_nonzero()) == expected
