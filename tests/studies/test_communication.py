"""Chapter 20's studies."""

from __future__ import annotations

from pathlib import Path

import pytest
import together_job
from finished import pretend

from squeeze_utils.base.claims import Claims
from squeeze_utils.base.scale import SCALES, Scale
from squeeze_utils.experiments.run_arm import CLAIMS
from squeeze_utils.experiments.run_study import StudyIncomplete
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.results.named_study import study
from squeeze_utils.studies import communication, together
from squeeze_utils.training.distributed.launch import launch
from squeeze_utils.training.distributed.together import EXCHANGES


@pytest.mark.parametrize("scale", SCALES)
def test_arms_differ_in_what_is_exchanged_alone(scale):
    for name in ("exchanges_long", "exchanges_vgg"):
        made = communication.STUDIES[name](Scale(scale))
        steps = [arm.experiment.recipe[0] for arm in made.planned]
        assert made.processes == 2 and {step.workers for step in steps} == {2}
        assert len({(step.epochs, step.lr, step.batch_size, step.shift) for step in steps}) == 1
    named = {way.get("exchange", "all") for way in communication.ways(Scale(scale)).values()}
    assert named == set(EXCHANGES)


def test_weights_decay_as_fast_where_the_momentum_is_in_the_exchange():
    for arm in communication.exchanges_vgg(Scale("reference")).arms:
        step = arm.experiment.recipe[0]
        passed_on = 1 / (1 - 0.9) if step.optimizer == "momentum" else 1
        assert step.weight_decay * passed_on == pytest.approx(5e-3)


def test_rare_averages_send_a_hundred_times_less_also_at_the_ends_of_epochs():
    for name, images in {"exchanges_long": 45_000, "exchanges_vgg": 20_000}.items():
        made = communication.STUDIES[name](Scale("reference"))
        arms = [arm for arm in made.planned if ("exchange", "seldom") in arm.labels]
        plan = arms[0].experiment.recipe[0]
        steps = plan.epochs * (images // plan.batch_size)
        assert steps / (steps // plan.every + plan.epochs) > 100


def test_clients_compute_in_a_precision_that_the_recipe_names():
    wanted = {"quick": "float32", "reference": "bfloat16"}
    for scale in SCALES:
        made = communication.federated(Scale(scale))
        steps = [arm.experiment.recipe[0] for arm in made.planned]
        assert {step.precision for step in steps} == {wanted[scale]}
        assert {step.plan.precision for step in steps} == {wanted[scale]}


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("name", ["exchanges_long", "exchanges_vgg"])
def test_the_name_of_the_largest_numbers_gives_the_share_that_is_sent(scale, name):
    made = communication.STUDIES[name](Scale(scale))
    steps = {
        label: arm.experiment.recipe[0].density
        for arm in made.planned
        for _, label in arm.labels
        if label.endswith(" %")
    }
    assert len(steps) == 1
    assert all(label == f"largest {100 * density:g} %" for label, density in steps.items())


def test_tables_wait_for_their_records():
    for name in communication.STUDIES:
        found = study(name).records()
        assert found.source
        assert bool(len(found.table())) == bool(len(found))


def test_a_study_of_two_processes_is_launched_and_its_records_are_read(monkeypatch, tmp_path):
    """The processes themselves are tested with the launching; here they are pretended."""
    asked = {}

    def launched(module, count, **how):
        asked.update(how, module=module, count=count)
        made = communication.exchanges(Scale("quick"))
        for arm in made.arms:
            if arm.experiment.key in how["keys"]:
                pretend(arm, type(tmp_path)(how["folder"]) / made.name)
        return [1, 1]

    monkeypatch.setattr(together, "launch", launched)
    live = study("exchanges_long").run(exchange="seldom")
    assert len(live) == 1 and asked["count"] == 2 and len(asked["keys"]) == 1
    assert asked["module"] == together.job.__module__


def test_a_backend_is_refused_where_processes_train_together():
    with pytest.raises(ValueError, match="leave the backend 'dask' out"):
        study("exchanges_long").run(Scale("quick"), backend="dask")


@pytest.fixture
def crashing(monkeypatch, tmp_path):
    """Two processes crash for one experiment, for real; what others measure is pretended."""
    made = communication.exchanges_vgg(Scale("quick"))
    bad, started = made.arms[1], []
    support = str(Path(together_job.__file__).parent)
    monkeypatch.setenv("PYTHONPATH", support)

    def launched(module, count, **how):
        started.append(how["keys"])
        (arm,) = (arm for arm in made.arms if arm.experiment.key in how["keys"])
        if arm == bad:
            asked = {"experiments": [], "folder": str(tmp_path), "fail": True}
            return launch("together_job", count, seconds=60, **asked)
        pretend(arm, tmp_path / made.name)
        return [1, 1]

    monkeypatch.setattr(together, "launch", launched)
    return made, bad, started


@pytest.mark.slow
def test_an_experiment_that_crashes_does_not_keep_the_others_from_running(crashing, tmp_path):
    made, bad, started = crashing
    how = {"folder": tmp_path, "cache": PrefixCache(tmp_path / "states")}
    with pytest.raises(StudyIncomplete, match=r"process \d of 2 has failed") as stopped:
        together.run_together(made, Scale("quick"), **how)
    assert started == [[arm.experiment.key] for arm in made.arms]
    assert [failure.arm for failure in stopped.value.failures] == [bad]
    assert len(stopped.value.records) == len(made.arms) - 1
    with pytest.raises(StudyIncomplete):  # only what failed is tried again
        together.run_together(made, Scale("quick"), **how)
    assert started[len(made.arms) :] == [[bad.experiment.key]]


def test_an_experiment_that_another_run_has_claimed_comes_last(monkeypatch, tmp_path):
    made, started = communication.exchanges_vgg(Scale("quick")), []

    def launched(module, count, **how):
        started.append(*how["keys"])
        arm = next(arm for arm in made.arms if arm.experiment.key in how["keys"])
        pretend(arm, tmp_path / made.name)

    monkeypatch.setattr(together, "launch", launched)
    keys = [arm.experiment.key for arm in made.arms]
    with Claims(tmp_path / CLAIMS).take(keys[0]):
        cache = PrefixCache(tmp_path / "states")
        found = together.run_together(made, Scale("quick"), folder=tmp_path, cache=cache)
    assert started == [*keys[1:], keys[0]] and len(found) == len(keys)
