"""Hours of one worker: recorded where there are records, else by the speed of the study."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from squeeze_utils.base.scale import Scale
from squeeze_utils.studies import chains
from squeeze_utils.studies.chains import Training, work_of

HOUR = 3600.0


def training(study="a", key="k", first="f", images=HOUR, seconds=None, speed=None):
    return Training(study, key, first, images, seconds, speed)


def test_a_training_takes_what_its_record_says_and_is_counted_once():
    one = training(images=HOUR, seconds=2 * HOUR, speed=0.5)
    same = training("b", images=HOUR)  # another study has the same training, without a record
    work = work_of({"b": [same], "a": [one]}, {"a": (), "b": ()})
    assert work.hours == [2.0] and work.recorded == 2.0


def test_without_a_record_the_speed_is_that_of_the_study_and_its_pilots():
    pilot = training("pilot", "p", "p", seconds=HOUR, speed=1.0)
    later = training("main", "m", "m", images=6 * HOUR)
    other = training("other", "o", "o", images=6 * HOUR)
    fast = training("x_long", "x", "x", images=3 * HOUR, seconds=HOUR, speed=3.0)
    parts = {"pilot": [pilot], "main": [later], "other": [other], "x_long": [fast]}
    work = work_of(parts, {"pilot": (), "main": ("pilot",), "other": (), "x_long": ()})
    assert work.hours == [6.0, 2.0, 1.0, 1.0] and work.speed == 3.0
    likely = work_of({"other": [other]}, {"other": ()})
    assert likely.speed == chains.durations.IMAGES_PER_SECOND["bfloat16"]
    assert likely.hours == [pytest.approx(6 / likely.speed)] and likely.recorded == 0


def test_what_begins_with_the_same_training_is_one_chain():
    parts = {"a": [training(key=key, first="f", seconds=HOUR, speed=1.0) for key in ("f", "g")]}
    assert work_of(parts, {"a": ()}).hours == [2.0]


@pytest.mark.parametrize(
    ("device", "found"),
    [("cpu, 1 thread", (60.0, 45_000 / 20)), ("cpu, 2 threads", None), ("H100", None)],
)
def test_only_records_of_one_thread_count(device, found):
    arm = chains.catalogue.find("residual_lr_long", Scale("reference")).arms[0]
    epochs = [{"seconds": seconds} for seconds in (10.0, 20.0, 99.0)]  # of 24: then it diverged
    steps = [{"history": epochs, "device": device}]
    record = SimpleNamespace(steps=steps, device="?", experiment=arm.experiment.as_dict())
    one = chains._by_one_worker(record).get(0)
    assert (one and (one.seconds, one.speed)) == found
    assert chains._by_one_worker(None) == {}


def test_the_reference_studies_have_chains_most_of_them_shorter_than_a_night():
    work = chains.reference_work()
    assert work.hours == sorted(work.hours, reverse=True) and work.hours[-1] > 0
    assert 0 < work.recorded < sum(work.hours) and work.hours[0] < 12
    assert 500 < work.speed < 20_000
