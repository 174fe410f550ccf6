"""How long the shortest exchange takes: one number, added up by processes on this machine."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any

import torch
import torch.distributed as dist

from squeeze_utils.base.checks import whole_number
from squeeze_utils.training.distributed.launch import launch, take_part

WARM_UP = 100  # exchanges before the first round


def time_messages(
    rounds: int,
    repeats: int,
    *,
    workers: int = 2,
    seconds: float = 300,
    start: Callable[..., list[Any]] = launch,
) -> list[float]:
    """Median seconds of an `all_reduce` of one number, for each of the rounds.

    A round has so many `repeats`, each of them timed by the first process. `start` starts the
    `workers`, as `launch` does: over gloo and the loopback interface.
    """
    for name, value in (("rounds", rounds), ("repeats", repeats)):
        whole_number(name, value, 1)
    whole_number("workers", workers, 2)
    module = "squeeze_utils.training.distributed.short_messages"
    return start(module, workers, seconds=seconds, rounds=rounds, repeats=repeats)[0]


def job(rounds: int, repeats: int) -> list[float]:
    """What each of the processes does: its medians."""
    number = torch.zeros(1)
    _exchanges(number, WARM_UP)
    return [statistics.median(_exchanges(number, repeats)) for _ in range(rounds)]


def _exchanges(number: torch.Tensor, count: int) -> list[float]:
    """Seconds of each."""
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        dist.all_reduce(number)
        seconds.append(time.perf_counter() - start)
    return seconds


if __name__ == "__main__":
    take_part(job)
