from __future__ import annotations

import hashlib
import json

import pytest
import torch
from tiny import tiny_set

from squeeze_utils.data import load_images
from squeeze_utils.deploy import write_files
from squeeze_utils.deploy.scoring import inputs
from squeeze_utils.deploy.write_files import read_description, write_description
from squeeze_utils.models import build


@pytest.fixture
def images():
    return tiny_set(classes=10, channels=3, size=32)


def test_files_are_written_and_described(tmp_path, monkeypatch, images):
    """On images of noise: the real set is not needed to see that files are written."""
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(write_files, "converter_python", lambda: None)
    model, shape = build("lenet5", in_channels=3, image_size=32), (3, 32, 32)
    (tmp_path / "net.int8.tflite").write_bytes(b"from an earlier day")
    batch = torch.from_numpy(inputs(images.train, images, 8))
    sizes = write_files.write_files(model, tmp_path, "net", shape, batch)
    assert list(sizes) == ["net.float16.onnx", "net.int8.onnx"]
    assert all(sizes[name] == (tmp_path / name).stat().st_size for name in sizes)
    path = write_description(tmp_path, "net", images, shape, {"study": "none"})
    about = json.loads(path.read_text())
    assert set(about["files"]) == {*sizes, "net.int8.tflite"}
    content = (tmp_path / "net.int8.onnx").read_bytes()
    facts = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    assert about["files"]["net.int8.onnx"] == facts
    few = min(write_files.CALIBRATION, len(images.train))
    assert len(images.train) < write_files.CALIBRATION
    assert about["calibration"].startswith(f"{few} training images of {images.name}, ")
    assert about["mean"] == list(images.mean) and about["checkpoint"] == {"study": "none"}
    assert read_description(tmp_path / "net.int8.onnx") == about
    (tmp_path / "deploy").mkdir()
    path.rename(tmp_path / "deploy" / "net.json")
    assert read_description(tmp_path / "net.safetensors") == about


def test_a_description_says_what_goes_in_and_comes_out(tmp_path):
    def described(data, channels):
        path = write_description(
            tmp_path, "net", data, (channels, *data.train.images.shape[2:]), {}
        )
        about = json.loads(path.read_text())
        return about["input"].partition(",")[0], about["output"]

    plain = tiny_set(classes=3, channels=3, size=8)
    assert described(plain, 3) == ("RGB", "one logit for each class")
    assert described(plain, 1)[0] == "grey" and described(plain, 4)[0] == "4 channels"
    masks, boxes = (load_images(name, train_limit=8) for name in ("digit_masks", "digit_scenes"))
    assert described(masks, 1) == ("grey", write_files.OUTPUTS["segmentation"])
    assert "at each pixel" in described(masks, 1)[1]
    assert "for each cell" in described(boxes, 1)[1]


def test_without_images_there_is_no_int8_file(tmp_path, monkeypatch):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    monkeypatch.setattr(write_files, "converter_python", lambda: None)
    sizes = write_files.write_files(build("lenet5"), tmp_path, "net", (1, 28, 28))
    assert list(sizes) == ["net.float16.onnx"] == [path.name for path in tmp_path.iterdir()]


def test_the_converter_makes_the_same_forms(tmp_path, monkeypatch, images):
    pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")
    asked = []

    def convert(model, paths, shape, batch):
        asked.append(sorted(paths))
        for path in paths.values():
            path.write_bytes(b"lite")

    monkeypatch.setattr(write_files, "converter_python", lambda: "python")
    monkeypatch.setattr(write_files, "convert", convert)
    batch = torch.from_numpy(inputs(images.train, images, 8))
    model = build("lenet5", in_channels=3, image_size=32)
    sizes = write_files.write_files(model, tmp_path, "net", (3, 32, 32), batch)
    assert asked == [["float16", "int8"]] and sizes["net.int8.tflite"] == 4


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{", "net.json is damaged"),
        ("{}", "net.json lacks classes, mean, std"),
        ('"classes mean std"', "net.json is damaged: it holds no object"),
        ('{"classes": 3, "mean": [0], "std": [1]}', "classes must be a list"),
        ('{"classes": ["a"], "mean": 5, "std": [1]}', "mean must be a list"),
        ('{"classes": ["a"], "mean": [], "std": [1]}', "mean must be a list"),
        ('{"classes": ["a"], "mean": ["0"], "std": [1]}', r"net\.json: a mean must be a finite"),
        ('{"classes": ["a"], "mean": [0], "std": [0]}', r"net\.json: a std must be positive"),
        ('{"classes": ["a"], "mean": [0], "std": [NaN]}', r"net\.json: a std must be positive"),
        ('{"classes": ["a"], "mean": [0, 0], "std": [1]}', "mean and std differ in length"),
    ],
)
def test_a_damaged_description_is_named(tmp_path, text, words):
    (tmp_path / "net.json").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_description(tmp_path / "net.onnx")
