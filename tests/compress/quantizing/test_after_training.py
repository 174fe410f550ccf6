from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from states import DATA, outputs, state_of
from torch import nn

from squeeze_utils.compress.pricing.frozen_codes import FreezeCodes
from squeeze_utils.compress.pruning.scores import prunable
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.quantizing.after_training import (
    LIMITS,
    Calibrate,
    Halve,
    QuantizeWeights,
)
from squeeze_utils.compress.quantizing.equalising import CorrectBias, Equalise
from squeeze_utils.compress.quantizing.fold_batch_norm import FoldBatchNorm, folded
from squeeze_utils.compress.quantizing.in_training import QuantizedTrain
from squeeze_utils.compress.sharing.steps import Share
from squeeze_utils.compress.sqz import container
from squeeze_utils.models import build
from squeeze_utils.models.fake_quant import FakeQuant
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State, Step, check_masks


@pytest.mark.parametrize("granularity", ["tensor", "channel"])
@pytest.mark.parametrize("bits", [2, 4, 8])
def test_rounded_weights_have_few_values(bits, granularity):
    state = state_of(norm="none")
    found = QuantizeWeights(bits, granularity).apply(state)["sqnr_db"]
    for name, weight in prunable(state.model).items():
        rows = weight.detach().flatten(1) if granularity == "channel" else weight.detach()[None]
        assert max(len(row.unique()) for row in rows) <= 2**bits - 1
        assert name in found
    assert container.encode_sqz(state.model)[0]


def test_more_bits_leave_more_signal_and_layers_can_have_their_own():
    few, many = (QuantizeWeights(bits).apply(state_of(norm="none"))["sqnr_db"] for bits in (4, 8))
    assert all(many[name] > few[name] + 15 for name in few)
    own = (("classifier.1.weight", 8),)
    mixed = QuantizeWeights(4, per_layer=own, exclude=("features.0",)).apply(state_of(norm="none"))
    assert mixed["sqnr_db"]["classifier.1.weight"] == many["classifier.1.weight"]
    assert "features.0.weight" not in mixed["sqnr_db"]


@pytest.mark.parametrize("range_", ["minmax", "percentile", "mse"])
def test_calibration_sets_every_range_from_training_images(range_):
    state = state_of(activation_bits=6, bypass="simple")
    before = outputs(state.model)
    found = Calibrate(images=40, range=range_).apply(state)
    points = [m for m in state.model.modules() if isinstance(m, FakeQuant)]
    assert found["activations"] == len(points) and all(float(p.scale) > 0 for p in points)
    after = outputs(state.model)
    assert not torch.equal(before, after)
    assert torch.nn.functional.cosine_similarity(before.flatten(), after.flatten(), 0) > 0.9


def test_maps_are_rounded_as_if_the_network_had_been_built_so():
    built, given = state_of(activation_bits=5, bypass="complex"), state_of(bypass="complex")
    rest = {n: p for n, p in given.model.state_dict().items()}
    for target, value in zip(
        [v for n, v in built.model.state_dict().items() if not n.endswith((".scale", ".zero"))],
        rest.values(),
        strict=True,
    ):
        target.copy_(value)
    before = outputs(given.model)
    Calibrate(40, "minmax").apply(built)
    Calibrate(40, "minmax", bits=5).apply(given)
    after = outputs(given.model)
    assert torch.equal(outputs(built.model), after) and not torch.equal(after, before)
    assert given.model.spec == built.model.spec
    assert given.model.spec.build().state_dict().keys() == given.model.state_dict().keys()


def test_what_a_state_knows_by_name_follows_the_layers_when_maps_are_given_bits():
    state = state_of(norm="none", width=0.125)
    state.model.train()
    Prune(0.5).apply(state)
    QuantizeWeights(4).apply(state)
    Calibrate(40, bits=8).apply(state)
    assert all(module.training for module in state.model.modules())
    weights = prunable(state.model)
    for known in (state.masks, state.saved["grids"], state.saved["float"]):
        assert known.keys() == weights.keys()
    assert all(state.masks[name].shape == weight.shape for name, weight in weights.items())
    Train(1, batch_size=16, lr=1e-3, precision="float32").apply(state)
    shared = state_of(norm="none", width=0.125)
    Share(3).apply(shared)
    Calibrate(40, bits=8).apply(shared)
    assert shared.codebooks.keys() == prunable(shared.model).keys()


def test_what_trains_on_leaves_its_grids():
    state = state_of(norm="none", width=0.125)
    QuantizeWeights(4).apply(state)
    first, *rest = prunable(state.model)
    part = first.rpartition(".")[0]
    how = {"batch_size": 16, "lr": 1e-3, "precision": "float32"}
    Train(1, only=(part,), **how).apply(state)
    assert list(state.saved["grids"]) == rest and "float" not in state.saved
    Train(1, **how).apply(state)
    assert "grids" not in state.saved
    with pytest.raises(ValueError, match="no grids to freeze"):
        FreezeCodes().apply(state)


def test_names_follow_the_layers_also_after_a_training_that_put_weights_behind_biases():
    state = state_of(norm="none", width=0.125)
    Prune(0.5).apply(state)
    QuantizedTrain(1, bits=4, batch_size=16, lr=1e-3, precision="float32").apply(state)
    names = list(state.model.state_dict())
    assert names.index("features.0.bias") < names.index("features.0.weight")
    Calibrate(40, bits=8).apply(state)
    weights = prunable(state.model)
    for known in (state.masks, state.saved["grids"]):
        assert known.keys() == weights.keys()
    assert all(state.masks[name].shape == weight.shape for name, weight in weights.items())
    check_masks(state)


def test_ranges_come_from_training_images_alone():
    def found(data) -> list[float]:
        state = state_of()
        state.data = data
        Calibrate(48, bits=8).apply(state)
        return [float(m.scale) for m in state.model.modules() if isinstance(m, FakeQuant)]

    def black(split):
        return replace(split, images=torch.zeros_like(split.images))

    assert found(DATA) == found(
        replace(DATA, validation=black(DATA.validation), test=black(DATA.test))
    )
    assert found(DATA) != found(replace(DATA, train=black(DATA.train)))


def test_the_least_squares_range_of_maps_loses_least():
    left = {}
    for range_ in LIMITS:
        low, high = LIMITS[range_](torch.randn(20_000).relu() ** 3, 4)
        grid = FakeQuant(4)
        grid.set_range(float(low), float(high))
        x = torch.randn(20_000, generator=torch.Generator().manual_seed(1)).relu() ** 3
        left[range_] = float((grid(x) - x).square().mean())
    assert left["mse"] < left["minmax"] and left["mse"] < 1.1 * left["percentile"]


def test_halves_are_exact_in_half_precision_and_stay_shared():
    state = state_of(width=0.125)
    Prune(0.7, exclude=("features.0",)).apply(state)
    Share(3).apply(state)
    before = {n: w.detach().clone() for n, w in prunable(state.model).items()}
    Halve().apply(state)
    for tensor in state.model.state_dict().values():
        if tensor.is_floating_point():
            assert torch.equal(tensor, tensor.half().float())
    for name, weight in prunable(state.model).items():
        assert len(weight.detach().unique()) <= 8
        assert torch.equal(weight == 0, before[name] == 0)
    with torch.no_grad():
        state.model.features[0].weight[0] = 1e6
    with pytest.raises(ValueError, match=r"features\.0\.weight has values that float16"):
        Halve().apply(state)


def test_the_steps_survive_json():
    for step in (QuantizedTrain(3, bits=4, steps="learned"), QuantizeWeights(5), Calibrate(64)):
        assert Step.from_dict(step.as_dict()) == step


@pytest.mark.parametrize(
    ("step", "options", "words"),
    [
        (FoldBatchNorm(), {"norm": "none"}, "the network has no batch normalisation"),
        (Equalise(), {}, "put FoldBatchNorm before Equalise"),
        (Equalise(), {"norm": "none", "activation": "gelu"}, "needs an activation among relu"),
        (Equalise(), {"norm": "none", "activation_bits": 8}, "put Equalise before Calibrate"),
        (Calibrate(), {}, "build the model with activation_bits"),
        (Calibrate(bits=4), {"activation_bits": 8}, "rounds to 8 bits already"),
        (QuantizedTrain(1, per_layer=(("conv1", 4),)), {}, "no layer is called conv1"),
        (CorrectBias(), {"norm": "none"}, "put a QuantizeWeights step before"),
        (QuantizeWeights(8, per_layer=(("conv1", 4),)), {}, "no layer is called conv1"),
    ],
)
def test_steps_without_what_they_need_are_refused(step, options, words):
    with pytest.raises(ValueError, match=words):
        step.apply(state_of(**options))


def test_other_networks_are_refused_by_name():
    with pytest.raises(ValueError, match="nothing to fold"):
        folded(build("lenet5"))
    with pytest.raises(ValueError, match="a Sequential cannot be folded; accepted: SqueezeNet"):
        folded(nn.Sequential(nn.BatchNorm2d(1)))
    with pytest.raises(ValueError, match="only a SqueezeNet can be equalised"):
        Equalise().apply(State(build("lenet5"), DATA))
    state = state_of()
    QuantizeWeights(8).apply(state)
    with pytest.raises(ValueError, match="put FoldBatchNorm before CorrectBias"):
        CorrectBias().apply(state)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: QuantizeWeights(1), "bits must be a whole number from 2 to 16"),
        (lambda: QuantizeWeights(8, "row"), "unknown granularity 'row'"),
        (lambda: QuantizeWeights(8, range="best"), "unknown range 'best'; accepted: minmax"),
        (lambda: Calibrate(0), "images must be a whole number of at least 1"),
        (
            lambda: Calibrate(range="best"),
            "unknown range 'best'; accepted: minmax, percentile, mse",
        ),
        (lambda: QuantizedTrain(1, steps="big"), "unknown steps 'big'; accepted: largest, fixed"),
        (lambda: QuantizedTrain(1, bits=0), "bits must be a whole number from 2 to 16"),
    ],
)
def test_bad_settings_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
