from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass

import pytest
import torch
from tiny import QUICK, tiny_experiment, tiny_set, tiny_spec

from squeeze_utils.experiments.recipe import (
    DataSpec,
    Experiment,
    PrefixCache,
    finish,
    run_experiment,
)
from squeeze_utils.models import ModelSpec
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State, Step

ONE, TWO = Train(1, **QUICK), Train(1, **{**QUICK, "lr": 0.02})


@pytest.fixture(scope="module")
def data():
    return tiny_set(classes=3)


@pytest.fixture
def cache(tmp_path):
    return PrefixCache(tmp_path / "states")


@pytest.fixture
def kinds(monkeypatch):
    """Steps that a test defines are forgotten afterwards."""
    monkeypatch.setattr(Step, "kinds", dict(Step.kinds))


def timeless(steps: list[dict]) -> list[dict]:
    return [
        {
            **{name: value for name, value in step.items() if name != "seconds"},
            "history": [{**epoch, "seconds": 0} for epoch in step.get("history", ())],
        }
        for step in steps
    ]


def same_states(one: State, other: State) -> bool:
    a, b = one.model.state_dict(), other.model.state_dict()
    return a.keys() == b.keys() and all(torch.equal(a[name], b[name]) for name in a)


def test_the_key_is_the_hash_of_canonical_json_without_defaults():
    experiment = Experiment(
        ModelSpec.of("lenet5", num_classes=10), DataSpec(), (Train(3, lr=0.2),), 1
    )
    text = (
        '{"data":{"name":"digits","size":null,"train_limit":null},'
        '"model":{"name":"lenet5","options":{"num_classes":10}},'
        '"recipe":[{"epochs":3,"lr":0.2,"step":"Train"}],"seed":1}'
    )
    assert experiment.key == hashlib.sha256(text.encode()).hexdigest()[:16]


def test_the_key_is_stable_when_a_step_gains_a_field_with_a_default(kinds):
    @dataclass(frozen=True)
    class Widen(Step):
        by: int = 1

    before = tiny_experiment(Widen(2), Widen())

    @dataclass(frozen=True)
    class Widen(Step):  # the same step in a later version
        by: int = 1
        evenly: bool = False
        kinds_of_layers: tuple[str, ...] = ("conv",)

    assert tiny_experiment(Widen(2), Widen()).key == before.key
    assert tiny_experiment(Widen(2, evenly=True), Widen()).key != before.key
    old_record = before.as_dict()  # has no field `evenly`
    assert Experiment.from_dict(old_record) == tiny_experiment(Widen(2), Widen())


def test_the_key_changes_with_every_field():
    plan = Train(2)
    changed = {
        "epochs": 3,
        "lr": 0.2,
        "optimizer": "adam",
        "schedule": "cosine",
        "batch_size": 64,
        "weight_decay": 0.0,
        "label_smoothing": 0.1,
        "shift": 1,
        "flip": True,
        "cutout": 2,
        "precision": "float32",
        "may_diverge": True,
    }
    assert {*changed, "cycles", "during"} == {field.name for field in dataclasses.fields(Train)}
    base = Experiment(tiny_spec(), DataSpec(), (plan,))
    others = [
        replace(base, recipe=(replace(plan, **{name: value}),)) for name, value in changed.items()
    ]
    others += [
        replace(base, recipe=(replace(plan, schedule="restarts", cycles=cycles),))
        for cycles in ((2,), (1, 1))
    ]
    others += [
        replace(base, seed=1),
        replace(base, data=DataSpec("mnist")),
        replace(base, data=DataSpec(size=8)),
        replace(base, data=DataSpec(train_limit=100)),
        replace(base, model=tiny_spec(num_classes=5)),
        replace(base, model=ModelSpec.of("lenet5")),
        replace(base, recipe=(plan, plan)),
    ]
    keys = [experiment.key for experiment in (base, *others)]
    assert len(set(keys)) == len(keys)


replace = dataclasses.replace


def test_an_experiment_survives_json():
    spec = ModelSpec.of("squeezenet_small", pool_after=(1, 3), num_classes=10)
    experiment = Experiment(spec, DataSpec("digits", 8, 64), (ONE, Train(2, flip=True)), 7)
    for defaults in (True, False):
        text = json.dumps(experiment.as_dict(defaults))
        again = Experiment.from_dict(json.loads(text))
        assert again == experiment
        assert again.key == experiment.key
        assert hash(again) == hash(experiment)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"recipe": [{"step": "Trian"}]}, "unknown step 'Trian'; accepted: .*Train"),
        ({"recipe": [{"step": "Train", "epochs": 1, "lrr": 1}]}, "step Train has no field lrr"),
        ({"recipe": []}, "a recipe needs at least one step"),
        ({"model": {"name": "resnet", "options": {}}}, "unknown model 'resnet'"),
    ],
)
def test_a_description_that_is_no_experiment_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Experiment.from_dict({**tiny_experiment().as_dict(), **change})


def test_two_steps_cannot_share_a_name(kinds):
    with pytest.raises(TypeError, match="two steps are called Train"):
        type("Train", (Step,), {"__module__": "elsewhere"})


def test_running_measures_every_step_and_reads_the_test_split_only_at_the_end(data):
    poisoned = replace(data.test, labels=torch.full_like(data.test.labels, 10**6))
    experiment = tiny_experiment(ONE, TWO)
    state, steps = run_experiment(experiment, data=replace(data, test=poisoned))
    assert [step["step"]["lr"] for step in steps] == [0.05, 0.02]
    count = sum(p.numel() for p in state.model.parameters())
    for step in steps:
        assert step["parameters"] == count and step["dense_bytes"] == 4 * count
        assert step["nonzero"] <= count and step["seconds"] >= 0
        assert step["precision"] == "float32" and len(step["history"]) == 1
        assert "test_accuracy" not in step
    state.data = data
    finished = finish(state, steps)
    assert "test_accuracy" not in finished[0]
    assert 0 <= finished[1]["test_accuracy"] <= 100
    assert sum(map(sum, finished[1]["confusion"])) == len(data.test)


def test_the_seed_decides_everything(data):
    before = torch.get_rng_state()
    first, first_steps = run_experiment(tiny_experiment(), data=data)
    assert torch.equal(torch.get_rng_state(), before)
    torch.rand(3)
    second, second_steps = run_experiment(tiny_experiment(), data=data)
    other, _ = run_experiment(tiny_experiment(seed=1), data=data)
    assert same_states(first, second)
    assert timeless(first_steps) == timeless(second_steps)
    assert not same_states(first, other)


def test_a_shared_prefix_is_trained_once_and_the_result_is_the_same_bit_for_bit(data, cache, fits):
    plain, plain_steps = run_experiment(tiny_experiment(ONE, TWO), data=data)
    assert fits == [0.05, 0.02]
    run_experiment(tiny_experiment(ONE), data=data, cache=cache)
    cached, cached_steps = run_experiment(tiny_experiment(ONE, TWO), data=data, cache=cache)
    assert fits == [0.05, 0.02, 0.05, 0.02]  # the prefix once, then only the second step
    assert same_states(plain, cached)
    assert timeless(plain_steps) == timeless(cached_steps)
    again, again_steps = run_experiment(tiny_experiment(ONE, TWO), data=data, cache=cache)
    assert len(fits) == 4
    assert same_states(plain, again) and timeless(again_steps) == timeless(plain_steps)
    run_experiment(tiny_experiment(ONE, seed=1), data=data, cache=cache)
    assert len(fits) == 5  # another seed is another prefix


def test_what_a_cache_lacks_is_what_runs_next(data, cache):
    experiment = tiny_experiment(ONE, TWO)
    first, whole = experiment.prefix(1), experiment
    assert cache.lacks(experiment) == first.key
    run_experiment(first, data=data, cache=cache)
    assert cache.lacks(experiment) == whole.key
    assert cache.lacks(tiny_experiment(TWO, ONE)) != first.key
    run_experiment(whole, data=data, cache=cache)
    assert cache.lacks(experiment) == whole.key  # nothing is left to run


def test_masks_and_codebooks_come_back_from_the_cache(data, cache):
    state, steps = run_experiment(tiny_experiment(), data=data)
    state.masks = {"classifier.0.weight": torch.ones(300, 64)}
    state.codebooks = {"classifier.0.weight": torch.arange(4.0)}
    cache.save("key", state, steps)
    fresh = State(tiny_spec().build(), data)
    assert cache.restore("key", fresh) == json.loads(json.dumps(steps))
    assert same_states(fresh, state)
    assert torch.equal(fresh.masks["classifier.0.weight"], torch.ones(300, 64))
    assert torch.equal(fresh.codebooks["classifier.0.weight"], torch.arange(4.0))


def test_a_state_moves_with_all_that_binds_it(data):
    state = State(tiny_spec().build(), None)
    for held in (state.masks, state.codebooks, state.saved):
        held["a weight"] = torch.ones(2)
    state.to(torch.device("meta"), data)
    bound = [*state.masks.values(), *state.codebooks.values(), *state.saved.values()]
    assert len(bound) == 3
    assert all(tensor.is_meta for tensor in (*bound, *state.model.state_dict().values()))
    assert state.data is data and state.device.type == "meta"


def test_photographs_are_trained_on_the_gpu_and_digits_never(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert DataSpec("cifar10").device().type == "cuda"
    assert DataSpec("digits", size=16).device().type == "cpu"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_what_a_gpu_has_trained_comes_back_to_the_processor(data, cache, monkeypatch):
    monkeypatch.setattr(DataSpec, "device", lambda spec: torch.device("cuda"))
    for _ in range(2):  # trained, then read from the cache
        state, steps = run_experiment(tiny_experiment(), data=data, cache=cache)
        everything = [*state.model.state_dict().values(), *state.masks.values()]
        assert all(tensor.device.type == "cpu" for tensor in everything)
        assert state.data is data
        assert next(state.initial().parameters()).device.type == "cpu"
        assert finish(state, steps)[-1]["test_accuracy"] >= 0
    there, _ = run_experiment(tiny_experiment(), data=data, cache=cache, device="cuda")
    assert all(tensor.is_cuda for tensor in there.model.state_dict().values())


def test_other_images_under_the_same_name_are_trained_on_again(data, cache, fits):
    run_experiment(tiny_experiment(), data=data, cache=cache)
    other = tiny_set(classes=3, seed=1)
    assert other.fingerprint != data.fingerprint
    found, _ = run_experiment(tiny_experiment(), data=other, cache=cache)
    assert len(fits) == 2
    expected, _ = run_experiment(tiny_experiment(), data=other)
    assert same_states(found, expected)


def _truncate(path, content):
    path.write_bytes(path.read_bytes()[:-50])


def _other_shape(path, content):
    content["model"]["classifier.0.bias"] = torch.zeros(5)
    torch.save(content, path)


def _no_masks(path, content):
    content.pop("masks")
    torch.save(content, path)


@pytest.mark.parametrize("damage", [_truncate, _other_shape, _no_masks])
def test_a_damaged_cache_file_is_named_and_set_aside(damage, data, cache, fits):
    experiment = tiny_experiment()
    expected, _ = run_experiment(experiment, data=data, cache=cache)
    path = cache.path(experiment.key)
    damage(path, torch.load(path, weights_only=True))
    with pytest.warns(UserWarning, match=f"damaged cache file, moved to {path.name}.corrupt"):
        found, _ = run_experiment(experiment, data=data, cache=cache)
    assert len(fits) == 2
    assert same_states(found, expected)
    assert path.is_file() and path.with_name(path.name + ".corrupt").is_file()
