"""Running a study: only what is missing, also after damage and kills, and in parallel."""

from __future__ import annotations

import os
import subprocess
import sys
import time
import warnings
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import tiny_study
import torch
from tiny import QUICK, timeless, tiny_experiment
from tiny_study import rates

from squeeze_utils.base import machine
from squeeze_utils.experiments.experiment import DataSpec
from squeeze_utils.experiments.run_study import StudyIncomplete, at_once, run_study
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.results.tables import results_table
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State, Step


def measured(records) -> dict:
    """What two runs must agree on: everything but the time it took and what computed it."""
    found = {}
    for key, record in records.items():
        steps = timeless(record.steps)
        found[key] = (steps, record.labels, record.seed, record.data, record.experiment)
    return found


def test_a_second_run_does_only_what_is_missing(tmp_path, fits):
    first = run_study(rates(0.1), folder=tmp_path, progress=False)
    both = run_study(rates(0.1, 0.2), folder=tmp_path, progress=False)
    assert fits == [0.1, 0.2]
    assert set(first) < set(both) and len(both) == 2
    assert rates(0.1, 0.2).missing(tmp_path) == []
    assert [arm.labels[0] for arm in rates(0.2, 0.3).missing(tmp_path)] == [("lr", 0.3)]
    names = sorted(path.name for path in (tmp_path / "small").iterdir())
    assert [name.rpartition("-")[0] for name in names] == ["0.1-a-b-c-s0", "0.2-a-b-c-s0"]
    only = run_study(rates(0.2), folder=tmp_path, progress=False)
    assert len(fits) == 2 and len(only) == 1  # records of other arms are left out


def test_arms_in_a_row_load_their_images_once(monkeypatch):
    loaded, load = [], DataSpec.load
    monkeypatch.setattr(DataSpec, "load", lambda spec: loaded.append(spec) or load(spec))
    others = tiny_experiment()
    others = replace(others, data=replace(others.data, train_limit=32))
    arms = (*rates(0.1, 0.2).arms, Arm.of(others, lr=0.3), *rates(0.4).arms)
    records = run_study(Study("small", "which rate?", arms), progress=False)
    assert [spec.train_limit for spec in loaded] == [64, 32, 64]
    assert len(records) == 4


def test_what_another_study_has_recorded_is_taken_from_there(tmp_path, fits):
    (known,) = run_study(rates(0.1), folder=tmp_path, progress=False).values()
    arms = [Arm.of(tiny_experiment(Train(1, **{**QUICK, "lr": lr})), rate=lr) for lr in (0.1, 0.2)]
    kept = Arm.of(arms[0].experiment, "a-checkpoint", rate=0.1)
    records = run_study(Study("other", "?", arms), folder=tmp_path, progress=False)
    assert fits == [0.1, 0.2]  # only the second is new
    assert records[known.key] == replace(known, labels={"rate": 0.1})
    assert (tmp_path / "other" / f"0.1-s0-{known.key}.json").is_file()
    run_study(Study("third", "?", [kept]), folder=tmp_path, progress=False)
    assert fits == [0.1, 0.2, 0.1]  # a checkpoint is made from the network, not from its record


def test_a_damaged_twin_is_not_taken(tmp_path, fits):
    run_study(rates(0.1), folder=tmp_path, progress=False)
    (path,) = (tmp_path / "small").glob("*.json")
    path.write_text(path.read_text()[:-200])
    arm = Arm.of(tiny_experiment(Train(1, **{**QUICK, "lr": 0.1})), rate=0.1)
    run_study(Study("other", "?", [arm]), folder=tmp_path, progress=False)
    assert fits == [0.1, 0.1]


def test_a_truncated_record_is_named_set_aside_and_made_again(tmp_path, fits):
    records = run_study(rates(0.1), folder=tmp_path, progress=False)
    (path,) = (tmp_path / "small").glob("*.json")
    path.write_text(path.read_text()[:-200])
    with pytest.warns(UserWarning, match=f"damaged record {path.name}, left out"):
        assert len(rates(0.1).missing(tmp_path)) == 1
    with pytest.warns(UserWarning, match=f"damaged record {path.name}, moved to"):
        again = run_study(rates(0.1), folder=tmp_path, progress=False)
    assert len(fits) == 2
    assert measured(again) == measured(records)
    assert path.with_name(f"{path.name}.corrupt").is_file()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert rates(0.1).missing(tmp_path) == []


@pytest.mark.slow
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


@pytest.mark.slow
def test_two_processes_give_the_same_records_as_one(tmp_path, monkeypatch):
    threads = torch.get_num_threads()
    study = rates(0.1, 0.2)
    try:
        torch.set_num_threads(1)
        one = run_study(study, folder=tmp_path / "one", progress=False)
    finally:
        torch.set_num_threads(threads)
    monkeypatch.setattr(machine, "cores", lambda: 2)  # a thread for each
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
    for kept in cache.folder.glob("*.state"):
        if kept.stem != study.arms[0].experiment.prefix(1).key:
            kept.unlink()
    assert len(list(cache.folder.glob("*.state"))) == 1
    assert at_once(study.arms, cache) == list(study.arms)


def test_without_a_folder_nothing_is_kept(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert len(run_study(rates(0.1), progress=False)) == 1
    assert list(tmp_path.iterdir()) == []


def test_table_has_a_row_for_each_record():
    study = rates(0.2, 0.1, seeds=2)
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
    (first, other) = rates(0.1, 0.2).arms
    second = Arm.of(first.experiment, method="second")
    study = Study("shared", "", (first, other, second), may_share=True)
    assert len(run_study(study, folder=tmp_path, progress=False)) == 2
    assert len(list((tmp_path / "shared").glob("*.json"))) == 2
    assert study.missing(tmp_path) == []
    frame = results_table(study, study.records(tmp_path))
    assert len(frame) == 3 and frame["test_accuracy"][0] == frame["test_accuracy"][2]


def test_a_wrong_number_of_processes_is_refused():
    with pytest.raises(ValueError, match="jobs must be a whole number of at least 1, got 0"):
        run_study(rates(0.1), jobs=0)


def test_a_record_that_this_version_does_not_know_stays_where_it_is(tmp_path, fits):
    """It may be of a step that a notebook has defined, or of a later version."""
    run_study(rates(0.1), folder=tmp_path, progress=False)
    (path,) = (tmp_path / "small").glob("*.json")
    text = path.read_text().replace('"Train"', '"Trian"')
    foreign = path.with_name("foreign-s0-0123456789abcdef.json")
    foreign.write_text(text)
    with pytest.warns(UserWarning, match=f"{foreign.name} is of an experiment that is not known"):
        run_study(rates(0.1, 0.2), folder=tmp_path, progress=False)
    assert fits == [0.1, 0.2] and foreign.read_text() == text


@dataclass(frozen=True)
class Fail(Step):
    """Raises, except for number 0."""

    number: int = 0

    def apply(self, state: State) -> dict[str, Any]:
        """Fail, or not."""
        if self.number:
            raise ValueError(f"number {self.number} is no good")
        return {}


def failing() -> Study:
    """Four arms that share a training; two of them share a step that fails."""
    train = Train(1, **QUICK)
    recipes = {
        "good": (train, Fail(0)),
        "bad": (train, Fail(1)),
        "bad as well": (train, Fail(1), Fail(0)),
        "last": (train, Fail(0), Fail(0)),
    }
    return Study(
        "failing", "?", [Arm.of(tiny_experiment(*steps), name=n) for n, steps in recipes.items()]
    )


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_failing_arm_is_reported_and_the_rest_goes_on(jobs, tmp_path):
    cache = PrefixCache(tmp_path / "states")
    how = {"folder": tmp_path, "cache": cache, "jobs": jobs, "progress": False}
    with pytest.raises(StudyIncomplete, match="2 of the arms of failing failed") as error:
        run_study(failing(), keep_going=True, **how)
    assert sorted(str(f) for f in error.value.failures) == [
        "bad-as-well-s0: ValueError: number 1 is no good",
        "bad-s0: ValueError: number 1 is no good",
    ]
    assert len(error.value.records) == 2
    assert {dict(arm.labels)["name"] for arm in failing().missing(tmp_path)} == {
        "bad",
        "bad as well",
    }


def test_what_failed_is_not_tried_again_by_those_that_share_it(tmp_path, monkeypatch):
    tried, apply = [], Fail.apply
    monkeypatch.setattr(
        Fail, "apply", lambda step, state: tried.append(step.number) or apply(step, state)
    )
    with pytest.raises(StudyIncomplete):
        run_study(failing(), cache=PrefixCache(tmp_path), progress=False, keep_going=True)
    assert tried.count(1) == 1


def test_without_keep_going_the_error_itself_comes_at_once():
    with pytest.raises(ValueError, match="number 1 is no good"):
        run_study(failing(), progress=False)
