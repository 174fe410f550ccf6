"""A study by several processes that `torchrun` starts, and by the workers of a cluster."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path

import command_elsewhere
import pytest
from in_time import within
from tiny import timeless

import squeeze_utils as sq
from squeeze_utils.studies import together

SECONDS = 240  # far more than it takes


@contextmanager
def started(folder: Path) -> Iterator[subprocess.Popen]:
    """`torchrun --standalone --nproc-per-node 2 -m squeeze_utils study run baseline`, one arm."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", command_elsewhere.__file__, str(folder)]
    command += ["study", "run", "baseline", "--scale", "quick", "--only", "lenet-5"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    env["PYTHONPATH"] = os.pathsep.join([str(Path(sq.__file__).parent.parent)])
    how = {"stdout": subprocess.DEVNULL, "stderr": subprocess.PIPE, "text": True}
    process = subprocess.Popen(command, env=env, start_new_session=True, **how)
    try:
        yield process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


def steps_of(folder: Path) -> list[dict]:
    """Run the command of chapter 20 to its end; what its record says."""
    with started(folder) as process:
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, errors
    (path,) = (folder / "runs" / "baseline").glob("lenet-5*.json")  # one of the two wrote it
    return json.loads(path.read_text())["steps"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    """What the command of chapter 20 records."""
    return steps_of(tmp_path_factory.mktemp("undisturbed"))


@pytest.mark.slow
def test_the_command_of_chapter_20_trains_with_two_processes(undisturbed):
    assert undisturbed[-1]["test_accuracy"] > 50


@pytest.mark.slow
def test_the_command_of_chapter_20_goes_on_after_a_process_was_killed(undisturbed, tmp_path):
    with started(tmp_path) as process:
        within(SECONDS, partial(wait_for_epoch, tmp_path, process))
        os.kill(int((tmp_path / "1.process").read_text()), signal.SIGKILL)
        _, errors = process.communicate(timeout=SECONDS)
    assert process.returncode == 1
    assert "start the same command again to go on" in errors
    assert re.search(r"Root Cause.*?rank +: 1 .*?exitcode +: -9 ", errors, re.DOTALL), errors
    assert not list((tmp_path / "runs").glob("**/*.json"))
    assert list((tmp_path / "states").glob("*.halfway"))
    assert timeless(steps_of(tmp_path)) == timeless(undisturbed)


def wait_for_epoch(folder: Path, process: subprocess.Popen) -> None:
    while not list(folder.glob("states/*.halfway")):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.02)


@pytest.mark.slow
def test_a_named_study_runs_on_a_cluster_of_dask():
    distributed = pytest.importorskip("distributed")
    how = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with distributed.LocalCluster(**how) as cluster, distributed.Client(cluster):

        def run():
            return sq.study("baseline").run(model="LeNet-5", backend="dask", jobs=-1)

        live = within(SECONDS, run)
    assert live.frame["parameters"].tolist() == [656080]
    assert live.frame["test_accuracy"].item() > 50


def test_processes_of_a_live_study_are_ended_after_a_time(monkeypatch):
    asked = []
    monkeypatch.setattr(together, "launch", lambda *args, **how: asked.append(how["seconds"]))
    sq.study("exchanges_long").run(exchange="seldom")
    assert asked == [together.LIVE_SECONDS] and together.LIVE_SECONDS <= 3600
