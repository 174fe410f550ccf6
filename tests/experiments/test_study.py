"""Studies as data: their arms, narrowed, observed, and refused where they make no sense."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tiny import tiny_experiment
from tiny_study import Pause, rates

from squeeze_utils.experiments.study import Arm, Study


def test_a_study_is_narrowed_by_its_labels_and_seeds():
    study = rates(0.1, 0.2, 0.3, seeds=2)
    assert [dict(arm.labels)["lr"] for arm in study.where(lr=(0.3, 0.1), seed=1).arms] == [0.1, 0.3]
    assert [arm.experiment.seed for arm in study.where(lr=0.2, kind="a b/c").arms] == [0, 1]
    waiting = replace(study, arms=study.arms[:1], expected=study.arms[1:])
    assert len(waiting.where(seed=0).expected) == len(study.where(seed=0).arms) - 1
    assert not study.where(lr=0.7).arms  # a pilot may still have to choose it
    with pytest.raises(ValueError, match="have no label rate; there are: kind, lr, seed"):
        study.where(rate=0.1)


def test_a_study_is_narrowed_by_a_part_of_its_names():
    study = rates(0.1, 0.2)
    assert [arm.slug for arm in study.only("0.2-A").arms] == ["0.2-a-b-c-s0"]
    with pytest.raises(ValueError, match=r"no arm of small has '0\.7' in its name"):
        study.only("0.7")
    with pytest.raises(ValueError, match="small has no arms before its pilot first is complete"):
        replace(study, arms=(), expected=study.arms, pilot="first").only("0.2")
    partly = replace(study, arms=study.arms[:1], expected=study.arms[1:], pilot="first")
    with pytest.raises(ValueError, match=r"0\.2-a-b-c-s0 of small waits for its pilot first"):
        partly.only("0.2")


def test_an_observed_study_has_the_same_arms_with_more_steps():
    study = Study("small", "which rate?", rates(0.1, 0.2).arms, pilot="small_lr", processes=2)
    (waiting,) = expected = rates(0.4).arms
    study = replace(study, expected=expected, may_share=True)
    observed = study.observed("watched", "and then?", Pause(1), Pause(2))
    assert (observed.name, observed.title, observed.pilot) == ("watched", "and then?", "small_lr")
    assert observed.processes == 2 and observed.may_share
    assert observed.expected[0].experiment == waiting.experiment.followed_by(Pause(1), Pause(2))
    for arm, before in zip(observed.arms, study.arms, strict=True):
        assert arm.labels == before.labels and arm.checkpoint is None
        assert arm.experiment == before.experiment.followed_by(Pause(1), Pause(2))


def test_arms_of_two_studies_stand_side_by_side_and_change_together():
    both = rates(0.1).with_arms_of(rates(0.2).once(settled=False))
    assert [len(part) for part in (both.arms, both.expected, both.planned)] == [1, 1, 2]
    named = both.each(lambda arm: replace(arm, checkpoint="x"))
    assert [arm.checkpoint for arm in named.planned] == ["x", "x"]
    some = both.each(lambda arm: arm if arm.experiment.recipe[0].lr == 0.2 else None)
    assert not some.arms and len(some.expected) == 1


def test_a_pooled_deviation_and_certain_arms_exclude_each_other():
    with pytest.raises(ValueError, match="certain arms have no deviation to be pooled"):
        replace(rates(0.1), pools_deviation=True, certain=["plain"])


def test_the_same_experiment_twice_is_a_mistake_unless_it_may_be_shared():
    arm = rates(0.1).arms[0]
    with pytest.raises(ValueError, match="twice contains the same experiment twice"):
        Study("twice", "", (arm, arm))
    assert len(Study("twice", "", (arm, Arm.of(arm.experiment)), may_share=True).arms) == 2


def test_a_file_name_holds_labels_and_seed():
    assert Arm.of(tiny_experiment(seed=3), kind="A b/c", lr=0.1).slug == "a-b-c-0.1-s3"
