"""Files timed against each other, each in a process of its own, one run after another in turns.

Two runtimes in one process disturb each other: the threads of one still spin, waiting for more
work, when the other has its turn. So every file gets a process that sleeps while others run, and
a pause between two runs. Its start is measured too: seconds to the first prediction, peak memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from squeeze_utils.base.processes import child_environment

PAUSE = 0.02  # seconds between two runs: threads that wait for work give up within it


@dataclass(frozen=True)
class Way:
    """A file and how it is run.

    `channels_last` is for torch networks; `through_onnx` decodes a `.sqz`, exports it and runs
    it with ONNX Runtime, all at the start.
    """

    path: Path
    channels_last: bool = False
    through_onnx: bool = False


class Worker:
    """The process of one way to run, started at once; use it in a `with` block."""

    def __init__(self, way: Way, shape: Sequence[int], threads: int = 1) -> None:
        job = {**asdict(way), "path": str(way.path), "shape": list(shape), "threads": threads}
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (closed in close)
        start = time.perf_counter()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "squeeze_utils.deploy.worker", json.dumps(job)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
            env=child_environment(),
        )
        try:
            self.started: dict[str, Any] = self._answer()
        except BaseException:
            self.close()
            raise
        self.started["total"] = time.perf_counter() - start

    def run(self) -> float:
        """Seconds of one run."""
        with suppress(BrokenPipeError):  # what it died of is in the answer
            self._process.stdin.write("\n")
            self._process.stdin.flush()
        return float(self._answer())

    def _answer(self) -> Any:
        line = self._process.stdout.readline()
        if not line:
            self._process.wait()
            self._errors.seek(0)
            said = self._errors.read().decode(errors="replace").strip().splitlines()
            raise RuntimeError(f"a measured process failed: {(said or ['no message'])[-1]}")
        return json.loads(line)

    def close(self) -> None:
        """End the process."""
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.stdout.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._errors.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self, kind: type | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def times(
    ways: Mapping[str, Way],
    shape: Sequence[int],
    threads: int = 1,
    repetitions: int = 30,
    warmup: int = 3,
) -> pd.DataFrame:
    """Milliseconds of a run of each way, in turns: `median_ms` and `p95_ms`, one row for each.

    `shape` is that of the batch, (n, channels, height, width); a file with a fixed batch of one
    runs n times for it. `repetitions` are the rounds that count.
    """
    if not ways or repetitions < 1 or warmup < 0:
        raise ValueError("give at least one way and one repetition, and no negative warm-up")
    names = list(ways)
    taken = {name: np.empty(repetitions) for name in names}
    with ExitStack() as stack:
        workers = {n: stack.enter_context(Worker(way, shape, threads)) for n, way in ways.items()}
        label = f"{shape[0]} x {shape[-1]} px, {threads} threads"
        for at in tqdm(range(-warmup, repetitions), desc=label, leave=False):
            turn = at % len(names)
            for name in names[turn:] + names[:turn]:
                time.sleep(PAUSE)
                seconds = workers[name].run()
                if at >= 0:
                    taken[name][at] = seconds
    rows = {
        name: {"median_ms": 1e3 * np.median(t), "p95_ms": 1e3 * np.percentile(t, 95)}
        for name, t in taken.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("name")


def starts(
    ways: Mapping[str, Way], shape: Sequence[int], threads: int = 1, repetitions: int = 5
) -> pd.DataFrame:
    """How each way starts, in fresh processes in turns: medians of seconds, and peak memory.

    Columns: `import`, `open`, `first` and `total` (from starting Python to the first prediction)
    in seconds, and `peak_mb`, the process's peak resident memory in 10^6 bytes.
    """
    if not ways or repetitions < 1:
        raise ValueError("give at least one way and one repetition")
    found = []
    for _ in tqdm(range(repetitions), desc="fresh processes", leave=False):
        for name, way in ways.items():
            with Worker(way, shape, threads) as worker:
                peak = worker.started["peak_bytes"] / 1e6
                found.append({"name": name, **worker.started, "peak_mb": peak})
    kept = ["import", "open", "first", "total", "peak_mb"]
    return pd.DataFrame(found).groupby("name", sort=False)[kept].median()
