"""Several runs of one study at once, and workers that die: no arm is lost, none done twice."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import pytest
import shared_study
from in_time import within
from shared_study import begun
from tiny import QUICK, tiny_experiment
from tiny_study import Pause, rates

from squeeze_utils.experiments import records as records_module
from squeeze_utils.experiments import run_arm as module_of_arm
from squeeze_utils.experiments import run_study as module
from squeeze_utils.experiments.experiment import DataSpec
from squeeze_utils.experiments.records import record_path, write_first
from squeeze_utils.experiments.run_arm import run_arm
from squeeze_utils.experiments.run_experiment import run_experiment
from squeeze_utils.experiments.run_study import run_study
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.experiments.study import Arm
from squeeze_utils.training.loop import Train

SCRIPT = str(Path(shared_study.__file__))


@contextmanager
def another_run(folder, seconds=0.3):
    """A second run of the study, in a process of its own."""
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    process = subprocess.Popen([sys.executable, SCRIPT, str(folder), str(seconds)], env=env)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.05)


def test_two_runs_at_once_do_each_arm_once(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    with another_run(tmp_path) as other:
        wait_for(lambda: (tmp_path / "log.txt").exists())
        study, cache = shared_study.study(tmp_path), PrefixCache(tmp_path / "states")
        how = {"folder": tmp_path, "cache": cache, "progress": False}
        records = within(120, partial(run_study, study, **how))
        assert other.wait(60) == 0
    assert begun(tmp_path) == [0, 1, 2, 3]
    assert len(records) == 4 and len(list((tmp_path / "shared").glob("*.json"))) == 4
    processes = {line.split()[1] for line in (tmp_path / "log.txt").read_text().splitlines()}
    assert len(processes) == 2  # both did their share
    assert not list(tmp_path.glob("**/*.claim"))


def test_a_state_on_the_way_is_made_by_one_run_only(tmp_path):
    """While one run makes the second of two shared states, the other waits for it."""
    train, cache = Train(1, **QUICK), PrefixCache(tmp_path / "states")
    common = tiny_experiment(train, Pause(1))
    one, other = (Arm.of(tiny_experiment(train, Pause(1), Pause(n)), number=n) for n in (2, 3))
    load = DataSpec.load
    with ExitStack() as held:
        assert module_of_arm._claimed(one, tmp_path, cache, held)
        run_experiment(common.prefix(1), data=load(common.data), cache=cache)
        assert run_arm(other, load, tmp_path / "small", cache, "") is None
        run_experiment(common, data=load(common.data), cache=cache)
        assert run_arm(other, load, tmp_path / "small", cache, "").final["number"] == 3


def test_an_arm_of_a_run_that_was_killed_is_run_again(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.1)
    with another_run(tmp_path, seconds=60) as other:
        wait_for(lambda: (tmp_path / "log.txt").exists())
        other.kill()
        other.wait()
        study, cache = shared_study.study(tmp_path, seconds=60.0), PrefixCache(tmp_path / "states")
        monkeypatch.setattr(time, "sleep", lambda seconds: None)
        how = {"folder": tmp_path, "cache": cache, "progress": False}
        records = within(120, partial(run_study, study, **how))
    assert begun(tmp_path) == [0, 0, 1, 2, 3] and len(records) == 4
    assert not list((tmp_path / ".claims").glob("*.claim"))


def test_a_helper_that_dies_has_its_arm_run_again(tmp_path):
    """The arm kills whoever runs it first; were that this process, the test would be over."""
    study = shared_study.study(tmp_path, count=3, kills=True)
    last = study.only("1-s0")
    with pytest.warns(UserWarning, match="a helper process has died; its experiment is run again"):
        found = list(
            module._run_arms(
                last.arms,
                lambda arm, load: run_arm(arm, load, tmp_path / "shared", None, ""),
                None,
                2,  # with one, joblib would run it here
                "loky",
            )
        )
    assert [record.final["number"] for record in found] == [1]
    assert begun(tmp_path) == [1, 1]


def test_an_arm_that_kills_every_helper_ends_the_study(monkeypatch):
    def dead(*arguments):
        raise module.BrokenProcessPool("killed")
        yield

    monkeypatch.setattr(module, "_one_round", dead)
    monkeypatch.setattr(module, "PATIENCE", 0)
    with pytest.warns(UserWarning, match="has died"), pytest.raises(RuntimeError, match="killed"):
        run_study(rates(0.1), progress=False)


def test_a_record_is_written_once(tmp_path):
    study = rates(0.1)
    (record,) = run_study(study, progress=False).values()
    path = record_path(tmp_path, study.arms[0].slug, record.key)
    assert write_first(record, path) is record
    written = path.stat().st_mtime_ns
    again = write_first(record, path)
    assert again == record and again is not record and path.stat().st_mtime_ns == written


def test_of_an_owner_and_its_heir_one_writes_the_record(tmp_path, monkeypatch):
    """The owner was taken for dead; both look for a record at the same time, and find none."""
    study = rates(0.1)
    (record,) = run_study(study, progress=False).values()
    path = record_path(tmp_path, study.arms[0].slug, record.key)
    both, read = threading.Barrier(2), records_module.read_record

    def read_together(*asked):
        found = read(*asked)
        with suppress(threading.BrokenBarrierError):
            both.wait(0.5)
        return found

    monkeypatch.setattr(records_module, "read_record", read_together)
    mine = [replace(record, seconds=float(number)) for number in (1, 2)]
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(write_first, mine, [path, path], timeout=20))
    assert found[0] == found[1] == read(path, record.key)
    assert len(list(tmp_path.iterdir())) == 1


def test_a_damaged_file_in_a_records_place_is_set_aside(tmp_path):
    study = rates(0.1)
    (record,) = run_study(study, progress=False).values()
    path = record_path(tmp_path, study.arms[0].slug, record.key)
    path.write_text("{")
    with pytest.warns(UserWarning, match="held another record, moved to"):
        assert write_first(record, path) is record
    assert len(list(tmp_path.glob("*.corrupt"))) == 1


def test_an_unknown_backend_is_refused():
    with pytest.raises(ValueError, match="joblib has no backend 'cloud' here; accepted"):
        run_study(rates(0.1), backend="cloud", progress=False)


def check_all(records, folder, expected):
    """All four arms have a record, and were begun as often as expected."""
    assert sorted(record.final["number"] for record in records.values()) == [0, 1, 2, 3]
    assert begun(folder) == expected
    assert len(list((folder / "shared").glob("*.json"))) == 4


@pytest.mark.slow
def test_a_cluster_of_dask_runs_a_study_and_survives_a_dead_worker(tmp_path):
    distributed = pytest.importorskip("distributed")
    support = str(Path(SCRIPT).parent)
    cluster = distributed.LocalCluster(
        n_workers=2,
        threads_per_worker=1,
        dashboard_address=None,
        env={"PYTHONPATH": os.pathsep.join([support, os.environ.get("PYTHONPATH", "")])},
    )
    with cluster, distributed.Client(cluster):
        study = shared_study.study(tmp_path, kills=True)
        how = {"folder": tmp_path, "backend": "dask", "jobs": -1, "progress": False}
        records = within(240, partial(run_study, study, **how))
        check_all(records, tmp_path, [0, 1, 1, 2, 3])  # the dead worker's twice, the others once
        again, cache = tmp_path / "again", PrefixCache(tmp_path / "states")
        again.mkdir()
        how |= {"folder": again, "cache": cache}
        records = within(240, partial(run_study, shared_study.study(again), **how))
    check_all(records, again, [0, 1, 2, 3])
    assert len(list(cache.folder.glob("*.state"))) == 1 + 4  # what they begin with, and each
    assert len({record.steps[0]["seconds"] for record in records.values()}) == 1  # trained once
