from __future__ import annotations

import numpy as np
import pytest
import torch

from squeeze_utils.deploy import litert, optional_parts
from squeeze_utils.deploy.runners import open_runner
from squeeze_utils.models import build


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


def made_up_converter(script, tmp_path, monkeypatch):
    """An environment whose Python is a shell script."""
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    monkeypatch.setenv("SQUEEZE_CONVERTER", str(tmp_path))


def test_the_converter_sees_this_package_and_nothing_beside_it(tmp_path, monkeypatch):
    script = 'ls "$PYTHONPATH" "$PYTHONPATH"/squeeze_utils/deploy/litert_converter.py > "$3"/'
    made_up_converter(f"{script}float32.tflite", tmp_path, monkeypatch)
    litert.convert(build("lenet5"), {"float32": tmp_path / "seen"}, (1, 28, 28))
    seen = (tmp_path / "seen").read_text().splitlines()  # the file, an empty line, the folder
    assert seen[0].endswith("litert_converter.py")
    assert set(seen[3:]) == {"squeeze_utils", "model.safetensors", "float32.tflite"}


def test_a_converter_that_fails_is_quoted_and_nothing_is_written(tmp_path, monkeypatch):
    made_up_converter("echo 'it went wrong' >&2\nexit 3", tmp_path, monkeypatch)
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
