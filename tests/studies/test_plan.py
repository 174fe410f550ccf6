"""What is missing of the reference runs, and running all of it."""

from __future__ import annotations

from dataclasses import replace

import pytest
from finished import pretend
from tiny_study import rates

from squeeze_utils.base import paths
from squeeze_utils.base.scale import Scale
from squeeze_utils.compress.quantizing.after_training import Calibrate
from squeeze_utils.experiments.experiment import DataSpec
from squeeze_utils.experiments.state_cache import usual_cache
from squeeze_utils.experiments.study import Study
from squeeze_utils.models import ModelSpec
from squeeze_utils.studies import catalogue, commands, durations, plan

REFERENCE = Scale("reference")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """What is written lies below `tmp_path`."""
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)


@pytest.fixture
def known(monkeypatch, tmp_path):
    """Two studies, the second more important; its pilot adds a rate while the last is best."""

    def pilot(scale: Scale) -> Study:
        found = Study("first_lr_long", "?", rates(0.1, 0.2).arms)
        return found if found.missing() else Study("first_lr_long", "?", rates(0.1, 0.2, 0.4).arms)

    def first(scale: Scale) -> Study:
        done = len(pilot(scale).arms) == 3 and not pilot(scale).missing()
        return Study("first_long", "?", rates(0.8, 0.1).arms, "first_lr_long").once(done)

    made = {
        "later": lambda scale: replace(rates(0.7), name="later"),
        "first_lr_long": pilot,
        "first_long": first,
    }
    monkeypatch.setattr(catalogue, "catalogue", lambda: made)
    monkeypatch.setattr(plan, "ORDER", ("first_long", "not yet written"))
    return made


def test_the_plan_counts_pilots_and_hours_once_and_goes_by_importance(known, tmp_path):
    (first, later) = plan.make_plan()
    assert (first.study, first.missing, first.waiting) == ("first_long", 4, 2)  # 0.1 twice
    assert (later.study, later.missing, later.waiting) == ("later", 1, 0)
    assert first.hours == pytest.approx(3 * later.hours)
    for arm in rates(0.7).arms:
        pretend(arm, tmp_path / "runs" / "later")
    assert [line.study for line in plan.make_plan()] == ["first_long"]
    assert "4" in plan.show_plan() and "2 wait for a pilot" in plan.show_plan()


def test_what_another_study_has_recorded_is_missing_but_costs_nothing(known, tmp_path):
    for arm in rates(0.7).arms:
        pretend(arm, tmp_path / "runs" / "other")
    (_, later) = plan.make_plan()
    assert (later.study, later.missing, later.hours) == ("later", 1, 0)
    commands.run_study_named("later", REFERENCE)
    assert [line.study for line in plan.make_plan()] == ["first_long"]


def test_all_is_run_in_order_pilots_first_as_long_as_they_grow(known, fits):
    assert commands.run_everything() == ["first_long", "later"]
    assert fits == [0.1, 0.2, 0.4, 0.8, 0.7]
    assert plan.show_plan().startswith("nothing to do")
    assert commands.run_everything() == [] and len(fits) == 5


def test_images_are_counted_in_those_of_the_half_width_network():
    half = commands.catalogue.find("residual_lr_long", REFERENCE).arms[0].experiment
    assert half.model == durations.HALF and durations.relative(half.model) == 1
    assert sum(plan._left(half, set())) == 24 * 45_000
    other = replace(half, model=ModelSpec.of("vgg11"), data=DataSpec("cifar10", train_limit=1000))
    assert sum(plan._left(other, set())) == 24 * 1000 * durations.RELATIVE["vgg11"]
    mnist = replace(half, data=DataSpec("mnist"))
    assert sum(plan._left(mnist, set())) == 24 * 54_001
    few = replace(half, data=DataSpec("cifar10", per_class=5))
    assert durations.training_images(few) == 50
    every = replace(half, data=DataSpec("cifar10", train_on_validation=True))
    assert durations.training_images(every) == 50_000
    with pytest.raises(ValueError, match="unknown images 'own'; accepted: cifar10, mnist"):
        durations.training_images(replace(half, data=DataSpec("own")))
    trained: set[str] = set()
    assert sum(plan._left(half, trained)) > 0 == sum(plan._left(half, trained))  # trained once
    step = replace(half.recipe[0], epochs=8)
    assert sum(plan._left(half.followed_by(step), trained)) == 8 * 45_000
    rounded = half.followed_by(Calibrate(bits=8)).followed_by(step)
    assert sum(plan._left(rounded, trained)) == 8 * 45_000 * durations.ROUNDED
    exact = half.followed_by(replace(step, precision="float32"))
    assert sum(plan._left(exact, trained)) == 8 * 45_000 * durations.FLOAT32


def test_a_study_is_as_fast_as_its_records_and_otherwise_as_the_long_ones(monkeypatch):
    monkeypatch.setattr(durations.machine, "device_name", lambda device: "cpu")
    monkeypatch.setattr(durations.machine, "precision", lambda name, device: "bfloat16")
    monkeypatch.setattr(durations.machine, "cores", lambda: 2)
    study = catalogue.find("residual_lr_long", REFERENCE).where(network="plain")
    likely = 2 * durations.IMAGES_PER_SECOND["bfloat16"]
    assert durations.usual_speed([study]) == likely
    assert durations.speed([study], likely) == likely
    for arm in study.arms:
        pretend(arm, paths.shipped("runs") / study.name)  # 45 seconds an epoch
    assert durations.usual_speed([study]) == pytest.approx(2 * 45_000 / 45)
    short = replace(study, name="residual_lr_long_not")
    assert durations.usual_speed([short]) == likely
    assert durations.speed([study], 1.0) == pytest.approx(2 * 45_000 / 45)


def test_a_speed_is_that_of_bfloat16_even_where_records_have_float32(monkeypatch):
    monkeypatch.setattr(durations.machine, "device_name", lambda device: "cpu")
    monkeypatch.setattr(durations.machine, "cores", lambda: 1)
    arm = catalogue.find("residual_lr_long", REFERENCE).where(network="plain").arms[0]
    step = replace(arm.experiment.recipe[0], precision="float32")
    exact = replace(arm, experiment=replace(arm.experiment, recipe=(step,)))
    study = Study("exact", "?", [exact])
    pretend(exact, paths.shipped("runs") / study.name)  # 45 seconds an epoch
    assert durations.speed([study], 1.0) == pytest.approx(durations.FLOAT32 * 1000)


def test_networks_of_several_processes_are_trained_one_after_the_other(monkeypatch):
    monkeypatch.setattr(durations.machine, "device_name", lambda device: "cpu")
    monkeypatch.setattr(durations.machine, "cores", lambda: 2)
    study = catalogue.find("exchanges_vgg", REFERENCE)
    first, *_ = study.arms
    pretend(first, paths.shipped("runs") / study.name)  # 45 seconds an epoch of 20,000 images
    expected = 20_000 * durations.RELATIVE["vgg11"] / 45
    assert durations.speed(iter([study]), 1.0) == pytest.approx(expected)


def test_what_is_announced_leaves_kept_states_out_and_counts_federated_rounds(known, tmp_path):
    assert plan.announce("first_long").trainings == 3
    states = usual_cache()
    states.folder.mkdir(parents=True)
    states.path(rates(0.2).arms[0].experiment.key).touch()
    found = plan.announce("first_long")
    assert (found.experiments, found.trainings) == (3, 2)
    clients = catalogue.CHAPTERS[-1].STUDIES["federated"](REFERENCE).expected[0].experiment
    (step,) = clients.recipe
    (images,) = plan._left(clients, set())
    assert images == step.rounds * step.epochs * 45_000 * durations.relative(clients.model)


def test_what_is_announced_with_a_name_are_the_arms_that_are_run(known):
    known["named"] = lambda scale: Study("named", "?", rates(0.1, 0.2, 0.4).arms, "later")
    assert plan.announce("named").experiments == 3 + 1
    assert plan.announce("named", "0.2").experiments == 1 + 1  # the pilot has no such arm: whole
    assert plan.announce("named", "0.7").experiments == 1  # the pilot alone has it
    assert plan.announce("first_long", "0.1").experiments == 1  # an arm of the pilot, and expected
    known["last"] = lambda scale: Study("last", "?", rates(0.2, 0.4).arms, "middle")
    known["middle"] = lambda scale: Study("middle", "?", rates(0.3).arms, "before")
    known["before"] = lambda scale: Study("before", "?", rates(0.2, 0.5, 0.6).arms)
    assert plan.announce("last", "0.4").experiments == 1 + 1 + 3  # the pilot's pilot is whole, too
    with pytest.raises(ValueError, match="no arm of named has 'fancy' in its name"):
        plan.announce("named", "fancy")


def test_records_of_another_processor_tell_nothing(monkeypatch):
    study = catalogue.find("residual_lr_long", REFERENCE).where(network="plain")
    for arm in study.arms:
        pretend(arm, paths.shipped("runs") / study.name)
    monkeypatch.setattr(durations.machine, "device_name", lambda device: "another")
    assert durations.speed([study], 7.0) == 7.0


def test_the_whole_plan_has_the_order_of_importance(monkeypatch):
    makers = catalogue.catalogue()
    assert set(plan.ORDER) <= set(makers)
    assert plan.ORDER[7:10] == ("optimizers_long", "squeeze_ratio_long", "combining_long")
    names = {name for name in makers if name.endswith("_long")} | {*plan.ORDER}
    names |= {"ladder_lr", "transfer_lr", "detection_lr", "segmentation_lr", "federated_lr"}
    listed = {name: makers[name] for name in names}
    old = {"dsd": makers["dsd"]}
    monkeypatch.setattr(catalogue, "catalogue", lambda: old | listed)
    lines = plan.make_plan()
    assert [line.study for line in lines] == [*plan.ORDER, "dsd"]
    untrained = {"quantization_mixed_long", "transfer_head_curve", "transfer_copies"}
    untrained.add("priced_coders")  # it observes networks of another study
    assert all(line.hours > 0 for line in lines if line.study not in untrained)
