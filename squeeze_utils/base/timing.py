"""Measuring: interleaved run times, and probes of the two limits of a machine.

A time in this series is a median of at least 30 repetitions after a warm-up, with the number of
threads stated. Two things are compared by running them alternately in one process, so that a
noisy minute hits both of them. Only torch, numpy and pandas are needed.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from squeeze_utils.base.checks import real_number, whole_number


@dataclass(frozen=True)
class Probe:
    """Something to run again and again, with the work that one run does.

    ``flops`` counts a multiply-add as two operations; ``bytes`` counts what has to cross the
    memory bus at least once (reads plus writes). Calling the probe runs it once.
    """

    run: Callable[[], Any]
    flops: float
    bytes: float

    def __call__(self) -> Any:
        """Run the kernel once; what it returns."""
        return self.run()


def sample_times(
    callables: Mapping[str, Callable[[], Any]], repetitions: int = 30, warmup: int = 5
) -> dict[str, np.ndarray]:
    """Seconds of every repetition of every callable, as ``{name: array of length repetitions}``.

    One round runs each callable once, starting one place further on in every round, so that none
    of them always runs after the same neighbour. The garbage collector rests meanwhile.
    """
    _check_callables(callables)
    whole_number("repetitions", repetitions, 1)
    whole_number("warmup", warmup, 0)
    names = list(callables)
    times = {name: np.empty(repetitions) for name in names}
    for _ in range(warmup):
        for name in names:
            callables[name]()
    collecting = gc.isenabled()
    gc.disable()
    try:
        for i in range(repetitions):
            turn = i % len(names)
            for name in names[turn:] + names[:turn]:
                times[name][i] = _seconds(callables[name])
    finally:
        if collecting:
            gc.enable()
    return times


def median_time(
    callables: Mapping[str, Callable[[], Any]], repetitions: int = 30, warmup: int = 5
) -> pd.DataFrame:
    """Median and 95th percentile of the run time of each callable, in milliseconds.

    The callables are interleaved (see :func:`sample_times`). Returns one row per name with the
    columns ``median_ms``, ``p95_ms``, ``repetitions`` and ``threads`` (torch's CPU threads).
    """
    times = sample_times(callables, repetitions, warmup)
    rows = [
        {
            "median_ms": 1e3 * float(np.median(seconds)),
            "p95_ms": 1e3 * float(np.percentile(seconds, 95)),
            "repetitions": repetitions,
            "threads": torch.get_num_threads(),
        }
        for seconds in times.values()
    ]
    index = pd.Index(list(times), name="name", tupleize_cols=False)
    return pd.DataFrame(rows, index=index)


def matmul_probe(dtype: torch.dtype = torch.float32, size: int = 1024) -> Probe:
    """A product of two square matrices of side ``size``: 2 size^3 operations, little traffic."""
    if not isinstance(dtype, torch.dtype) or not dtype.is_floating_point:
        raise ValueError(f"dtype must be a floating-point torch dtype, got {dtype!r}")
    whole_number("size", size, 1)
    generator = torch.Generator().manual_seed(0)
    left = torch.randn(size, size, generator=generator).to(dtype)
    right = torch.randn(size, size, generator=generator).to(dtype)
    out = torch.empty(size, size, dtype=dtype)

    @torch.inference_mode()
    def multiply() -> torch.Tensor:
        return torch.mm(left, right, out=out)

    return Probe(multiply, flops=2.0 * size**3, bytes=3.0 * size**2 * dtype.itemsize)


def copy_probe(megabytes: float = 128) -> Probe:
    """A copy of ``megabytes`` (10^6 bytes): no arithmetic, each byte read once and written once.

    The array has to be larger than the last cache, or the cache is what gets measured.
    """
    real_number("megabytes", megabytes, above=0)
    source = torch.ones(max(1, round(megabytes * 1e6 / 4)))
    target = torch.empty_like(source)
    return Probe(lambda: target.copy_(source), flops=0.0, bytes=8.0 * source.numel())


def matmul_peak(
    dtype: torch.dtype = torch.float32, size: int = 1024, repetitions: int = 30
) -> float:
    """Operations per second (FLOP/s, a multiply-add is two) of a matrix product on the CPU.

    The better of the sides ``size`` and ``size // 2``, each a median over ``repetitions``.
    """
    probes = {str(side): matmul_probe(dtype, side) for side in {size, max(1, size // 2)}}
    times = sample_times(probes, repetitions)
    return max(probes[name].flops / float(np.median(times[name])) for name in probes)


def _seconds(function: Callable[[], Any]) -> float:
    """One run's wall-clock seconds; on CUDA until the queued kernels have finished."""
    gpu = torch.cuda.is_initialized()
    if gpu:
        torch.cuda.synchronize()
    start = time.perf_counter()
    function()
    if gpu:
        torch.cuda.synchronize()
    return time.perf_counter() - start


def _check_callables(callables: Mapping[str, Callable[[], Any]]) -> None:
    if not isinstance(callables, Mapping) or not callables:
        raise ValueError("expected a non-empty mapping {name: callable without arguments}")
    for name, function in callables.items():
        if not callable(function):
            raise TypeError(f"{name!r} must be a callable, got {type(function).__name__}")
