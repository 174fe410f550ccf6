"""On paper, from measured constants: how long training takes with more workers, and why it stops.

Two ways to use n workers: one training by all of them, which exchange gradients in every step, or
many trainings side by side, which exchange nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from squeeze_utils.base.checks import real_number, whole_number
from squeeze_utils.base.scale import Scale
from squeeze_utils.studies import catalogue
from squeeze_utils.studies.durations import (
    IMAGES_PER_SECOND,
    epochs_of,
    relative,
    training_images,
)
from squeeze_utils.training.distributed.wire import ring_bytes

SPEED = IMAGES_PER_SECOND["bfloat16"]  # of the half-width SqueezeNet on one thread, measured
LATENCY = 50e-6  # seconds a message takes on a local network, however short


def step_seconds(
    compute: float, numbers: int, workers: int, bits_per_second: float, latency: float = LATENCY
) -> dict[str, float]:
    """A data-parallel step on paper: n workers share a batch that takes one `compute` seconds.

    t(n) = compute / n + 8 b(n) / bandwidth + 2 (n - 1) latency, with b(n) = 2 (n - 1)/n x 4N
    bytes that each worker sends in a ring. Nothing overlaps. Returns the seconds, the share of
    them that is exchange, and how many times faster than one worker that is.

    >>> found = step_seconds(1.0, 1_000_000, 2, 1e9, latency=0)
    >>> round(found["seconds"], 3), round(found["speed-up"], 2)
    (0.532, 1.88)
    """
    real_number("compute", compute, above=0)
    real_number("bits_per_second", bits_per_second, above=0)
    whole_number("workers", workers, 1)
    exchange = 8 * ring_bytes(numbers, workers) / bits_per_second + 2 * (workers - 1) * latency
    seconds = compute / workers + exchange
    return {"seconds": seconds, "share": exchange / seconds, "speed-up": compute / seconds}


def reference_hours() -> list[float]:
    """Hours of one worker for each chain of experiments of the reference studies.

    Experiments that begin with the same training form a chain, which one worker does from end to
    end, at the `SPEED` that was measured.
    """
    chains: dict[str, float] = {}
    counted: set[str] = set()
    for make in catalogue.catalogue().values():
        study = make(Scale("reference"))
        for arm in (*study.arms, *study.expected):
            experiment = arm.experiment
            first = experiment.prefix(1).key
            for position, step in enumerate(experiment.recipe, start=1):
                key = experiment.prefix(position).key
                if key in counted or not epochs_of(step):
                    continue
                counted.add(key)
                images = epochs_of(step) * training_images(experiment)
                seconds = images * relative(experiment.model) / SPEED
                chains[first] = chains.get(first, 0.0) + seconds / 3600
    return sorted(chains.values(), reverse=True)


def makespan(hours: Sequence[float], workers: int) -> float:
    """Hours until all tasks are done, the longest first, each by the worker that is free first.

    >>> makespan([3, 3, 2, 2, 2], 2)
    7
    """
    whole_number("workers", workers, 1)
    free: list[float] = [0] * workers
    for task in sorted(hours, reverse=True):
        heapq.heappush(free, heapq.heappop(free) + task)
    return max(free)
