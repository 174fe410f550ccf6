from __future__ import annotations

import sys

import numpy as np
import pytest
import torch
from tiny import tiny_set

from squeeze_utils.compress.sqz import container
from squeeze_utils.data.sets import load_images
from squeeze_utils.deploy import committed_files, optional_parts, scoring
from squeeze_utils.deploy.runners import (
    ModelFileError,
    Runner,
    from_grid,
    open_runner,
    to_grid,
    torch_runner,
)
from squeeze_utils.models import build
from squeeze_utils.models.checkpoint_files import load_model, save_model

CHECKPOINT = committed_files.NAMES[1]  # the smaller one


def images(n: int = 4) -> np.ndarray:
    """Digits in three equal channels: unlike noise, in the range that the int8 files know."""
    digits = load_images("digits", 32)
    return np.repeat(scoring.inputs(digits.test, digits, n), 3, axis=1)


@pytest.fixture(scope="module")
def logits() -> np.ndarray:
    """What torch makes of the images."""
    model, _ = load_model(CHECKPOINT)
    return torch_runner(model, "torch")(images())


def need_runtime(form: str) -> None:
    pytest.importorskip("onnxruntime" if form.endswith("onnx") else "ai_edge_litert")


@pytest.mark.parametrize("form", committed_files.FORMS)
@pytest.mark.parametrize("name", committed_files.NAMES)
def test_every_committed_file_computes_what_its_checkpoint_does(form, name):
    need_runtime(form)
    model, _ = load_model(name)
    expected = torch_runner(model, "torch")(images(8))
    runner = open_runner(committed_files.deployment_file(name, form), threads=1)
    found = scoring.agreement(expected, runner(images(8)))
    assert runner.batch == (None if form.endswith("onnx") else 1)
    assert found["relative"] < (0.005 if "16" in form else 0.1)


def test_opening_a_litert_file_says_nothing_and_keeps_standard_error(capfd):
    need_runtime("tflite")
    open_runner(committed_files.deployment_file(CHECKPOINT, "int8.tflite"))(images(1))
    assert capfd.readouterr().err == ""
    sys.stderr.write("still here")
    sys.stderr.flush()
    assert capfd.readouterr().err == "still here"


@pytest.mark.parametrize("suffix", [".sqz", ".safetensors"])
def test_torch_files_run_too_in_either_layout(tmp_path, logits, suffix):
    model, _ = load_model(CHECKPOINT)
    path = tmp_path / f"net{suffix}"
    write = container.save_sqz if suffix == ".sqz" else save_model
    write(model, path)
    for layout in (False, True):
        found = open_runner(path, channels_last=layout)(images())
        np.testing.assert_allclose(found, logits, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("content", ["empty", "text", "half"])
@pytest.mark.parametrize(
    "suffix", [".onnx", ".tflite", ".sqz", ".safetensors"], ids=lambda suffix: suffix[1:]
)
def test_a_file_that_is_no_model_is_named(tmp_path, suffix, content):
    path = tmp_path / f"broken{suffix}"
    if content == "half":
        path.write_bytes(whole(tmp_path, suffix)[: 1000 * 100])
    else:
        path.write_bytes(b"" if content == "empty" else b"this is no model" * 99)
    with pytest.raises(ModelFileError, match="broken") as caught:
        open_runner(path)
    assert str(tmp_path) not in str(caught.value)


def whole(folder, suffix: str) -> bytes:
    """A file of this kind that works."""
    if suffix in (".onnx", ".tflite"):
        need_runtime(suffix)
        return committed_files.deployment_file(CHECKPOINT, f"int8{suffix}").read_bytes()
    if suffix == ".safetensors":
        return (committed_files.folder().parent / f"{CHECKPOINT}.safetensors").read_bytes()
    container.save_sqz(load_model(CHECKPOINT)[0], folder / "whole.sqz")
    return (folder / "whole.sqz").read_bytes()


def test_other_files_and_missing_ones_are_refused(tmp_path):
    (tmp_path / "photo.png").write_bytes(b"x")
    with pytest.raises(ModelFileError, match=r"photo\.png is none of \.onnx, \.tflite"):
        open_runner(tmp_path / "photo.png")
    with pytest.raises(FileNotFoundError, match=r"there is no file gone\.onnx"):
        open_runner(tmp_path / "gone.onnx")


@pytest.mark.parametrize("threads", [0, -1, 1.5, True])
def test_a_wrong_number_of_threads_is_refused(threads):
    with pytest.raises(ValueError, match="threads must be a whole number"):
        open_runner(committed_files.deployment_file(CHECKPOINT, "int8.onnx"), threads)


@pytest.mark.parametrize("wrong", [np.zeros((3, 32, 32)), np.zeros((0, 3, 32, 32))])
def test_what_is_no_batch_of_images_is_refused(wrong):
    model = build("lenet5", in_channels=3, image_size=32)
    with pytest.raises(ValueError, match=r"images must be \(n, c, h, w\)"):
        torch_runner(model, "torch")(wrong)


def test_images_of_another_size_than_a_file_takes_are_named():
    need_runtime(".onnx")
    runner = open_runner(committed_files.deployment_file(CHECKPOINT, "int8.onnx"))
    with pytest.raises(ValueError, match=r"int8\.onnx takes no images of 3 x 8 x 8: "):
        runner(np.zeros((1, 3, 8, 8), np.float32))


def test_a_fixed_batch_takes_several_images_one_after_another():
    seen = []

    def run(x: np.ndarray) -> np.ndarray:
        seen.append(len(x))
        return x.sum((1, 2, 3))[:, None]

    runner = Runner("two", 1, 2, run)
    x = images(6)
    np.testing.assert_allclose(runner(x)[:, 0], x.sum((1, 2, 3)), rtol=1e-4)
    assert seen == [2, 2, 2]
    with pytest.raises(ValueError, match="takes 2 images at a time, got 3"):
        runner(x[:3])


def test_numbers_go_to_the_grid_and_back():
    details = {"dtype": np.int8, "quantization": (0.5, -3)}
    values = np.array([-1000, -0.26, 0, 0.2, 0.3, 62, 1000], np.float32)
    codes = to_grid(values, details)
    assert codes.tolist() == [-128, -4, -3, -3, -2, 121, 127] and codes.dtype == np.int8
    assert from_grid(codes, details).tolist() == [-62.5, -0.5, 0, 0, 0.5, 62, 65]
    plain = {"dtype": np.float32}
    assert to_grid(values, plain) is values and from_grid(values, plain) is values


@pytest.mark.parametrize("form", ["int8.onnx", "int8.tflite"])
def test_a_missing_runtime_is_named_with_the_way_to_get_it(monkeypatch, form):
    name = {"int8.onnx": "onnxruntime", "int8.tflite": "ai_edge_litert"}[form]
    for module in [one for one in sys.modules if one.split(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        optional_parts.PartMissing, match=f"{name} is not installed: python -m pip install"
    ):
        open_runner(committed_files.deployment_file(CHECKPOINT, form))


def test_missing_parts_are_listed(monkeypatch, tmp_path):
    monkeypatch.setenv("SQUEEZE_CONVERTER", str(tmp_path))
    monkeypatch.setattr(optional_parts, "has", lambda name: name != "onnxruntime")
    assert optional_parts.missing() == {
        "onnxruntime": "python -m pip install onnxruntime",
        "LiteRT's converter": "make converter (an environment of its own, about 2 GB)",
    }


def test_accuracy_and_agreement_are_what_they_say():
    tiny = tiny_set()
    perfect = np.eye(3, dtype=np.float32)[tiny.test.labels.numpy()]
    assert scoring.top1(perfect, tiny.test) == 100
    wrong = perfect.copy()
    wrong[:6] = np.roll(wrong[:6], 1, axis=1)
    assert scoring.top1(wrong, tiny.test) == 75
    found = scoring.agreement(2 * perfect, 2 * wrong)
    assert found == {"same_answer": 75.0, "difference": 2.0, "relative": 1.0}
    with pytest.raises(ValueError, match="cannot be compared"):
        scoring.agreement(perfect, wrong[:3])
    with pytest.raises(ValueError, match="3 rows of logits for 24 images"):
        scoring.top1(wrong[:3], tiny.test)


def test_logits_of_a_split_are_those_of_its_images_in_order():
    tiny = tiny_set()
    runner = Runner("mean", 1, None, lambda x: x.mean((2, 3)))
    found = scoring.logits_of(runner, tiny.test, tiny)
    np.testing.assert_allclose(found, scoring.inputs(tiny.test, tiny).mean((2, 3)), rtol=1e-5)


def test_torch_counts_its_threads():
    before = torch.get_num_threads()
    try:
        runner = torch_runner(build("lenet5"), "torch", threads=1)
        assert runner.threads == torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)
