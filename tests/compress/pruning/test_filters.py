from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from tiny import tiny_set
from torch import nn

from squeeze_utils.anatomy.tables import summary
from squeeze_utils.compress.pruning import filters, sensitivity
from squeeze_utils.compress.pruning.filters import Shrink
from squeeze_utils.compress.pruning.scores import NothingToPrune
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.quantizing.after_training import QuantizeWeights
from squeeze_utils.compress.quantizing.fold_batch_norm import FoldBatchNorm
from squeeze_utils.compress.quantizing.in_training import QuantizedTrain
from squeeze_utils.compress.sharing.steps import Share
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.run_experiment import run_experiment
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.models import ModelSpec, build
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State, check_masks, masks_from_zeros

DATA = tiny_set(size=16)
FORMS = [
    {},
    {"bypass": "simple"},
    {"bypass": "complex"},
    {"norm": "none"},
    {"norm": "none", "bypass": "complex"},
    {"expand": "depthwise"},
    {"pooling": "stride"},
    {"pooling": "mixed"},
    {"activation": "gelu"},
]


def state_of(**options) -> State:
    torch.manual_seed(0)
    spec = ModelSpec.of("squeezenet_small", width=0.25, in_channels=1, num_classes=3, **options)
    state = State(spec.build(), DATA, generator=torch.Generator().manual_seed(0))
    for module in state.model.modules():  # statistics and scales as after some training
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)
    return state


@pytest.mark.parametrize("scope", ["layer", "global"])
@pytest.mark.parametrize("options", FORMS, ids=str)
def test_the_shrunk_network_computes_what_the_masked_one_does(options, scope):
    state = state_of(**options)
    Prune(0.5, granularity="filter", scope=scope).apply(state)
    masked, x = state.model.eval(), torch.randn(4, 1, 16, 16)
    with torch.no_grad():
        expected = masked(x)
        Shrink().apply(state)
        assert torch.allclose(state.model(x), expected, atol=1e-5)
    assert expected.abs().max() > 0
    before, after = summary(masked, (1, 16, 16)), summary(state.model, (1, 16, 16))
    assert after["parameters"] < 0.5 * before["parameters"]
    assert after["multiply_adds"] < 0.6 * before["multiply_adds"]
    assert state.model.spec.build().state_dict().keys() == state.model.state_dict().keys()


def test_channels_that_a_bypass_adds_go_together():
    plain, simple = (filters.channels(state_of(bypass=b).model) for b in ("none", "simple"))
    assert sum(map(len, plain.values())) > sum(map(len, simple.values()))
    ((_, *others),) = [
        c for c in simple["features.4.expand1x1"] if c[0] == ("features.4.expand1x1", 0)
    ]
    assert ("features.5.expand1x1", 0) in others and ("features.5.expand_norm", 0) in others


def test_every_channel_is_listed_once_and_the_classes_are_not():
    model = state_of().model
    places = [p for found in filters.channels(model).values() for channel in found for p in channel]
    assert len(set(places)) == len(places)
    assert not any(name.startswith("classifier") for name, _ in places)


def test_half_of_the_channels_of_every_layer_go():
    state = state_of()
    Prune(0.5, granularity="filter").apply(state)
    off = filters.silent(state.model, state.masks)
    for name, channels in filters.channels(state.model).items():
        assert len(off[name]) == len(channels) // 2


@pytest.fixture
def first_layer_matters(monkeypatch):
    """Every filter that the first layer loses costs a point; nothing else costs anything."""

    def evaluate(model, *_):
        return SimpleNamespace(accuracy=90.0 - lost_filters(model.features[0].weight))

    monkeypatch.setattr(sensitivity, "evaluate", evaluate)


def lost_filters(weight: torch.Tensor) -> int:
    return int((weight.flatten(1).count_nonzero(1) == 0).sum())


def test_a_scan_of_filters_spares_the_layer_that_suffers(first_layer_matters):
    state = state_of()
    before = [p.detach().clone() for p in state.model.parameters()]
    names = [f"{name}.weight" for name in filters.channels(state.model)]
    weights = {name: state.model.get_parameter(name).detach().abs() for name in names}
    masks = filters.build(state, weights, 0.5, "sensitivity")
    assert all(torch.equal(a, b) for a, b in zip(before, state.model.parameters(), strict=True))
    assert "features.0.weight" not in masks
    Prune(0.5, granularity="filter", scope="sensitivity").apply(state)
    off = filters.silent(state.model, state.masks)
    every = filters.channels(state.model)
    removed, channels = sum(map(len, off.values())), sum(map(len, every.values()))
    assert not off["features.0"] and removed == pytest.approx(0.5 * channels, abs=len(every) / 2)
    assert Shrink().apply(state) == {"channels_removed": removed}


def test_a_scan_of_filters_takes_the_tender_layer_only_if_the_budget_needs_it(first_layer_matters):
    state = state_of()
    Prune(0.98, granularity="filter", scope="sensitivity").apply(state)
    assert lost_filters(state.model.features[0].weight) == len(state.model.features[0].weight) - 1


@pytest.mark.parametrize("scope", ["layer", "global", "sensitivity"])
def test_excluded_layers_keep_their_channels(scope):
    state = state_of()
    Prune(0.5, granularity="filter", scope=scope, exclude=("features.0",)).apply(state)
    off = filters.silent(state.model, state.masks)
    assert not off["features.0"] and sum(map(len, off.values())) > 0
    assert "features.0.weight" not in state.masks
    alone = state_of()
    every = [n for n, m in alone.model.named_modules() if isinstance(m, nn.Conv2d)]
    Prune(0.5, granularity="filter", scope=scope, exclude=tuple(every[:-1])).apply(alone)
    assert not any(filters.silent(alone.model, alone.masks).values())


@pytest.mark.parametrize("criterion", ["magnitude", "movement"])
def test_weights_that_are_pruned_already_count_as_zeros_and_whole_channels_of_them_go_first(
    criterion,
):
    state = state_of(norm="none")
    with torch.no_grad():
        state.model.features[0].weight[:4] *= 100  # the most important, though half is pruned
    Prune(0.5).apply(state)
    gone = torch.zeros_like(state.masks["features.0.weight"])
    gone[-1] = True
    state.masks["features.0.weight"] &= ~gone
    Prune(0.25, criterion, granularity="filter").apply(state)
    off = [dict(c)["features.0"] for c in filters.silent(state.model, state.masks)["features.0"]]
    assert len(off) == len(gone) // 4 and len(gone) - 1 in off
    assert criterion != "magnitude" or not {0, 1, 2, 3} & set(off)


def test_one_channel_of_every_layer_stays_however_unimportant():
    state = state_of()
    with torch.no_grad():
        state.model.fires()[4].squeeze.weight.mul_(1e-6)
    Prune(0.9, granularity="filter", scope="global").apply(state)
    Shrink().apply(state)
    assert min(min(fire.shape) for fire in state.model.fires().values()) >= 1


def test_a_masked_network_can_be_trained_then_shrunk_then_trained_and_cached(tmp_path):
    spec = ModelSpec.of("squeezenet_small", width=0.125, in_channels=1)
    plan = Train(1, batch_size=32, lr=0.01, precision="float32")
    recipe = (plan, Prune(0.5, granularity="filter"), plan, Shrink(), plan)
    experiment = Experiment(spec, DataSpec("digits", 16, 64), recipe)
    cache = PrefixCache(tmp_path)
    first, steps = run_experiment(experiment, cache=cache)
    check_masks(first)
    assert steps[3]["parameters"] < steps[2]["parameters"]
    assert steps[3]["validation_loss"] == pytest.approx(steps[2]["validation_loss"], abs=1e-4)
    again, _ = run_experiment(experiment, cache=cache)
    assert again.model.spec == first.model.spec != spec
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.model.parameters(), again.model.parameters(), strict=True)
    )


def test_what_cannot_be_done_is_refused():
    with pytest.raises(ValueError, match="no whole channel is pruned"):
        Shrink().apply(state_of())
    with pytest.raises(ValueError, match=r"that squeeze_utils.models.build has made"):
        filters.channels(nn.Sequential(nn.Conv2d(1, 2, 1), nn.Conv2d(2, 2, 1)))
    with pytest.raises(NothingToPrune, match="no layer before the one that classifies"):
        list(filters._inner_layers(nn.Sequential(nn.Linear(2, 2))))
    lenet = State(build("lenet_300_100", image_size=16, num_classes=3), DATA)
    Prune(0.5, granularity="filter").apply(lenet)
    with pytest.raises(ValueError, match="only a SqueezeNet with one first layer can be shrunk"):
        Shrink().apply(lenet)
    shared = state_of()
    Prune(0.5, granularity="filter").apply(shared)
    Share(3).apply(shared)
    with pytest.raises(ValueError, match="shrink before weights are shared"):
        Shrink().apply(shared)


def test_a_channel_whose_bias_is_free_is_not_silent():
    state = state_of(norm="none")
    conv = state.model.fires()[3].squeeze
    with torch.no_grad():
        conv.weight[0], conv.bias[0] = 0, 1.0
    masks_from_zeros(state)
    with pytest.raises(ValueError, match="no whole channel is pruned"):
        Shrink().apply(state)
    with torch.no_grad():
        conv.bias[0] = 0
    assert Shrink().apply(state) == {"channels_removed": 1}


def test_channels_that_were_silent_before_folding_can_be_taken_out_after_it():
    state = state_of()
    Prune(0.5, granularity="filter").apply(state)
    FoldBatchNorm().apply(state)
    masked, x = state.model.eval(), torch.randn(4, 1, 16, 16)
    with torch.no_grad():
        expected = masked(x)
        assert Shrink().apply(state)["channels_removed"] > 100
        assert torch.allclose(state.model(x), expected, atol=1e-5)


@pytest.mark.parametrize("options", [{"activation": "gelu"}, {"linear_squeeze": True}])
def test_training_between_folding_and_shrinking_revives_no_channel(options):
    state = state_of(**options)
    Prune(0.5, granularity="filter").apply(state)
    gone = sum(map(len, filters.silent(state.model, state.masks).values()))
    FoldBatchNorm().apply(state)
    Train(1, batch_size=16, lr=0.01, precision="float32").apply(state)
    check_masks(state)
    assert Shrink().apply(state)["channels_removed"] == gone > 100


@pytest.mark.parametrize("step", [QuantizeWeights(8), QuantizedTrain(1, batch_size=16)])
def test_what_is_rounded_is_not_shrunk(step):
    state = state_of()
    Prune(0.5, granularity="filter").apply(state)
    step.apply(state)
    with pytest.raises(ValueError, match="shrink before rounding"):
        Shrink().apply(state)


def test_scores_below_zero_are_made_comparable_by_their_size():
    scores = {"a": torch.tensor([5.0, -6.0, -2.0, 1.0]), "b": torch.tensor([1.0, 2.0, 3.0, 4.0])}
    kept = filters._choose(scores, 0.5, "global")
    assert kept["a"].tolist() == [True, False, False, False]
    assert kept["b"].tolist() == [False, True, True, True]


def test_a_group_that_is_pruned_already_loses_its_channels_first():
    dead, alive = torch.full((4,), -torch.inf), torch.tensor([1.0, 2.0, 3.0, 4.0])
    kept = filters._choose({"dead": dead, "alive": alive}, 0.5, "global")
    assert kept["dead"].sum() == 1 and kept["alive"].sum() == 3


@pytest.mark.parametrize(
    ("fires", "words"),
    [(((1, 1, 1),), "fires takes 8 triples"), (((0, 1, 1),) * 8, "whole number of at least 1")],
)
def test_a_config_with_impossible_fires_is_refused(fires, words):
    with pytest.raises(ValueError, match=words):
        build("squeezenet_small", fires=fires)
