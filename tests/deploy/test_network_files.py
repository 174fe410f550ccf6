"""Networks in files and images that do not fit them: refused in words, whatever the task."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from image_folders import pixels, write_folder

from squeeze_utils.compress.sqz.container import save_sqz
from squeeze_utils.deploy import network_files, optional_parts
from squeeze_utils.deploy.runners import Runner
from squeeze_utils.models import build

SMALL = {"in_channels": 1, "image_size": 48, "width": 0.25}


@pytest.fixture
def three_classes(tmp_path):
    """A network that tells three classes apart, of colour pictures of 8 pixels."""
    torch.manual_seed(0)
    model = build("lenet_300_100", num_classes=3, in_channels=3, image_size=8)
    save_sqz(model, tmp_path / "three.sqz")
    return tmp_path / "three.sqz"


def folder_of(root, *classes):
    for place, name in enumerate(classes):
        write_folder(root / name, pixels(10, seed=place))
    return root


@pytest.mark.parametrize("classes", [("cat",), ("cat", "dog")])
def test_pictures_of_fewer_classes_do_not_calibrate(
    three_classes, tmp_path, says, classes, monkeypatch
):
    monkeypatch.setattr(optional_parts, "missing", dict)  # a converter that lacks is said first
    pets, out = folder_of(tmp_path / "pets", *classes), tmp_path / "out.sqz"
    said = says("compress", three_classes, "--data", pets, "--target-bytes", 20_000, "-o", out)
    assert f"the network tells 3 classes apart, {pets} has {len(classes)}" in said
    assert "the network tells 3" in says("deploy", three_classes, "--data", pets, "-o", tmp_path)
    assert not out.exists() and not list(tmp_path.glob("*.onnx"))


def test_pictures_of_as_many_classes_do(three_classes, tmp_path):
    pets = folder_of(tmp_path / "pets", "cat", "dog", "eel")
    found = network_files.calibration_batch(network_files.torch_network(three_classes), pets, 9)
    assert found.shape == (9, 3, 8, 8)


def test_a_network_for_imagenet_has_one_size(tmp_path, says, monkeypatch):
    monkeypatch.setattr(optional_parts, "missing", dict)  # a converter that lacks is said first
    path, out = tmp_path / "net.sqz", tmp_path / "out.sqz"
    save_sqz(build("squeezenet1_1", width=0.125), path)
    wanted = "a network for ImageNet has one size of pictures: leave the size out"
    for arguments in (
        ("compress", path, "--lossless", "-o", out),
        ("compress", path, "--data", tmp_path, "--target-bytes", 9_000, "-o", out),
        ("deploy", path, "-o", tmp_path / "files"),
        ("evaluate", path, tmp_path),
        ("classify", path, tmp_path / "one.png"),
    ):
        assert wanted in says(*arguments, "--size", 64)
    assert [file.name for file in tmp_path.iterdir()] == ["net.sqz"]


@pytest.mark.parametrize(
    ("name", "classes", "task", "data"),
    [("segmenter", 11, "segmentation", "digit_masks"), ("detector", 10, "detection", "digits")],
)
def test_only_networks_that_name_pictures_classify(tmp_path, says, name, classes, task, data):
    path, (picture,) = tmp_path / "net.sqz", [tmp_path / "one" / "000.png"]
    save_sqz(build(name, num_classes=classes, **SMALL), path)
    write_folder(tmp_path / "one", pixels(1, channels=1))
    wanted = f"net.sqz is a network for {task}; networks that name the class of a whole picture"
    assert wanted in says("classify", path, picture, "--data", data)
    assert wanted in says("evaluate", path, "digits")
    out = tmp_path / "out.sqz"
    said = says("compress", path, "--data", "digits", "--target-bytes", 9_000, "-o", out)
    assert f"the network is made for {task}, digits has labels for classification" in said


def test_a_file_of_another_runtime_shows_its_task_by_its_output(tmp_path, says, monkeypatch):
    def run(images):
        return np.zeros((len(images), 10, 48, 48), dtype=np.float32)

    runner = Runner("net", 1, None, run, (1, 48, 48))
    monkeypatch.setattr(network_files, "open_runner", lambda path: runner)
    write_folder(tmp_path / "one", pixels(1, channels=1))
    picture, wanted = tmp_path / "one" / "000.png", "net.onnx gives 10 x 48 x 48 numbers"
    assert wanted in says("classify", tmp_path / "net.onnx", picture, "--data", "digits")
    assert wanted in says("evaluate", tmp_path / "net.onnx", "digits")
