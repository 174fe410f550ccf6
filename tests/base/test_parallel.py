"""Tasks shared between this process and its helpers."""

from __future__ import annotations

import os
import time

import pytest
import torch
from short_tasks import dies, fails, noted, torch_here, uneven, where

from squeeze_utils.base import machine, parallel
from squeeze_utils.base.parallel import (
    run_elsewhere,
    run_in_order,
    run_tasks,
    start_helpers,
    workers_of,
)


def test_every_task_is_done_once_and_this_process_does_its_share():
    found = list(run_tasks(where, [(number,) for number in range(20)], jobs=3))
    assert sorted(number for number, _ in found) == list(range(20))
    processes = {process for _, process in found}
    assert os.getpid() in processes
    assert 2 <= len(processes) <= 3


def test_a_function_of_a_notebook_can_be_sent():
    def where_squared(number):  # known to this process alone, as what a cell defines
        return os.getpid(), number**2

    found = list(run_tasks(where_squared, [(number,) for number in range(6)], jobs=2))
    assert len({process for process, _ in found}) == 2
    assert sorted(square for _, square in found) == [number**2 for number in range(6)]


def test_results_come_in_the_order_in_which_they_end_or_in_that_of_the_tasks():
    tasks = [(number,) for number in range(12)]
    as_they_end = list(run_tasks(uneven, tasks, jobs=2))
    assert sorted(as_they_end) == list(range(12)) and as_they_end.index(1) < as_they_end.index(0)
    assert run_in_order(uneven, iter(tasks), jobs=2) == list(range(12))


@pytest.mark.parametrize("jobs", [1, 2, 3])
def test_a_task_that_raises_ends_the_rest_and_new_work_starts_afresh(jobs):
    with pytest.raises(ValueError, match="task 3 is bad"):
        list(run_tasks(fails, [(number,) for number in range(40)], jobs))
    assert sorted(run_tasks(fails, [(0,), (1,), (2,)], jobs)) == [0, 1, 2]


def test_whoever_raises_the_others_take_no_further_task(tmp_path):
    list(run_tasks(where, [(0,), (1,), (2,)], jobs=3))  # now the helpers are there
    tasks = [(number, str(tmp_path)) for number in range(60)]
    with pytest.raises(ValueError, match="task 0 is bad"):
        list(run_tasks(noted, tasks, jobs=3))
    ended = len(list(tmp_path.iterdir()))
    assert 1 <= ended <= 30
    time.sleep(0.3)
    assert len(list(tmp_path.iterdir())) == ended


def test_a_helper_that_dies_is_an_error_and_not_an_endless_wait():
    with pytest.raises(RuntimeError, match="terminated"):
        list(run_tasks(dies, [(number,) for number in range(20)], jobs=2))
    assert sorted(run_tasks(fails, [(0,), (1,), (2,)], jobs=2)) == [0, 1, 2]


def test_no_task_is_lost_when_the_reader_stops_early():
    tasks = run_tasks(where, [(number,) for number in range(4)], jobs=2)
    first, _ = next(tasks)
    tasks.close()
    assert first in range(4)
    assert len(list(run_tasks(where, [(number,) for number in range(4)], jobs=2))) == 4


def test_what_needs_no_helper_is_done_here(monkeypatch):
    monkeypatch.setattr(parallel, "_helpers", lambda jobs: pytest.fail("a helper was started"))
    assert list(run_tasks(where, [], jobs=2)) == []
    assert list(run_tasks(where, [(7,)], jobs=3)) == [(7, os.getpid())]
    assert list(run_tasks(where, [(7,), (8,)], jobs=1)) == [(7, os.getpid()), (8, os.getpid())]
    start_helpers(1)


@pytest.mark.parametrize("jobs", [0, -1, 1.5])
def test_it_says_what_numbers_of_processes_there_are(jobs):
    with pytest.raises(ValueError, match="jobs must be a whole number of at least 1, got"):
        list(run_tasks(where, [(7,)], jobs))
    with pytest.raises(ValueError, match="jobs must be a whole number of at least 1, got"):
        start_helpers(jobs)


def test_helpers_have_libraries_loaded_and_processes_share_the_threads(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 2)
    parallel._helpers(2).shutdown(kill_workers=True)  # those of other tests have loaded nothing
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        start_helpers(2)
        helper, here = sorted(
            run_tasks(torch_here, [(0,), (1,)], jobs=2), key=lambda found: found[0] == os.getpid()
        )
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert helper[0] != here[0] == os.getpid()
    assert helper[1] == here[1] == 1
    assert helper[2]


def test_a_single_task_has_the_processor_to_itself(monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 2)
    ((_, threads, _),) = run_tasks(torch_here, [(0,)], jobs=2)
    assert threads == 2


def test_a_backend_that_cannot_be_used_is_refused_before_any_work(monkeypatch):
    monkeypatch.delenv("DASK_SCHEDULER_ADDRESS", raising=False)
    for name in (None, "loky", "threading"):
        with workers_of(name):
            pass
    with pytest.raises(ValueError, match="joblib has no backend 'cloud' here"), workers_of("cloud"):
        pass
    with pytest.raises(ValueError, match="set DASK_SCHEDULER_ADDRESS"), workers_of("dask"):
        pass


def test_dask_finds_the_scheduler_that_the_environment_names(monkeypatch):
    from distributed import Client, LocalCluster

    how = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with LocalCluster(processes=False, **how) as cluster:
        monkeypatch.setenv("DASK_SCHEDULER_ADDRESS", cluster.scheduler_address)
        with workers_of("dask"):
            made = Client.current()
            assert sorted(run_elsewhere(abs, [(-1,), (2,)], jobs=-1, backend="dask")) == [1, 2]
            with workers_of("dask"):
                assert Client.current() is made
        assert made.status == "closed"


def test_joblibs_own_processes_and_ours_can_take_turns():
    tasks = [(1,), (2,), (3,)]
    for _ in range(2):
        assert sorted(run_tasks(abs, tasks, jobs=2)) == [1, 2, 3]
        assert sorted(run_elsewhere(abs, tasks, jobs=2, backend="loky")) == [1, 2, 3]
