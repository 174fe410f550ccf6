"""A study by several processes that `torchrun` starts, and by the workers of a cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import command_elsewhere
import pytest
from in_time import within

import squeeze_utils as sq
from squeeze_utils.studies import together

SECONDS = 240  # far more than it takes


@pytest.mark.slow
def test_the_command_of_chapter_20_trains_with_two_processes(tmp_path):
    """`torchrun --standalone --nproc-per-node 2 -m squeeze_utils study run baseline`."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", command_elsewhere.__file__, str(tmp_path)]
    command += ["study", "run", "baseline", "--scale", "quick", "--only", "lenet-5"]
    env = {**os.environ, "OMP_NUM_THREADS": "1"}
    env["PYTHONPATH"] = os.pathsep.join([str(Path(sq.__file__).parent.parent)])
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    (path,) = (tmp_path / "runs" / "baseline").glob("lenet-5*.json")  # one of the two wrote it
    record = json.loads(path.read_text())
    assert record["steps"][-1]["test_accuracy"] > 50


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
