from __future__ import annotations

import pytest
import torch
from tiny import tiny_set
from torch import nn

from squeeze_utils.compress.pruning.during_training import Gradual
from squeeze_utils.compress.pruning.scores import CRITERIA, NothingToPrune, prunable
from squeeze_utils.compress.pruning.steps import Densify, Prune, Recalibrate, Remember, Rewind
from squeeze_utils.compress.quantizing.after_training import Calibrate, QuantizeWeights
from squeeze_utils.compress.quantizing.fold_batch_norm import FoldBatchNorm
from squeeze_utils.compress.quantizing.in_training import QuantizedTrain
from squeeze_utils.compress.quantizing.mixed_bits import MixedBits
from squeeze_utils.compress.sharing.steps import Share
from squeeze_utils.data import Batches
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.run_experiment import run_experiment
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.models import ModelSpec
from squeeze_utils.training import optimizers
from squeeze_utils.training.loop import Train, fit
from squeeze_utils.training.step import State, check_masks

DATA = tiny_set(size=16)


SPEC = ModelSpec.of("squeezenet_small", width=0.125, in_channels=1, num_classes=3)


PLAN = Train(1, batch_size=16, lr=0.01, precision="float32")


@pytest.fixture
def state() -> State:
    torch.manual_seed(0)
    return State(SPEC.build(), DATA, generator=torch.Generator().manual_seed(1))


def zeros(state: State) -> dict[str, int]:
    return {n: int((p == 0).sum()) for n, p in prunable(state.model).items()}


@pytest.mark.parametrize("criterion", CRITERIA)
def test_every_criterion_reaches_the_sparsity_exactly(state, criterion):
    found = Prune(0.7, criterion).apply(state)
    for name, weight in prunable(state.model).items():
        assert int((weight == 0).sum()) == min(round(0.7 * weight.numel()), weight.numel() - 1)
        assert found["density"][name] == pytest.approx(100 * (1 - 0.7), abs=100 / weight.numel())
    assert found["sparsity"] == pytest.approx(0.7, abs=0.01)
    check_masks(state)


def test_pruning_again_keeps_what_is_pruned(state):
    Prune(0.5, "random").apply(state)
    first = {name: mask.clone() for name, mask in state.masks.items()}
    Prune(0.8).apply(state)
    for name, mask in state.masks.items():
        assert not (mask & ~first[name]).any()
        assert int((~mask).sum()) == min(round(0.8 * mask.numel()), mask.numel() - 1)


@pytest.mark.parametrize("name", optimizers.OPTIMIZERS)
def test_masks_survive_twenty_steps_of_every_optimizer(state, name):
    Prune(0.6).apply(state)
    expected = zeros(state)
    plan = Train(7, lr=0.003, optimizer=name, weight_decay=0.01, batch_size=16, precision="float32")
    Train.apply(plan, state)
    found = zeros(state)
    assert 7 * (len(DATA.train) // 16) >= 20
    assert all(found[layer] >= expected[layer] for layer in expected)
    assert sum(found.values()) <= sum(expected.values()) + 5
    check_masks(state)


def test_without_masks_pruned_weights_come_back_which_is_noticed(state):
    Prune(0.6).apply(state)
    fit(state.model, DATA, PLAN)
    with pytest.raises(RuntimeError, match=r"pruned weights of features\.0\.weight came back"):
        check_masks(state)


OWN = (("features.4.squeeze.weight", 0.25),)


def test_layers_can_be_left_out_and_given_their_own_share(state):
    Prune(0.75, per_layer=OWN, exclude=("features.0",)).apply(state)
    found = zeros(state)
    assert found["features.0.weight"] == 0
    weight = prunable(state.model)["features.4.squeeze.weight"]
    assert found["features.4.squeeze.weight"] == round(0.25 * weight.numel())


def test_revived_weights_start_at_exactly_zero(state):
    Prune(0.5).apply(state)
    gone = {name: ~mask for name, mask in state.masks.items()}
    found = Densify().apply(state)
    assert all(torch.equal(state.saved["revived"][name], mask) for name, mask in gone.items())
    assert found["revived"] == sum(int(mask.sum()) for mask in gone.values()) and not state.masks
    for name, weight in prunable(state.model).items():
        assert (weight[gone[name]] == 0).all()
    Train.apply(PLAN, state)
    weight = prunable(state.model)["features.0.weight"]
    assert (weight[gone["features.0.weight"]] != 0).any()


def test_rewinding_brings_back_the_first_weights_under_the_mask(state):
    start = {n: v.clone() for n, v in state.model.state_dict().items()}
    Remember().apply(state)
    Train.apply(PLAN, state)
    Prune(0.5).apply(state)
    Rewind().apply(state)
    for name, weight in prunable(state.model).items():
        assert torch.equal(weight, start[name] * state.masks[name])
    assert torch.equal(state.model.state_dict()["features.1.running_mean"], torch.zeros(8))


@pytest.mark.parametrize("cached", [False, True])
def test_without_remembering_rewinding_goes_back_to_the_seeds_initial_weights(tmp_path, cached):
    spec, data = ModelSpec.of("lenet_300_100", image_size=8), DataSpec("digits", 8, 64)
    train, cache = Train(1, batch_size=64, lr=0.01), PrefixCache(tmp_path)
    pruned = Experiment(spec, data, (train, Prune(0.5)), seed=3)
    rewound = Experiment(spec, data, (*pruned.recipe, Rewind()), seed=3)
    remembering = Experiment(spec, data, (Remember(), *rewound.recipe), seed=3)
    if cached:
        run_experiment(pruned, cache=cache)
    state, _ = run_experiment(rewound, cache=cache)
    start = run_experiment(remembering)[0].saved["remembered"]
    for name, weight in state.model.state_dict().items():
        assert torch.equal(weight, start[name] * state.masks.get(name, 1))
    assert state.masks and any((v != 0).any() for v in start.values())


@pytest.mark.parametrize("control", ["fresh", "shuffle"])
def test_the_lottery_tickets_controls_keep_the_sparsity_and_change_the_rest(state, control):
    Remember().apply(state)
    Prune(0.5).apply(state)
    ticket = {
        n: (w.detach().clone(), state.masks[n].clone()) for n, w in prunable(state.model).items()
    }
    Rewind(**{control: True}).apply(state)
    same = 0
    for name, weight in prunable(state.model).items():
        before, mask = ticket[name]
        assert int(state.masks[name].sum()) == int(mask.sum())
        same += int(torch.equal(weight, before))
        assert torch.equal(state.masks[name], mask) == (control == "fresh") or mask.numel() < 10
    assert same == 0


def test_recalibration_measures_the_statistics_and_nothing_else(state):
    weights = [p.detach().clone() for p in state.model.parameters()]
    norm = next(m for m in state.model.modules() if isinstance(m, nn.BatchNorm2d))
    found = Recalibrate(images=40).apply(state)
    assert found == {"images": 40} and norm.momentum == 0.1 and state.model.training
    assert not torch.equal(norm.running_mean, torch.zeros_like(norm.running_mean))
    assert all(torch.equal(a, b) for a, b in zip(weights, state.model.parameters(), strict=True))


def test_recalibration_weighs_every_image_alike():
    torch.manual_seed(0)
    many = tiny_set(size=16, counts=(251, 20, 20))
    model = ModelSpec.of("squeezenet_small", width=0.125, in_channels=1, num_classes=3).build()
    assert Recalibrate().apply(State(model, many)) == {"images": 250}
    some = many.train.first(250)
    (x, _), *_ = Batches(some, 250, mean=many.mean, std=many.std)
    convolution, norm = model.features[0], model.features[1]
    expected = convolution(x).mean((0, 2, 3)).detach()
    torch.testing.assert_close(norm.running_mean, expected, rtol=1e-4, atol=1e-5)


def test_recalibration_with_dropout_leaves_the_global_generator_alone():
    model = ModelSpec.of("squeezenet_small", width=0.125, in_channels=1, dropout=0.5).build()
    before = torch.get_rng_state()
    Recalibrate(images=40).apply(State(model, DATA))
    assert torch.equal(torch.get_rng_state(), before)


def test_recalibration_finds_a_constant_channel_that_its_running_mean_lags_behind(state):
    convolution = next(m for m in state.model.modules() if isinstance(m, nn.Conv2d))
    norm = next(m for m in state.model.modules() if isinstance(m, nn.BatchNorm2d))
    with torch.no_grad():
        convolution.weight[0] = 0
        norm.bias[0] = 0.5
        norm.running_mean[0], norm.running_var[0] = 0.01, 0

    def evaluated() -> torch.Tensor:
        return norm.eval()(convolution(torch.zeros(1, *DATA.train.images.shape[1:])))[:, 0]

    assert (evaluated() < -2).all()  # 0.5 - 0.01 / sqrt(1e-5)
    Recalibrate(images=40).apply(state)
    torch.testing.assert_close(evaluated(), torch.full_like(evaluated(), 0.5))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"sparsity": 1.3}, r"sparsity must lie in \[0, 1\), got 1.3"),
        ({"criterion": "size"}, "unknown criterion 'size'; accepted: magnitude, random"),
        ({"scope": "block"}, "unknown scope 'block'; accepted: layer, global, sensitivity"),
        ({"granularity": "4:2"}, "0 < N < M"),
        ({"granularity": "2:4", "scope": "sensitivity"}, "is for single weights and filters"),
        ({"granularity": "2:4", "scope": "global"}, '"global" is for single weights and filters'),
        ({"per_layer": OWN, "scope": "global"}, "per_layer is for single weights"),
        ({"per_layer": OWN, "granularity": "filter"}, "per_layer is for single weights"),
        ({"per_layer": OWN, "granularity": "2:4"}, "per_layer is for single weights"),
        ({"per_layer": (("features.0.weight", 2.0),)}, r"sparsity must lie in \[0, 1\), got 2.0"),
    ],
)
def test_bad_settings_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        Prune(**options)


@pytest.mark.parametrize("change", [Calibrate(bits=8), FoldBatchNorm()])
@pytest.mark.parametrize("before", [(), (Remember(),)])
def test_a_network_that_was_rebuilt_has_no_weights_to_go_back_to(change, before):
    spec = ModelSpec.of("squeezenet_small", width=0.125, in_channels=1, num_classes=3)
    state = State(spec.build(), DATA, initial=spec.build)
    for step in (*before, change):
        step.apply(state)
    with pytest.raises(ValueError, match="the network has been rebuilt since"):
        Rewind().apply(state)


def test_steps_without_what_they_need_are_refused(state):
    with pytest.raises(ValueError, match="nothing is pruned"):
        Densify().apply(state)
    with pytest.raises(ValueError, match=r"put Remember\(\) earlier"):
        Rewind().apply(state)
    with pytest.raises(ValueError, match="no batch normalisation"):
        Recalibrate().apply(State(ModelSpec.of("lenet5").build(), DATA))
    with pytest.raises(NothingToPrune, match="the model has no Conv2d"):
        Prune(0.5).apply(State(nn.Sequential(nn.ReLU()), DATA))


@pytest.mark.parametrize(
    "step", [Prune(0.5), Densify(), Rewind(), QuantizeWeights(3), MixedBits(3)]
)
def test_weights_that_are_shared_are_not_changed_one_by_one(state, step):
    Prune(0.5).apply(state)
    Remember().apply(state)
    Share(3).apply(state)
    with pytest.raises(ValueError, match=f"put {type(step).__name__} before Share"):
        step.apply(state)


def test_options_by_layer_may_be_a_dict_and_a_list():
    name = "classifier.0.weight"
    for kind, more in (
        (Prune, {}),
        (Gradual, {"sparsity": 0.5}),
        (QuantizeWeights, {}),
        (QuantizedTrain, {"epochs": 1}),
        (Share, {}),
    ):
        value = 0.5 if kind in (Prune, Gradual) else 3
        step = kind(**more, per_layer={name: value}, exclude=["a"])
        assert step.per_layer[0][0] == name and step.exclude == ("a",) and hash(step)


@pytest.mark.parametrize("images", [0, -5, 2.5])
def test_a_number_of_images_to_recalibrate_on_is_positive_and_whole(images):
    with pytest.raises(ValueError, match="images must be a whole number of at least 1"):
        Recalibrate(images)


def test_a_pruned_network_and_what_it_put_aside_survive_the_cache(tmp_path):
    recipe = (Remember(), Train(1, batch_size=64, lr=0.01), Prune(0.5), Densify())
    experiment = Experiment(
        ModelSpec.of("lenet_300_100", image_size=8), DataSpec("digits", 8, 64), recipe
    )
    cache = PrefixCache(tmp_path)
    first, _ = run_experiment(experiment, cache=cache)
    again, steps = run_experiment(experiment, cache=cache)
    assert len(steps) == 4 and first.saved.keys() == again.saved.keys()
    for purpose in ("remembered", "revived"):
        kept, read = first.saved[purpose], again.saved[purpose]
        assert kept.keys() == read.keys() and all(torch.equal(kept[n], read[n]) for n in kept)
