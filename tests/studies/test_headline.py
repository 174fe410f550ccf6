"""The ladder and the headline: one change after the other, the best rung for long."""

from __future__ import annotations

from dataclasses import fields
from itertools import pairwise

import pytest
from finished import finish, pretend

from squeeze_utils.anatomy.costs import count
from squeeze_utils.base import paths
from squeeze_utils.base.scale import Scale
from squeeze_utils.studies.catalogue import find
from squeeze_utils.studies.headline import BEST, CHANGES, EPOCHS
from squeeze_utils.training.loop import Train

QUICK, REFERENCE = Scale("quick"), Scale("reference")


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A folder of records, empty at first."""
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)
    return tmp_path / "runs"


def changed(before: Train, after: Train) -> dict:
    names = [field.name for field in fields(Train)]
    return {
        name: getattr(after, name)
        for name in names
        if getattr(after, name) != getattr(before, name)
    }


def test_each_rung_adds_one_change_at_the_rate_of_the_first(runs):
    assert not find("ladder", REFERENCE).arms
    finish("ladder_lr", runs, best=0.02)
    assert {dict(arm.labels)["rung"] for arm in find("ladder_lr", REFERENCE).arms} == {"base"}
    arms = find("ladder", REFERENCE).where(seed=0).arms
    steps = [arm.experiment.recipe[0] for arm in arms]
    assert {step.lr for step in steps} == {0.02} and {step.epochs for step in steps} == {60}
    found = [changed(*pair) for pair in pairwise(steps)]
    assert found == [change for _, change in CHANGES[1:]]
    assert count(arms[0].experiment.model.build())["parameters"] == 730_570


def test_the_headline_takes_the_rung_that_is_best_on_validation_images(runs):
    finish("ladder_lr", runs)
    ladder = find("ladder", REFERENCE)
    for arm in ladder.arms:
        assert find("headline", REFERENCE).expected
        good = dict(arm.labels)["rung"] == "+ label smoothing"
        pretend(arm, runs / "ladder", best=0.04 if good else 0.08)
    study = find("headline", REFERENCE)
    assert len(study.arms) == 5 and not study.expected
    plain, *_, everything, late = (arm.experiment for arm in study.arms)
    step = plain.recipe[0]
    assert (step.ema, step.label_smoothing, step.mixup, step.epochs) == (0.999, 0.1, 0.0, EPOCHS)
    assert {arm.experiment.seed for arm in study.where(network=BEST).arms} == {0, 1, 2}
    assert everything.data.train_on_validation and not plain.data.train_on_validation
    assert count(late.model.build())["multiply_adds"] > 60e6
    assert [arm.checkpoint for arm in study.arms if arm.checkpoint] == [
        "squeezenet-headline-cifar10"
    ]


def test_at_quick_scale_nothing_waits():
    assert len(find("headline", QUICK).arms) == 3
    assert len(find("ladder", QUICK).arms) == len(CHANGES)
