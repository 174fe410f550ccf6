"""Energy, processes in turns, the files' own command, LiteRT's converter."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from squeeze_utils.base import measurements
from squeeze_utils.compress.sqz import container
from squeeze_utils.deploy import energy, litert, open_runner, optional_parts
from squeeze_utils.deploy.interleaved import Way, Worker, starts, times
from squeeze_utils.experiments import checkpoints
from squeeze_utils.models import build
from tools import deploy as command
from tools import deploy_files, deploy_tables

CHECKPOINT = deploy_files.NAMES[1]
SHAPE = (2, 3, 32, 32)


# --- energy -------------------------------------------------------------------------------------


def test_energy_is_counts_times_published_figures():
    one = energy.estimate(1_000_000, 1000, 500, "float32")
    assert one.arithmetic == pytest.approx(4.6)  # 3.7 + 0.9 pJ each
    assert one.weights == pytest.approx(0.65)  # 4 bytes at 1300 / 8 pJ
    assert one.activations == pytest.approx(0.65)  # written and read
    assert one.total == pytest.approx(5.9)


def test_int8_saves_bytes_fourfold_and_arithmetic_more():
    wide, short = (energy.estimate(10**6, 1000, 500, form) for form in ("float32", "int8"))
    assert wide.weights == pytest.approx(4 * short.weights)
    assert wide.arithmetic / short.arithmetic == pytest.approx(4.6 / 0.3)


def test_activations_that_stay_in_the_cache_cost_less():
    far, near = (energy.estimate(0, 0, 8000, "float32", in_cache=c) for c in (False, True))
    assert far.activations / near.activations == pytest.approx(65)


@pytest.mark.parametrize(
    ("counts", "form", "words"),
    [((1, 1, 1), "int4", "float32, int8"), ((-1, 1, 1), "int8", "negative")],
)
def test_wrong_counts_and_formats_are_refused(counts, form, words):
    with pytest.raises(ValueError, match=words):
        energy.estimate(*counts, form)


# --- processes in turns -------------------------------------------------------------------------


@pytest.fixture
def ways():
    pytest.importorskip("onnxruntime")
    return {
        form: Way(deploy_files.deployment_file(CHECKPOINT, f"{form}.onnx"))
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


def test_a_packed_file_is_decoded_exported_and_run_at_the_start(tmp_path):
    pytest.importorskip("onnxruntime")
    model, _ = checkpoints.load_model(CHECKPOINT)
    container.save_sqz(model, tmp_path / "net.sqz")
    with Worker(Way(tmp_path / "net.sqz", through_onnx=True), SHAPE) as worker:
        found = worker.started["logits"]
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(np.float32)
    with torch.no_grad():
        expected = model(torch.from_numpy(x))[0].numpy()
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_what_fails_in_a_worker_is_told(tmp_path):
    (tmp_path / "bad.onnx").write_bytes(b"no model")
    with pytest.raises(RuntimeError, match=r"a measured process failed: .*bad\.onnx is not"):
        Worker(Way(tmp_path / "bad.onnx"), SHAPE)


def test_nothing_to_time_is_refused(ways):
    for wrong in ({"ways": {}}, {"repetitions": 0}, {"warmup": -1}):
        with pytest.raises(ValueError, match="at least one way"):
            times(**{"ways": ways, "shape": SHAPE, **wrong})


# --- files and their command --------------------------------------------------------------------


def test_unknown_files_are_refused_with_what_there_is():
    with pytest.raises(ValueError, match=r"forms are float16\.onnx.*got 'int4'"):
        deploy_files.deployment_file(CHECKPOINT, "int4")
    with pytest.raises(FileNotFoundError, match="make deploy-files"):
        deploy_files.deployment_file("vgg", "int8.onnx")
    with pytest.raises(FileNotFoundError, match=f"no files of 'vgg'; there are: {CHECKPOINT}"):
        deploy_files.about("vgg")


def test_the_command_writes_files_and_their_description(tmp_path, monkeypatch, capsys):
    """On images of digits in colour: the real set is not needed to see that files are written."""
    from tiny import tiny_set

    images = tiny_set(classes=10, channels=3, size=32)
    monkeypatch.setattr(deploy_files, "load", lambda name, size: images)
    monkeypatch.setattr(deploy_files, "folder", lambda: tmp_path)
    monkeypatch.setattr(deploy_files, "converter_python", lambda: None)
    assert command.main(["files", CHECKPOINT]) == 0
    about = json.loads((tmp_path / f"{CHECKPOINT}.json").read_text())
    assert set(about["files"]) == {f"{CHECKPOINT}.float16.onnx", f"{CHECKPOINT}.int8.onnx"}
    assert about["mean"] == list(images.mean)
    assert f"{CHECKPOINT}.int8.onnx: 6" in capsys.readouterr().out


def test_the_command_says_what_is_missing(monkeypatch, capsys):
    from squeeze_utils.data import DataError

    def fail(name):
        raise DataError("no CIFAR-10 here")

    monkeypatch.setattr(deploy_files, "write", fail)
    monkeypatch.setattr(command, "missing", lambda: {"LiteRT's converter": "make converter"})
    assert command.main(["files"]) == 2
    said = capsys.readouterr().err
    assert "LiteRT's converter is not there: make converter" in said
    assert "error: no CIFAR-10 here" in said


def test_measurements_are_kept_with_the_instructions_of_the_processor(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(
        "squeeze_utils.base.measurements.measurement_path", lambda name: tmp_path / f"{name}.json"
    )
    way = {"ONNX Runtime, int8": Way(deploy_files.deployment_file(CHECKPOINT, "int8.onnx"))}
    monkeypatch.setattr(deploy_tables, "NETWORKS", {"LeNet": (32, lambda folder: way)})
    monkeypatch.setattr(deploy_tables, "BATCHES", (1,))
    assert command.main(["latency", "--repetitions", "2"]) == 0
    kept = measurements.read_measurement("deploy/latency")
    assert [(row["network"], row["batch"], row["threads"]) for row in kept.rows] == [
        ("LeNet", 1, 1),
        ("LeNet", 1, 2),
    ]
    assert kept.about["instructions"] and kept.about["runtimes"]["onnxruntime"] != ""
    assert command.main(["starts", "--repetitions", "1"]) == 0
    (row,) = measurements.read_measurement("deploy/starts").rows
    assert row["file_bytes"] == way["ONNX Runtime, int8"].path.stat().st_size


def test_every_form_is_scored_against_torch(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    from tiny import tiny_set

    images = tiny_set(classes=10, channels=3, size=32)
    monkeypatch.setattr(deploy_tables, "load", lambda name, size: images)
    monkeypatch.setattr(deploy_files, "NAMES", (CHECKPOINT,))
    monkeypatch.setattr(
        "squeeze_utils.base.measurements.measurement_path", lambda name: tmp_path / f"{name}.json"
    )
    assert command.main(["accuracy"]) == 0
    kept = measurements.read_measurement("deploy/accuracy")
    assert kept.about["images"] == len(images.test)
    rows = {(row["runtime"], row["form"]): row for row in kept.rows}
    assert rows["torch", "float32"]["same_answer"] == 100
    assert rows["ONNX Runtime", "float32"]["relative"] < 1e-5
    assert rows["ONNX Runtime", "int8"]["bytes"] < 0.3 * rows["ONNX Runtime", "float32"]["bytes"]
    assert ("ONNX Runtime", "int8, weights of 8 bits") in rows


@pytest.mark.parametrize(
    ("info", "said"),
    [
        ("flags : sse2 avx2 fma", "AVX2, no VNNI"),
        ("flags\t\t: avx2 avx512f avx512_vnni", "AVX2, AVX-512, VNNI"),
        ("flags : avx2 avx_vnni", "AVX2, VNNI"),
        ("Features : fp asimd asimddp", "dot product (ARM)"),
        ("nothing of the kind", "unknown"),
    ],
)
def test_the_instructions_of_a_processor(info, said):
    assert deploy_tables.instructions(info) == said


# --- LiteRT's converter -------------------------------------------------------------------------


def test_a_conversion_without_the_converter_says_how_to_get_it(monkeypatch, tmp_path):
    monkeypatch.setenv("SQUEEZE_CONVERTER", str(tmp_path))
    with pytest.raises(optional_parts.PartMissing, match="make converter"):
        litert.convert(build("lenet5"), {"float32": tmp_path / "a.tflite"}, (1, 28, 28))


@pytest.mark.parametrize(
    ("model", "forms", "words"),
    [
        ("lenet5", ["int4"], "forms are float32, float16, int8; got int4"),
        ("lenet5", [], "got none"),
        ("lenet5", ["int8"], "needs a calibration_batch"),
        (None, ["float32"], "only a network that build"),
    ],
)
def test_a_wrong_conversion_is_refused(tmp_path, model, forms, words):
    network = build(model) if model else torch.nn.Linear(2, 2)
    paths = {form: tmp_path / form for form in forms}
    with pytest.raises(ValueError, match=words):
        litert.convert(network, paths, (1, 28, 28))


def test_a_converter_that_fails_is_quoted_and_nothing_is_written(tmp_path, monkeypatch):
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text("#!/bin/sh\necho 'it went wrong' >&2\nexit 3\n")
    python.chmod(0o755)
    monkeypatch.setenv("SQUEEZE_CONVERTER", str(tmp_path))
    with pytest.raises(RuntimeError, match="the converter failed: it went wrong"):
        litert.convert(build("lenet5"), {"float32": tmp_path / "a.tflite"}, (1, 28, 28))
    assert not (tmp_path / "a.tflite").exists()


@pytest.mark.skipif(
    optional_parts.converter_python() is None or not optional_parts.has("ai_edge_litert"),
    reason="LiteRT's converter is not there: make converter",
)
@pytest.mark.parametrize("name", ["squeezenet_small", "lenet5"])
def test_a_converted_network_computes_the_same(tmp_path, name):

    options = {"width": 0.25, "bypass": "simple"} if name == "squeezenet_small" else {}
    torch.manual_seed(0)
    model = build(name, **options).eval()
    shape = model.input_shape
    batch = torch.randn(32, *shape)
    paths = {form: tmp_path / f"{form}.tflite" for form in litert.FORMS}
    sizes = litert.convert(model, paths, shape, batch)
    assert sizes["int8"] < sizes["float16"] < sizes["float32"]
    with torch.no_grad():
        expected = model(batch).numpy()
    limits = {"float32": 1e-5, "float16": 5e-3, "int8": 0.1}
    for form, limit in limits.items():
        found = open_runner(paths[form])(batch.numpy())
        assert np.abs(found - expected).max() < limit * np.abs(expected).max(), form
