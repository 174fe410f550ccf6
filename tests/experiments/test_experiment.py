"""Experiments as data: what names them, and what a description must hold."""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
import pkgutil
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from tiny import QUICK, tiny_experiment, tiny_spec

import squeeze_utils
from squeeze_utils.experiments.every_step import STEPS
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.models import ModelSpec
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import Step, Within


@pytest.fixture
def kinds(monkeypatch):
    """Steps that a test defines are forgotten afterwards."""
    monkeypatch.setattr(Step, "kinds", dict(Step.kinds))


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


def test_training_on_validation_images_is_another_experiment_and_survives_json():
    usual = tiny_experiment()
    joined = replace(usual, data=replace(usual.data, train_on_validation=True))
    assert joined.key != usual.key
    assert Experiment.from_dict(joined.as_dict()) == joined
    assert Experiment.from_dict(usual.as_dict()) == usual


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
        "ema": 0.99,
        "mixup": 0.2,
        "rotation": 15,
        "colour": 0.1,
        "sharpness": 0.5,
        "only": ("classifier",),
    }
    assert {*changed, "cycles", "during", "mixup_growth"} == {
        field.name for field in dataclasses.fields(Train)
    }
    base = Experiment(tiny_spec(), DataSpec(), (plan,))
    others = [
        replace(base, recipe=(replace(plan, **{name: value}),)) for name, value in changed.items()
    ]
    others += [
        replace(base, recipe=(replace(plan, schedule="restarts", cycles=cycles),))
        for cycles in ((2,), (1, 1))
    ]
    others += [replace(base, recipe=(replace(plan, mixup=0.2, mixup_growth=0.5),))]
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


def test_steps_with_whole_and_with_real_rates_have_equal_keys():
    whole, real = (Train(2, lr=lr, weight_decay=no) for lr, no in ((1, 0), (1.0, 0.0)))
    one, other = (replace(tiny_experiment(), recipe=(step,)) for step in (whole, real))
    assert one == other and one.key == other.key
    assert replace(one, recipe=(Train(2, lr=np.float32(0.5)),)).key


def test_an_experiment_survives_json():
    spec = ModelSpec.of("squeezenet_small", pool_after=(1, 3), num_classes=10)
    experiment = Experiment(
        spec, DataSpec("digits", 8, 64), (Train(1, **QUICK), Train(2, flip=True)), 7
    )
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
        ({"seed": "a"}, "seed must be a whole number of at least 0, got 'a'"),
        ({"recipe": []}, "a recipe needs at least one step"),
        ({"model": {"name": "resnet", "options": {}}}, "unknown model 'resnet'"),
    ],
)
def test_a_description_that_is_no_experiment_is_refused(change, words):
    with pytest.raises(ValueError, match=words):
        Experiment.from_dict({**tiny_experiment().as_dict(), **change})


def test_a_step_alone_is_no_recipe_and_a_name_alone_no_list_of_parts():
    with pytest.raises(ValueError, match=r"write \(step,\)"):
        replace(tiny_experiment(), recipe=Train(1))
    with pytest.raises(ValueError, match=r"such as \('classifier',\)"):
        Train(1, only="classifier")


def test_two_steps_cannot_share_a_name(kinds):
    with pytest.raises(TypeError, match="two steps are called Train"):
        type("Train", (Step,), {"__module__": "elsewhere"})


def test_every_step_of_the_package_is_in_the_list_of_all():
    """A record is read without its step's module only because that list imports them all."""
    for room in ("training", "anatomy", "compress"):
        package = importlib.import_module(f"squeeze_utils.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    own = [cls for cls in Step.kinds.values() if cls.__module__.startswith(squeeze_utils.__name__)]
    assert set(own) - {Within} == set(STEPS)


def test_an_experiment_goes_on_with_more_steps_and_stops_after_fewer():
    one, two = Train(1), Train(2)
    experiment = tiny_experiment(one, seed=3)
    longer = experiment.followed_by(two, one)
    assert longer.recipe == (one, two, one) and longer.seed == 3
    assert longer.prefix(1) == experiment


def test_the_seeds_of_its_parts_are_those_that_committed_records_were_made_with():
    experiment = tiny_experiment(seed=1)
    for part, text in (("model", '[1,"model"]'), (0, "[1,0]"), (1, "[1,1]")):
        first = hashlib.sha256(text.encode()).hexdigest()[:16]
        assert experiment.seed_of(part) == int(first, 16) >> 1


def test_photographs_are_trained_on_the_gpu_and_digits_never(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert DataSpec("cifar10").device().type == "cuda"
    assert DataSpec("digits", size=16).device().type == "cpu"


def test_a_field_called_step_would_hide_the_kind_of_a_step():
    with pytest.raises(TypeError, match="no field of a step may be called step"):

        @dataclass(frozen=True)
        class Hidden(Step):
            step: float = 1.0

    assert "Hidden" not in Step.kinds
