"""Tasks shared between this process and its helpers."""

from __future__ import annotations

import os
import sys
import time

import pytest
import torch

from squeeze_utils.base.parallel import run_in_order, run_tasks, start_helpers


def where(number: int) -> tuple[int, int]:
    time.sleep(0.2)
    return number, os.getpid()


def threads(_: int) -> int:
    time.sleep(0.1)
    return torch.get_num_threads()


def fails(number: int) -> int:
    time.sleep(0.1)
    if number == 3:
        raise ValueError(f"task {number} is bad")
    return number


def has_loaded(module: str) -> bool:
    time.sleep(0.2)
    return module in sys.modules


def test_every_task_is_done_once_and_this_process_does_its_share():
    found = list(run_tasks(where, [(number,) for number in range(30)], jobs=3))
    assert sorted(number for number, _ in found) == list(range(30))
    processes = {process for _, process in found}
    assert os.getpid() in processes
    assert 2 <= len(processes) <= 3


def test_the_processes_share_the_threads(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 6)
    before = torch.get_num_threads()
    assert set(run_tasks(threads, [(number,) for number in range(20)], jobs=2)) == {3}
    assert torch.get_num_threads() == before


def test_helpers_made_ready_have_loaded_what_training_needs():
    start_helpers(2)
    assert sum(run_tasks(has_loaded, [("torch._dynamo",)] * 40, jobs=2)) >= 2


def uneven(number: int) -> int:
    time.sleep(0.3 if number % 5 == 0 else 0.01)
    return number


def test_results_come_in_the_order_of_the_tasks_if_wanted():
    assert run_in_order(uneven, ((number,) for number in range(12)), jobs=2) == list(range(12))


@pytest.mark.parametrize("jobs", [2, 3])
def test_a_task_that_raises_ends_the_rest_and_new_work_starts_afresh(jobs):
    with pytest.raises(ValueError, match="task 3 is bad"):
        list(run_tasks(fails, [(number,) for number in range(40)], jobs))
    assert sorted(run_tasks(fails, [(0,), (1,), (2,)], jobs)) == [0, 1, 2]


def test_no_task_is_lost_when_the_reader_stops_early():
    tasks = run_tasks(where, [(number,) for number in range(4)], jobs=2)
    first, _ = next(tasks)
    tasks.close()
    assert first in range(4)
    assert len(list(run_tasks(where, [(number,) for number in range(4)], jobs=2))) == 4


def test_what_needs_no_helper_is_done_here():
    assert list(run_tasks(where, [], jobs=2)) == []
    assert list(run_tasks(where, [(7,)], jobs=3)) == [(7, os.getpid())]


def test_it_says_what_numbers_of_processes_there_are():
    with pytest.raises(ValueError, match="jobs must be at least 1, got 0"):
        list(run_tasks(where, [(7,)], jobs=0))
    assert list(run_tasks(where, [(7,), (8,)], jobs=1)) == [(7, os.getpid()), (8, os.getpid())]
