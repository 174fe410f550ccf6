"""Measuring: interleaved run times, peak memory of a fresh process, the two roofs of a machine.

A time in this series is a median of at least 30 repetitions after a warm-up, with the number of
threads stated. Two things are compared by running them alternately in one process, so that a
noisy minute hits both of them. Only torch, numpy and pandas are needed.
"""

from __future__ import annotations

import gc
import pickle
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import torch

from squeeze_utils.base.memory import peak_bytes


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
        return self.run()


def sample_times(
    callables: Mapping[str, Callable[[], Any]], repetitions: int = 30, warmup: int = 5
) -> dict[str, np.ndarray]:
    """Seconds of every repetition of every callable, as ``{name: array of length repetitions}``.

    One round runs each callable once, starting one place further on in every round, so that none
    of them always runs after the same neighbour. The garbage collector rests meanwhile.
    """
    _check_callables(callables)
    _check_count("repetitions", repetitions, least=1)
    _check_count("warmup", warmup, least=0)
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
    _check_count("size", size, least=1)
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
    if not megabytes > 0:
        raise ValueError(f"megabytes must be positive, got {megabytes!r}")
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


def memory_bandwidth(megabytes: float = 128, repetitions: int = 30) -> float:
    """Bytes per second, read plus written, of a copy of ``megabytes`` in main memory (median)."""
    probe = copy_probe(megabytes)
    return probe.bytes / float(np.median(sample_times({"copy": probe}, repetitions)["copy"]))


def peak_memory(function: Callable[..., Any], *args: Any) -> int:
    """Bytes by which ``function(*args)`` raises the resident memory of a fresh Python process.

    What it needs to start (interpreter, torch, the unpickled arguments) is not counted. The
    function travels by value, so one that is defined in a notebook will do. An exception inside
    comes back as a ``RuntimeError`` that ends with its message.
    """
    if not callable(function):
        raise TypeError(f"peak_memory needs a callable, got {type(function).__name__}")
    job = _cloudpickle().dumps((function, args, torch.get_num_threads()))
    command = [sys.executable, "-c", "from squeeze_utils.base.timing import _child; _child()"]
    done = subprocess.run(command, input=job, capture_output=True, check=False)
    if done.returncode != 0:
        lines = done.stderr.decode(errors="replace").strip().splitlines() or ["no message"]
        raise RuntimeError(f"the measured function failed in its own process: {lines[-1]}")
    return int(done.stdout.split()[-1])


def _cloudpickle() -> Any:
    """The pickler that comes with joblib: inside it in older releases, beside it in newer ones."""
    try:
        from joblib.externals import cloudpickle
    except ImportError:
        import cloudpickle
    return cloudpickle


def _child() -> None:
    """The fresh process of :func:`peak_memory`: a pickled job on stdin, bytes on stdout."""
    function, args, threads = pickle.load(sys.stdin.buffer)
    torch.set_num_threads(threads)
    gc.collect()
    before = _reset_peak()
    function(*args)
    sys.stdout.write(f"\n{max(0, peak_bytes() - before)}\n")


def _reset_peak() -> int:
    """Sets the process's high-water mark back where the system allows it; returns the mark."""
    try:
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass
    return peak_bytes()


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


def _check_count(what: str, value: int, *, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        raise ValueError(f"{what} must be an integer of at least {least}, got {value!r}")
