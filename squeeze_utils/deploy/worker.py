"""A process of its own that opens one file, predicts once, and then runs whenever it is told to.

Started by `interleaved.Worker` with a job as JSON. It answers in lines of JSON: first how long it
took to import, to open and to predict for the first time, and its peak memory; then, for each line
it reads, the seconds of one run. Only what the kind of file needs is imported: every module costs
time and memory, and both are what is measured.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from squeeze_utils.base.memory import peak_bytes
from squeeze_utils.deploy.runners import Runner, open_runner


def opened(job: dict[str, Any]) -> Runner:
    """The runner of a job: `path`, `threads`, `channels_last`, `through_onnx`."""
    path = Path(job["path"])
    if job.get("through_onnx"):
        from squeeze_utils.deploy.onnx_files import sqz_to_onnx

        with TemporaryDirectory(prefix="squeeze_utils-decoded-") as folder:
            exported = sqz_to_onnx(path, Path(folder) / f"{path.stem}.onnx")
            return open_runner(exported, job["threads"])
    return open_runner(path, job["threads"], channels_last=job.get("channels_last", False))


def imported(path: Path) -> None:
    """Import what this kind of file needs and no more, so that opening it is timed by itself.

    With `through_onnx` the exporter and ONNX Runtime are imported while it opens.
    """
    from importlib import import_module

    names = {
        ".onnx": ("onnxruntime",),
        ".tflite": ("ai_edge_litert.interpreter",),
        ".sqz": ("torch", "squeeze_utils.compress.sqz.container"),
        ".safetensors": ("torch", "squeeze_utils.models.checkpoint_files", "safetensors.torch"),
    }
    for name in names.get(path.suffix, ()):
        import_module(name)


def main(text: str) -> None:
    """Do the job; answer on standard output until standard input ends."""
    job = json.loads(text)
    images = np.random.default_rng(0).standard_normal(job["shape"]).astype(np.float32)
    start = time.perf_counter()
    imported(Path(job["path"]))
    loaded = time.perf_counter()
    runner = opened(job)
    ready = time.perf_counter()
    logits = runner(images)
    done = time.perf_counter()
    answer = {
        "import": loaded - start,
        "open": ready - loaded,
        "first": done - ready,
        "peak_bytes": peak_bytes(),
        "logits": logits[0].tolist(),
    }
    print(json.dumps(answer), flush=True)
    for _ in sys.stdin:
        start = time.perf_counter()
        runner(images)
        print(json.dumps(time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
