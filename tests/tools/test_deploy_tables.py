"""The maker of notebook 17's tables, on the smallest of its networks."""

from __future__ import annotations

import pytest
from tiny import tiny_set

from squeeze_utils.base import measurements
from squeeze_utils.deploy import committed_files
from squeeze_utils.deploy.interleaved import Way
from tools import deploy_tables

pytest.importorskip("onnxruntime")
CHECKPOINT = committed_files.NAMES[1]


@pytest.fixture(autouse=True)
def kept_elsewhere(tmp_path, monkeypatch):
    monkeypatch.setattr(measurements, "measurement_path", lambda name: tmp_path / f"{name}.json")


def test_times_are_kept_with_the_instructions_of_the_processor(monkeypatch):
    way = {"int8": Way(committed_files.deployment_file(CHECKPOINT, "int8.onnx"))}
    monkeypatch.setattr(deploy_tables, "NETWORKS", {"LeNet": (32, lambda folder: way)})
    monkeypatch.setattr(deploy_tables, "BATCHES", (1,))
    assert deploy_tables.main(["latency", "--repetitions", "2"]) == 0
    kept = measurements.read_measurement("deploy/latency")
    assert [(row["network"], row["batch"], row["threads"]) for row in kept.rows] == [
        ("LeNet", 1, 1),
        ("LeNet", 1, 2),
    ]
    assert deploy_tables.main(["vnni-latency", "--repetitions", "2"]) == 0  # a second processor
    assert len(measurements.read_measurement("deploy/latency_vnni").rows) == 2
    assert measurements.read_measurement("deploy/latency").rows == kept.rows
    assert kept.about["instructions"] and kept.about["runtimes"]["onnxruntime"] != ""
    assert deploy_tables.main(["starts", "--repetitions", "1"]) == 0
    (row,) = measurements.read_measurement("deploy/starts").rows
    assert row["file_bytes"] == way["int8"].path.stat().st_size


@pytest.mark.slow
def test_every_form_is_scored_against_torch(monkeypatch):
    images = tiny_set(classes=10, channels=3, size=32)
    monkeypatch.setattr(deploy_tables, "load_images", lambda name, size: images)
    monkeypatch.setattr(committed_files, "NAMES", (CHECKPOINT,))
    assert deploy_tables.main(["accuracy"]) == 0
    kept = measurements.read_measurement("deploy/accuracy")
    assert kept.about["images"] == len(images.test)
    rows = {(row["runtime"], row["form"]): row for row in kept.rows}
    assert rows["torch", "float32"]["same_answer"] == 100
    assert rows["ONNX Runtime", "float32"]["relative"] < 1e-5
    assert rows["ONNX Runtime", "int8"]["bytes"] < 0.3 * rows["ONNX Runtime", "float32"]["bytes"]
    assert ("ONNX Runtime", "int8, weights of 8 bits") in rows
    assert deploy_tables.main(["eighth-bit"]) == 0
    part = {
        (row["runtime"], row["form"]): row
        for row in measurements.read_measurement("deploy/eighth_bit").rows
    }
    forms = ("int8", "int8, weights of 8 bits")
    assert list(part) == [("torch", "float32"), *(("ONNX Runtime", form) for form in forms)]
    assert part == {place: rows[place] for place in part}


def test_mistakes_are_said_in_one_line(monkeypatch, capsys):
    def fail(name, size):
        raise ValueError("no CIFAR-10 here")

    monkeypatch.setattr(deploy_tables, "load_images", fail)
    assert deploy_tables.main(["accuracy"]) == 2
    assert capsys.readouterr().err == "error: no CIFAR-10 here\n"
    with pytest.raises(SystemExit):
        deploy_tables.main(["accuracy", "--repetitions", "3"])  # only timings are repeated
