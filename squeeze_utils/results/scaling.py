"""On paper, from measured constants: how long training takes with more workers, and why it stops.

Two ways to use n workers: one training by all of them, which exchange gradients in every step, or
many trainings side by side, which exchange nothing.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence

from squeeze_utils.base.checks import real_number, whole_number
from squeeze_utils.base.measurements import read_measurement
from squeeze_utils.training.distributed.wire import ring_bytes

MESSAGE = "communication/message"  # below data/measurements/
TERMS = ("computing", "sending the bytes", "latency")


def message_seconds() -> float:
    """Seconds that even the shortest message takes, as `python -m tools.message_time` measured.

    Two processes of one machine add up one number: in a ring of n that is 2 (n - 1) messages one
    after the other, so half of it is one message. Between machines it takes longer.
    """
    kept = read_measurement(MESSAGE)
    if kept is None:
        raise FileNotFoundError(f"{MESSAGE} is not measured: python -m tools.message_time")
    return float(kept.frame["median_seconds"].min()) / (2 * (kept.about["workers"] - 1))


def step_seconds(
    compute: float,
    numbers: int,
    workers: int,
    bits_per_second: float,
    latency: float | None = None,
) -> dict[str, float]:
    """A data-parallel step on paper: n workers share a batch that takes one `compute` seconds.

    t(n) = compute / n + 8 b(n) / bandwidth + 2 (n - 1) latency, with b(n) = 2 (n - 1)/n x 4N
    bytes that each worker sends in a ring. Nothing overlaps. The latency is `message_seconds`
    where none is given. Returns the seconds, the share of them that is exchange, how many times
    faster than one worker that is, and the share of each of the three terms, by `TERMS`.

    >>> found = step_seconds(1.0, 1_000_000, 2, 1e9, latency=0)
    >>> round(found["seconds"], 3), round(found["speed-up"], 2)
    (0.532, 1.88)
    """
    real_number("compute", compute, above=0)
    real_number("bits_per_second", bits_per_second, above=0)
    whole_number("workers", workers, 1)
    latency = message_seconds() if latency is None else real_number("latency", latency, least=0)
    sending = 8 * ring_bytes(numbers, workers) / bits_per_second
    terms = (compute / workers, sending, 2 * (workers - 1) * latency)
    seconds = sum(terms)
    shares = {name: term / seconds for name, term in zip(TERMS, terms, strict=True)}
    exchange = 1 - shares["computing"]
    return {"seconds": seconds, "share": exchange, "speed-up": compute / seconds, **shares}


def shares_of(step: dict[str, float]) -> str:
    """What a step of `step_seconds` consists of, in words, and the larger part of the exchange."""
    parts = ", ".join(f"{name} {100 * step[name]:.0f} %" for name in TERMS)
    return f"{parts}. The exchange is mostly {max(TERMS[1:], key=step.__getitem__)}"


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


def workers_that_help(hours: Sequence[float]) -> int:
    """How many workers do all tasks as soon as the longest one ends; more of them gain nothing.

    >>> workers_that_help([3, 3, 2, 2, 2])
    5
    """
    workers = max(1, int(sum(hours) / max(hours)))  # fewer have more to do in the mean
    while makespan(hours, workers) > max(hours):
        workers += 1
    return workers
