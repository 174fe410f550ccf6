"""What the command line does with studies and searches."""

from __future__ import annotations

from contextlib import nullcontext
from types import SimpleNamespace

import pytest
from tiny import tiny_experiment
from tiny_search import hill, search
from tiny_study import rates

from squeeze_utils.base import machine, paths
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.run_study import StudyIncomplete, run_study
from squeeze_utils.experiments.search.running import run_search
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.models.checkpoint_files import load_model
from squeeze_utils.studies import catalogue, commands

QUICK, REFERENCE = Scale("quick"), Scale("reference")


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """What is written lies below `tmp_path`."""
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / "shipped" / name)


@pytest.fixture
def known(monkeypatch):
    """The studies that there are: one with a pilot."""
    made = {
        "small": lambda scale: rates(0.1, 0.2),
        "later": lambda scale: Study("later", "then?", rates(0.4).arms, pilot="small"),
    }
    monkeypatch.setattr(catalogue, "catalogue", lambda: made)
    return made


@pytest.mark.parametrize(("scale", "where"), [(QUICK, "cache"), (REFERENCE, "shipped")])
def test_a_study_is_run_and_listed_with_its_reference_records(scale, where, known, tmp_path):
    commands.run_study_named("small", scale)
    assert len(list((tmp_path / where / "runs" / "small").glob("*.json"))) == 2
    assert len(list((tmp_path / "cache" / "states").glob("*.state"))) == 2
    done = 2 if scale == REFERENCE else 0
    assert commands.list_studies().splitlines() == [
        "later                    0/1 records      then?",
        f"small                    {done}/2 records      which rate?",
    ]


def test_the_pilot_of_a_study_comes_first(known, fits):
    commands.run_study_named("later", QUICK)
    assert fits == [0.1, 0.2, 0.4]


def test_a_study_that_fails_does_not_keep_the_next_from_running(known, monkeypatch):
    ran = []

    def run(name, scale, jobs):
        ran.append(name)
        if name == "small":
            raise StudyIncomplete(rates(0.1), [], {})

    lines = [SimpleNamespace(study=name) for name in known]
    monkeypatch.setattr(commands, "make_plan", lambda: lines)
    monkeypatch.setattr(commands, "run_study_named", run)
    with pytest.raises(RuntimeError, match="small: 0 of the arms of"):
        commands.run_everything()
    assert ran == ["small", "later"]


def test_another_kind_of_processor_is_warned_of_before_a_study_goes_on(known, monkeypatch):
    monkeypatch.setattr(machine, "device_name", lambda device: "One, 1 thread")
    commands.run_study_named("small", REFERENCE, only="0.2")
    monkeypatch.setattr(machine, "device_name", lambda device: "Other, 2 threads")
    with pytest.warns(UserWarning, match="small has records from One, and this is Other"):
        commands.run_study_named("small", REFERENCE)
    monkeypatch.setattr(machine, "device_name", lambda device: "One, 1 thread")
    commands.run_study_named("small", QUICK, only="0.2")
    monkeypatch.setattr(machine, "device_name", lambda device: "Other, 2 threads")
    with pytest.warns(UserWarning, match="small has records from One, and this is Other"):
        commands.run_study_named("small", QUICK)  # its own records count, at either scale


def test_only_the_arms_that_are_asked_for_are_run(known, fits):
    commands.run_study_named("small", QUICK, only="0.2-A")
    assert fits == [0.2]
    commands.run_study_named("small", QUICK)
    assert fits == [0.2, 0.1]
    with pytest.raises(ValueError, match=r"no arm of small has '0\.7' in its name; there are: 0"):
        commands.run_study_named("small", QUICK, only="0.7")


def test_a_backend_runs_the_pilot_and_the_study(known, monkeypatch):
    asked = []

    def run(study, **how):
        asked.append((study.name, how["jobs"], how["backend"]))

    monkeypatch.setattr(commands, "run_study", run)
    commands.run_study_named("later", QUICK, jobs=3, backend="loky")
    assert asked == [("small", 3, "loky"), ("later", 3, "loky")]


def test_a_backend_is_refused_where_it_is_unknown_or_several_processes_train_together(known):
    with pytest.raises(ValueError, match="joblib has no backend 'cloud' here"):
        commands.run_study_named("small", QUICK, backend="cloud")
    known["pair"] = lambda scale: Study("pair", "?", rates(0.1).arms, processes=2)
    said = "each network of pair is trained by 2 processes .* leave the backend 'loky' out"
    with pytest.raises(ValueError, match=said):
        commands.run_study_named("pair", QUICK, backend="loky")


def test_a_pilot_without_arms_of_that_name_is_run_whole(known, fits):
    known["named"] = lambda scale: Study(
        "named", "then?", [Arm.of(tiny_experiment(seed=3), name="plain")], pilot="small"
    )
    commands.run_study_named("named", QUICK, only="plain")
    assert fits == [0.1, 0.2, 0.05]


def test_a_name_that_no_arm_has_is_refused_before_the_pilot_is_run(known, fits):
    waiting = Arm.of(tiny_experiment(seed=3), name="plain")
    known["waits"] = lambda scale: Study("waits", "?", (), pilot="small", expected=[waiting])
    for name, others in (("waits", "plain"), ("later", "0.4-a-b-c-s0")):
        said = f"no arm of {name} has 'fancy' in its name; there are: {others}"
        with pytest.raises(ValueError, match=said):
            commands.run_study_named(name, QUICK, only="fancy")
    assert fits == []


@pytest.mark.parametrize(("only", "refused"), [("plain", False), ("plain-0.9", True)])
def test_a_name_that_only_the_pilot_can_settle_is_not_refused_beforehand(
    known, fits, only, refused
):
    def later(scale):  # it has no arm, nor expects one, before its pilot has run
        arms = [Arm.of(tiny_experiment(seed=3), name="plain 0.7")] if fits else []
        return Study("later", "then?", arms, pilot="small")

    known["later"] = later
    with pytest.raises(ValueError, match="no arm of later") if refused else nullcontext():
        commands.run_study_named("later", QUICK, only=only)
    assert fits == [0.1, 0.2, *([] if refused else [0.05])]


def test_part_of_a_pilot_is_not_enough_for_arms_that_wait_for_all_of_it(known, fits):
    waiting = Arm.of(tiny_experiment(seed=3), name="0.2 again")
    known["waits"] = lambda scale: Study("waits", "?", (), pilot="small", expected=[waiting])
    with pytest.raises(ValueError, match="waits has no arms before its pilot small is complete"):
        commands.run_study_named("waits", QUICK, only="0.2")
    assert "waits                    0/1 records" in commands.list_studies()


def test_checkpoints_are_exported_from_finished_states(known, tmp_path):
    experiment = tiny_experiment()
    known["net"] = lambda scale: Study("net", "?", [Arm.of(experiment, "a-net", kind="net")])
    assert commands.export_study_named("net") == {}  # it has not been run
    commands.run_study_named("net", REFERENCE)
    written = commands.export_study_named("net")
    file = tmp_path / "shipped" / "checkpoints" / "a-net.safetensors"
    assert written == {"a-net": file.stat().st_size}
    model, metadata = load_model("a-net")
    assert model.spec == experiment.model
    assert metadata["record"] == experiment.key and metadata["study"] == "net"
    assert commands.export_study_named("small") == {}  # it names none


@pytest.fixture
def tiny_searches(monkeypatch):
    """Two searches of one group, without any training."""
    made = {one.name: one for one in (search("one"), search("two", repetition=1))}
    monkeypatch.setattr(catalogue, "searches", lambda scale: made)
    monkeypatch.setattr(
        commands, "run_search", lambda *args, **how: run_search(*args, objective=hill, **how)
    )


def test_a_search_or_a_group_is_gone_on_with(tiny_searches, tmp_path):
    commands.run_searches("one", REFERENCE)
    shown = [line.split() for line in commands.list_searches().splitlines()]
    assert shown == [
        ["one", "40/40", "epochs", "10", "trials"],
        ["two", "0/40", "epochs", "0", "trials"],
        ["grid", "0/1024", "trainings"],
    ]
    commands.run_searches("tuning", REFERENCE)
    folder = tmp_path / "shipped" / "runs" / "tuning"
    assert sorted(path.name for path in folder.iterdir()) == ["one.journal", "two.journal"]
    commands.run_searches("two", QUICK)
    assert (tmp_path / "cache" / "runs" / "tuning" / "two.journal").is_file()


def test_wrong_numbers_of_processes_are_refused(known, tiny_searches):
    for work, name in ((commands.run_study_named, "small"), (commands.run_searches, "one")):
        with pytest.raises(ValueError, match="jobs must be a whole number of at least 1, got 0"):
            work(name, QUICK, jobs=0)


def test_a_record_of_a_study_is_not_run_again(known, fits, tmp_path):
    run_study(rates(0.1), folder=tmp_path / "cache" / "runs", progress=False)
    commands.run_study_named("small", QUICK)
    assert fits == [0.1, 0.2]
