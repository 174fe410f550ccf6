from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny import tiny_set
from torch import nn

from squeeze_utils.compress.pruning.scores import prunable
from squeeze_utils.compress.pruning.steps import Prune
from squeeze_utils.compress.quantizing import equalising
from squeeze_utils.compress.quantizing.after_training import LIMITS, Calibrate, QuantizeWeights
from squeeze_utils.compress.quantizing.equalising import CorrectBias, Equalise
from squeeze_utils.compress.quantizing.fold_batch_norm import FoldBatchNorm, folded
from squeeze_utils.compress.quantizing.in_training import STEPS, QuantizedTrain, _Rounded
from squeeze_utils.compress.sqz import container
from squeeze_utils.models import ModelSpec, build
from squeeze_utils.models.fake_quant import FakeQuant
from squeeze_utils.training.step import State, Step, check_masks

DATA = tiny_set(size=16)
PLAN = {"epochs": 2, "batch_size": 16, "lr": 0.01, "precision": "float32"}
FORMS = [
    {},
    {"bypass": "simple"},
    {"bypass": "complex"},
    {"expand": "depthwise", "pooling": "stride"},
    {"pooling": "mixed", "activation": "prelu"},
    {"head": "dense", "first_repeat": 2},
    {"activation_bits": 8, "bypass": "complex"},
]


def state_of(name: str = "squeezenet_small", **options) -> State:
    torch.manual_seed(0)
    width = {"width": 0.25} if name == "squeezenet_small" else {"image_size": 32}
    spec = ModelSpec.of(name, in_channels=1, num_classes=3, **width, **options)
    state = State(spec.build(), DATA, generator=torch.Generator().manual_seed(0))
    for module in state.model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return state


@torch.no_grad()
def outputs(state: State, side: int = 16) -> torch.Tensor:
    x = torch.randn(6, 1, side, side, generator=torch.Generator().manual_seed(3))
    return state.model.eval()(x)


@pytest.mark.parametrize("options", FORMS, ids=str)
def test_folding_changes_no_output_and_leaves_no_normalisation(options):
    state = state_of(**options)
    before = outputs(state)
    parameters = sum(p.numel() for p in state.model.parameters())
    FoldBatchNorm().apply(state)
    assert torch.allclose(outputs(state), before, atol=1e-5) and before.abs().max() > 0.01
    assert not any(isinstance(m, nn.BatchNorm2d) for m in state.model.modules())
    assert sum(p.numel() for p in state.model.parameters()) < parameters
    assert state.model.spec.build().state_dict().keys() == state.model.state_dict().keys()


@pytest.mark.parametrize(
    ("name", "options"),
    [("vgg11", {}), ("vgg11", {"fire": True}), ("alexnet", {"normalisation": "batch"})],
    ids=str,
)
def test_the_other_networks_with_normalisation_fold_too(name, options):
    state = state_of(name, **options)
    before = outputs(state, 32)
    FoldBatchNorm().apply(state)
    after = outputs(state, 32)
    assert (after - before).abs().max() < 1e-5 * before.abs().max() and before.std() > 1e-3
    assert not any(isinstance(m, nn.BatchNorm2d) for m in state.model.modules())
    assert state.model.spec.build().state_dict().keys() == state.model.state_dict().keys()


def test_zeros_stay_zeros_through_folding():
    state = state_of()
    Prune(0.6).apply(state)
    zeros = {n: int((p == 0).sum()) for n, p in prunable(state.model).items()}
    FoldBatchNorm().apply(state)
    check_masks(state)
    assert sum(zeros.values()) == sum(int((p == 0).sum()) for p in prunable(state.model).values())


@pytest.mark.parametrize("options", [{}, {"bypass": "complex"}, {"activation": "leaky_relu"}])
def test_equalising_changes_no_output_and_evens_out_the_ranges(options):
    state = state_of(**options)
    FoldBatchNorm().apply(state)
    before, fire = outputs(state), state.model.fires()[4]

    def imbalance() -> float:
        r1 = fire.squeeze.weight.abs().flatten(1).amax(1)
        pair = torch.cat((fire.expand1x1.weight, fire.expand3x3.weight.amax((2, 3), keepdim=True)))
        return float((r1 / pair.abs().amax((0, 2, 3))).log().abs().max())

    spread = imbalance()
    assert Equalise().apply(state)["channels_scaled"] > 0
    assert torch.allclose(outputs(state), before, atol=1e-4)
    assert imbalance() < spread


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


def test_corrected_biases_bring_the_means_back():
    state = state_of()
    FoldBatchNorm().apply(state)
    whole = outputs(state)
    QuantizeWeights(3, "tensor", "minmax").apply(state)
    rounded = outputs(state)
    CorrectBias(images=48).apply(state)
    x = (whole - outputs(state)).mean(0).abs().sum()
    assert x < (whole - rounded).mean(0).abs().sum()


def test_means_of_a_layer_do_not_need_the_layers_behind_it():
    state = state_of(norm="none")
    layers = {n: m for n, m in state.model.named_modules() if isinstance(m, nn.Conv2d)}
    x, first = torch.rand(200, 1, 16, 16), next(iter(layers))  # two parts
    every = equalising._means(state.model, layers, x)
    ran = []
    for name, layer in layers.items():
        layer.register_forward_hook(lambda *_, name=name: ran.append(name))
    alone = equalising._means(state.model, {first: layers[first]}, x)
    assert ran == [first, first] and set(every) == set(layers)
    assert torch.equal(alone[first], every[first])


@pytest.mark.parametrize("range_", ["minmax", "percentile", "mse"])
def test_calibration_sets_every_range_from_training_images(range_):
    state = state_of(activation_bits=6, bypass="simple")
    before = outputs(state)
    found = Calibrate(images=40, range=range_).apply(state)
    points = [m for m in state.model.modules() if isinstance(m, FakeQuant)]
    assert found["activations"] == len(points) and all(float(p.scale) > 0 for p in points)
    after = outputs(state)
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
    before = outputs(given)
    built.model.to(memory_format=torch.channels_last)  # as in a run: the same kernels, bit for bit
    Calibrate(40, "minmax").apply(built)
    Calibrate(40, "minmax", bits=5).apply(given)
    assert torch.equal(outputs(built), outputs(given)) and not torch.equal(outputs(given), before)
    assert given.model.spec == built.model.spec
    assert given.model.spec.build().state_dict().keys() == given.model.state_dict().keys()


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


def test_learned_steps_neither_decay_nor_count_as_matrices():
    part = _Rounded(torch.randn(8, 4, 3, 3), 4, "channel", "learned")
    learned = [p for p in part.parameters() if p.requires_grad]
    assert [p.ndim for p in learned] == [1] and part(torch.randn(8, 4, 3, 3)).shape == (8, 4, 3, 3)
    assert not any(
        p.requires_grad for p in _Rounded(torch.randn(8, 4), 4, "channel", "fixed").parameters()
    )


@pytest.mark.parametrize("steps", STEPS)
def test_layers_can_have_bits_of_their_own_while_training(steps):
    state = state_of(norm="none")
    own = (("classifier.1.weight", 5),)
    QuantizedTrain(**PLAN, bits=2, steps=steps, per_layer=own).apply(state)
    found = {
        n: max(len(r.unique()) for r in w.detach().flatten(1))
        for n, w in prunable(state.model).items()
    }
    assert found.pop("classifier.1.weight") > 3 and max(found.values()) <= 3


@pytest.mark.parametrize("steps", STEPS)
def test_training_with_rounding_ends_on_the_grid_and_learns_its_steps_if_asked(steps):
    state = state_of(activation_bits=4)
    FoldBatchNorm().apply(state)
    Calibrate(images=48).apply(state)
    before = [float(m.scale) for m in state.model.modules() if isinstance(m, FakeQuant)]
    QuantizedTrain(**PLAN, bits=3, steps=steps).apply(state)
    for weight in prunable(state.model).values():
        assert max(len(row.unique()) for row in weight.detach().flatten(1)) <= 7
    after = [float(m.scale) for m in state.model.modules() if isinstance(m, FakeQuant)]
    assert (before != after) == (steps == "learned")
    assert not any("parametrizations" in name for name, _ in state.model.named_parameters())
    assert not any(p.requires_grad for n, p in state.model.named_parameters() if "scale" in n)


def test_pruned_weights_stay_zero_through_training_with_rounding():
    state = state_of()
    Prune(0.7).apply(state)
    QuantizedTrain(**PLAN, bits=4).apply(state)
    check_masks(state)
    for name, mask in state.masks.items():
        weight = dict(state.model.named_parameters())[name]
        assert not weight.detach()[~mask].any() and weight.detach()[mask].any()


def test_the_steps_survive_json():
    for step in (QuantizedTrain(3, bits=4, steps="learned"), QuantizeWeights(5), Calibrate(64)):
        assert Step.from_dict(step.as_dict()) == step


@pytest.mark.parametrize(
    ("step", "options", "words"),
    [
        (FoldBatchNorm(), {"norm": "none"}, "the network has no batch normalisation"),
        (Equalise(), {}, "put FoldBatchNorm before Equalise"),
        (Equalise(), {"norm": "none", "activation": "gelu"}, "needs an activation among relu"),
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
        (lambda: QuantizeWeights(1), "bits must be a whole number of at least 2"),
        (lambda: QuantizeWeights(8, "row"), "unknown granularity 'row'"),
        (lambda: QuantizeWeights(8, range="best"), "unknown range 'best'; accepted: minmax"),
        (lambda: Calibrate(0), "images must be a whole number of at least 1"),
        (
            lambda: Calibrate(range="best"),
            "unknown range 'best'; accepted: minmax, percentile, mse",
        ),
        (lambda: QuantizedTrain(1, steps="big"), "unknown steps 'big'; accepted: largest, fixed"),
        (lambda: QuantizedTrain(1, bits=0), "bits must be a whole number of at least 2"),
    ],
)
def test_bad_settings_are_refused(make, words):
    with pytest.raises(ValueError, match=words):
        make()
