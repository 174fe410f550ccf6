"""Files timed against each other, each in a process that imports no more than it must."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
import torch

from squeeze_utils.compress.sqz import container
from squeeze_utils.deploy import committed_files
from squeeze_utils.deploy.interleaved import Way, Worker, starts, times
from squeeze_utils.deploy.runners import open_runner
from squeeze_utils.models.checkpoint_files import load_model

CHECKPOINT = committed_files.NAMES[1]
SHAPE = (2, 3, 32, 32)


@pytest.fixture
def ways():
    pytest.importorskip("onnxruntime")
    return {
        form: Way(committed_files.deployment_file(CHECKPOINT, f"{form}.onnx"))
        for form in ("float16", "int8")
    }


def test_times_and_starts_have_a_row_for_each_way(ways):
    found = times(ways, SHAPE, repetitions=5, warmup=1)
    assert list(found.index) == list(ways)
    assert (found["median_ms"] > 0).all() and (found["p95_ms"] >= found["median_ms"]).all()
    begun = starts(ways, SHAPE, repetitions=1)
    parts_ = begun[["import", "open", "first"]].sum(axis=1)
    assert (begun["total"] > parts_).all()  # Python itself has to start too
    assert (begun["peak_mb"] > 20).all()


def test_a_worker_answers_with_the_logits_of_its_file(ways):
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    with Worker(ways["int8"], SHAPE) as worker:
        seconds = worker.run()
        expected = open_runner(ways["int8"].path)(x)
        np.testing.assert_allclose(worker.started["logits"], expected[0], rtol=1e-4, atol=1e-4)
        process = worker._process
    assert 0 < seconds < 10
    assert process.returncode == 0


@pytest.mark.slow
def test_a_packed_file_is_decoded_exported_and_run_at_the_start(tmp_path):
    pytest.importorskip("onnxruntime")
    model, _ = load_model(CHECKPOINT)
    container.save_sqz(model, tmp_path / "net.sqz")
    with Worker(Way(tmp_path / "net.sqz", through_onnx=True), SHAPE) as worker:
        found = worker.started["logits"]
    assert [file.name for file in tmp_path.iterdir()] == ["net.sqz"]
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(x))[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_what_fails_in_a_worker_is_told(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(RuntimeError, match=r"a measured process failed: .*bad\.onnx is not"):
        Worker(Way(tmp_path / "bad.onnx"), SHAPE)


def test_what_a_process_dies_of_between_two_runs_is_told(ways):
    with Worker(next(iter(ways.values())), SHAPE) as worker:
        worker._process.kill()
        worker._process.wait()
        with pytest.raises(RuntimeError, match="a measured process failed: no message"):
            worker.run()
    assert worker._errors.closed


def test_nothing_to_time_is_refused(ways):
    for wrong in ({"ways": {}}, {"repetitions": 0}):
        with pytest.raises(ValueError, match="at least one way"):
            starts(**{"ways": ways, "shape": SHAPE, **wrong})
    for wrong in ({"ways": {}}, {"repetitions": 0}, {"warmup": -1}):
        with pytest.raises(ValueError, match="at least one way"):
            times(**{"ways": ways, "shape": SHAPE, **wrong})


PROGRAM = """
import json, sys
from pathlib import Path
from squeeze_utils.deploy import worker
job = json.loads(sys.argv[1])
worker.imported(Path(job["path"]))
worker.opened(job)
print(json.dumps(sorted(sys.modules)))
"""
NEVER = {"pandas", "sklearn", "scipy", "squeeze_utils.experiments", "squeeze_utils.studies"}


EXPORTED = pytest.param(".sqz", True, marks=pytest.mark.slow)


@pytest.mark.parametrize(
    ("suffix", "through_onnx"),
    [(".onnx", False), (".tflite", False), (".sqz", False), (".safetensors", False), EXPORTED],
)
def test_a_worker_imports_only_what_its_file_needs(tmp_path, suffix, through_onnx):
    """Every module more would be measured as if the runtime needed it."""
    if suffix in (".onnx", ".tflite"):
        pytest.importorskip("onnxruntime" if suffix == ".onnx" else "ai_edge_litert")
        path = committed_files.deployment_file(CHECKPOINT, f"int8{suffix}")
    else:
        path = committed_files.folder().parent / f"{CHECKPOINT}.safetensors"
    if suffix == ".sqz":
        path = tmp_path / "net.sqz"
        container.save_sqz(load_model(CHECKPOINT)[0], path)
    job = json.dumps({"path": str(path), "threads": 1, "through_onnx": through_onnx})
    done = subprocess.run([sys.executable, "-c", PROGRAM, job], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found = set(json.loads(done.stdout))
    assert not found & NEVER
    assert ("torch" in found) == (suffix in (".sqz", ".safetensors"))
