from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
import tiny_study
import torch
from tiny import QUICK, tiny_experiment

from squeeze_utils.base import paths
from squeeze_utils.base.scale import SCALES, Scale
from squeeze_utils.experiments import commands as line
from squeeze_utils.experiments.recipe import DataSpec, PrefixCache
from squeeze_utils.experiments.running import at_once, run_study
from squeeze_utils.experiments.study import Arm, Study, results_table
from squeeze_utils.studies import catalogue
from squeeze_utils.studies.catalogue import find
from squeeze_utils.training.loop import Train


def small(*rates: float, seeds: int = 1) -> Study:
    arms = [
        Arm.of(tiny_experiment(Train(1, **{**QUICK, "lr": lr}), seed=seed), lr=lr, kind="a b/c")
        for lr in rates
        for seed in range(seeds)
    ]
    return Study("small", "which rate?", tuple(arms))


def measured(records) -> dict:
    """What two runs must agree on: everything but the time it took and what computed it."""
    found = {}
    for key, record in records.items():
        steps = [{k: v for k, v in step.items() if k != "seconds"} for step in record.steps]
        for step in steps:
            step["history"] = [{**e, "seconds": 0} for e in step.get("history", ())]
        found[key] = (steps, record.labels, record.seed, record.data, record.experiment)
    return found


def test_a_second_run_does_only_what_is_missing(tmp_path, fits):
    first = run_study(small(0.1), folder=tmp_path, progress=False)
    both = run_study(small(0.1, 0.2), folder=tmp_path, progress=False)
    assert fits == [0.1, 0.2]
    assert set(first) < set(both) and len(both) == 2
    assert small(0.1, 0.2).missing(tmp_path) == []
    assert [arm.labels[0] for arm in small(0.2, 0.3).missing(tmp_path)] == [("lr", 0.3)]
    names = sorted(path.name for path in (tmp_path / "small").iterdir())
    assert [name.rpartition("-")[0] for name in names] == ["0.1-a-b-c-s0", "0.2-a-b-c-s0"]
    only = run_study(small(0.2), folder=tmp_path, progress=False)
    assert len(fits) == 2 and len(only) == 1  # records of other arms are left out


def test_arms_in_a_row_load_their_images_once(monkeypatch):
    loaded, load = [], DataSpec.load
    monkeypatch.setattr(DataSpec, "load", lambda spec: loaded.append(spec) or load(spec))
    others = tiny_experiment()
    others = replace(others, data=replace(others.data, train_limit=32))
    arms = (*small(0.1, 0.2).arms, Arm.of(others, lr=0.3), *small(0.4).arms)
    records = run_study(Study("small", "which rate?", arms), progress=False)
    assert [spec.train_limit for spec in loaded] == [64, 32, 64]
    assert len(records) == 4


def test_what_another_study_has_recorded_is_taken_from_there(tmp_path, fits):
    (known,) = run_study(small(0.1), folder=tmp_path, progress=False).values()
    arms = [Arm.of(tiny_experiment(Train(1, **{**QUICK, "lr": lr})), rate=lr) for lr in (0.1, 0.2)]
    kept = Arm.of(arms[0].experiment, "a-checkpoint", rate=0.1)
    records = run_study(Study("other", "?", arms), folder=tmp_path, progress=False)
    assert fits == [0.1, 0.2]  # only the second is new
    assert records[known.key] == replace(known, labels={"rate": 0.1})
    assert (tmp_path / "other" / f"0.1-s0-{known.key}.json").is_file()
    run_study(Study("third", "?", [kept]), folder=tmp_path, progress=False)
    assert fits == [0.1, 0.2, 0.1]  # a checkpoint is made from the network, not from its record


def test_a_damaged_twin_is_not_taken(tmp_path, fits):
    run_study(small(0.1), folder=tmp_path, progress=False)
    (path,) = (tmp_path / "small").glob("*.json")
    path.write_text(path.read_text()[:-200])
    arm = Arm.of(tiny_experiment(Train(1, **{**QUICK, "lr": 0.1})), rate=0.1)
    run_study(Study("other", "?", [arm]), folder=tmp_path, progress=False)
    assert fits == [0.1, 0.1]


def test_a_truncated_record_is_named_set_aside_and_made_again(tmp_path, fits):
    records = run_study(small(0.1), folder=tmp_path, progress=False)
    (path,) = (tmp_path / "small").glob("*.json")
    path.write_text(path.read_text()[:-200])
    with pytest.warns(UserWarning, match=f"damaged record {path.name}, left out"):
        assert len(small(0.1).missing(tmp_path)) == 1
    with pytest.warns(UserWarning, match=f"damaged record {path.name}, moved to"):
        again = run_study(small(0.1), folder=tmp_path, progress=False)
    assert len(fits) == 2
    assert measured(again) == measured(records)
    assert path.with_name(f"{path.name}.corrupt").is_file()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert small(0.1).missing(tmp_path) == []


def test_after_a_kill_only_what_was_missing_is_done(tmp_path, fits):
    script = Path(tiny_study.__file__)
    folder = tmp_path / "tiny"
    process = subprocess.Popen(
        [sys.executable, str(script), str(tmp_path)], env={**os.environ, "TINY_PAUSE": "1"}
    )
    try:
        limit = time.monotonic() + 540
        while not list(folder.glob("*.json")):
            assert process.poll() is None, "the study ended before it wrote a record"
            assert time.monotonic() < limit, "no record was written in time"
            time.sleep(0.1)
    finally:
        process.kill()
        process.wait()
    (kept,) = folder.glob("*.json")
    content, written = kept.read_bytes(), kept.stat().st_mtime_ns
    study = tiny_study.study()
    assert [dict(arm.labels)["number"] for arm in study.missing(tmp_path)] == [1, 2]
    cache = PrefixCache(tmp_path / "states")
    records = run_study(study, folder=tmp_path, cache=cache, progress=False)
    assert fits == []  # the training that the three share was finished before the kill
    assert sorted(record.final["number"] for record in records.values()) == [0, 1, 2]
    assert len({record.final["test_accuracy"] for record in records.values()}) == 1
    assert kept.read_bytes() == content and kept.stat().st_mtime_ns == written
    assert len(list(folder.glob("*.json"))) == 3 and study.missing(tmp_path) == []


def test_two_processes_give_the_same_records_as_one(tmp_path, monkeypatch):
    threads = torch.get_num_threads()
    study = small(0.1, 0.2)
    try:
        torch.set_num_threads(1)
        one = run_study(study, folder=tmp_path / "one", progress=False)
    finally:
        torch.set_num_threads(threads)
    monkeypatch.setattr(os, "cpu_count", lambda: 2)  # a thread for each
    cache = PrefixCache(tmp_path / "states")
    two = run_study(study, folder=tmp_path / "two", cache=cache, jobs=2, progress=False)
    assert measured(one) == measured(two)
    names = [sorted(p.name for p in (tmp_path / n / "small").iterdir()) for n in ("one", "two")]
    assert names[0] == names[1]


def test_what_arms_share_is_trained_once_then_they_run_side_by_side(tmp_path):
    study, cache = tiny_study.study(), PrefixCache(tmp_path / "states")
    assert at_once(study.arms, cache) == [study.arms[0]]
    assert at_once(study.arms, None) == list(study.arms)
    records = run_study(study, folder=tmp_path, cache=cache, jobs=2, progress=False)
    assert sorted(record.final["number"] for record in records.values()) == [0, 1, 2]
    assert len({record.steps[0]["seconds"] for record in records.values()}) == 1
    for kept in cache.folder.glob("*.pt"):
        if kept.stem != study.arms[0].experiment.prefix(1).key:
            kept.unlink()
    assert at_once(study.arms, cache) == list(study.arms)


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(run_study(small(0.1), progress=False)) == 1
    assert list(tmp_path.iterdir()) == []


def test_table_has_a_row_for_each_record():
    study = small(0.2, 0.1, seeds=2)
    records = run_study(study, progress=False)
    frame = results_table(study, records)
    assert frame["lr"].tolist() == [0.2, 0.2, 0.1, 0.1]
    assert frame["seed"].tolist() == [0, 1, 0, 1]
    assert (frame["epochs"] == 1).all()
    key = study.arms[2].experiment.key
    assert frame["test_accuracy"][2] == records[key].final["test_accuracy"]
    del records[key]
    assert len(results_table(study, records)) == 3


def test_arms_that_may_share_an_experiment_run_it_once_and_have_a_row_each(tmp_path):
    (first, other) = small(0.1, 0.2).arms
    second = Arm.of(first.experiment, method="second")
    study = Study("shared", "", (first, other, second), may_share=True)
    assert len(run_study(study, folder=tmp_path, progress=False)) == 2
    assert len(list((tmp_path / "shared").glob("*.json"))) == 2
    assert study.missing(tmp_path) == []
    frame = results_table(study, study.records(tmp_path))
    assert len(frame) == 3 and frame["test_accuracy"][0] == frame["test_accuracy"][2]


def test_bad_studies_scales_and_jobs(monkeypatch):
    arm = small(0.1).arms[0]
    with pytest.raises(ValueError, match="twice contains the same experiment twice"):
        Study("twice", "", (arm, arm))
    with pytest.raises(ValueError, match="jobs must be at least 1, got 0"):
        run_study(small(0.1), jobs=0)
    with pytest.raises(ValueError, match="unknown scale 'huge'; SQUEEZE_SCALE accepts quick or"):
        Scale("huge")
    with pytest.raises(ValueError, match=r"unknown study 'nothing'; accepted: .*baseline"):
        find("nothing", Scale())
    monkeypatch.setenv("SQUEEZE_SCALE", "reference")
    assert Scale.from_environment() == Scale("reference")
    monkeypatch.delenv("SQUEEZE_SCALE")
    assert Scale.from_environment().pick("here", "there") == "here"


def test_every_study_of_the_series_can_be_made_at_both_scales():
    studies = catalogue.catalogue()
    for name, make in studies.items():
        for scale in SCALES:
            study = make(Scale(scale))
            assert study.name == name and study.title and (study.arms or study.pilot)
            assert all(arm.experiment.model.name for arm in study.arms)


@pytest.fixture
def command(tmp_path, monkeypatch):
    """The command line with one study in the catalogue, writing below `tmp_path`."""
    monkeypatch.setattr(catalogue, "catalogue", lambda: {"small": lambda scale: small(0.1)})
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / "shipped" / name)
    monkeypatch.delenv("SQUEEZE_SCALE", raising=False)
    return line.main


@pytest.mark.parametrize(("scale", "where"), [("quick", "cache"), ("reference", "shipped")])
def test_the_command_runs_a_study(scale, where, command, tmp_path, capsys):
    assert command(["run", "small", "--scale", scale]) == 0
    assert len(list((tmp_path / where / "runs" / "small").glob("*.json"))) == 1
    assert command(["list"]) == 0
    done = int(scale == "reference")
    assert f"small                    {done}/1 records      which rate?" in capsys.readouterr().out


def test_the_command_runs_the_arms_that_are_asked_for_and_no_others(command, monkeypatch, fits):
    monkeypatch.setattr(catalogue, "catalogue", lambda: {"small": lambda scale: small(0.1, 0.2)})
    assert command(["run", "small", "--only", "0.2-A"]) == 0
    assert fits == [0.2]
    assert command(["run", "small"]) == 0
    assert fits == [0.2, 0.1]


def test_a_study_is_narrowed_by_its_labels():
    study = small(0.1, 0.2, 0.3)
    assert [dict(arm.labels)["lr"] for arm in study.where(lr=(0.3, 0.1)).arms] == [0.1, 0.3]
    assert [dict(arm.labels)["lr"] for arm in study.where(lr=0.2, kind="a b/c").arms] == [0.2]
    assert not study.where(lr=0.7).arms  # a pilot may still have to choose it
    with pytest.raises(ValueError, match="have no label rate; there are: "):
        study.where(rate=0.1)


def test_the_command_refuses_clearly(command, monkeypatch, capsys):
    assert command(["run", "nothing"]) == 2
    assert "error: unknown study 'nothing'; accepted: small" in capsys.readouterr().err
    assert command(["run", "small", "--only", "0.7"]) == 2
    assert (
        "no arm of small has '0.7' in its name; there are: 0.1-a-b-c-s0" in capsys.readouterr().err
    )
    assert command(["run", "small", "--jobs", "0"]) == 2
    assert "jobs must be at least 1" in capsys.readouterr().err
    monkeypatch.setenv("SQUEEZE_SCALE", "huge")
    assert command(["run", "small"]) == 2
    assert "unknown scale 'huge'" in capsys.readouterr().err
    for wrong in (["run", "small", "--scale", "huge"], [], ["walk"]):
        with pytest.raises(SystemExit) as stopped:
            command(wrong)
        assert stopped.value.code == 2


def test_an_interrupted_command_says_how_to_go_on(command, monkeypatch, capsys):
    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(line, "run", interrupt)
    assert command(["run", "small"]) == 130
    assert "start again to go on" in capsys.readouterr().err
