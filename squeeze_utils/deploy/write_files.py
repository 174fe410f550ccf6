"""The files of a network for other runtimes, and a JSON that says how to use them."""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from squeeze_utils.base.checks import real_number
from squeeze_utils.base.files import write_atomically
from squeeze_utils.data import ImageSet
from squeeze_utils.deploy.litert import convert
from squeeze_utils.deploy.onnx_files import export_onnx, quantize_onnx
from squeeze_utils.deploy.onnx_size import halve_onnx
from squeeze_utils.deploy.optional_parts import converter_python

FORMS = ("float16.onnx", "int8.onnx", "float16.tflite", "int8.tflite")
CALIBRATION = 256  # training images that set the ranges of int8 files
COLOURS = {1: "grey", 3: "RGB"}  # by the number of channels
OUTPUTS = {  # of one image, by the task
    "classification": "one logit for each class",
    "segmentation": "one logit for each class at each pixel: classes x height x width",
    "detection": "numbers for each cell, 5 + classes x rows x columns: the logit that it holds an "
    "object, four that move and stretch its anchor to a box, and one logit for each class",
}


def write_files(
    model: nn.Module,
    target: Path,
    name: str,
    shape: tuple[int, int, int],
    calibration_batch: Tensor | None = None,
) -> dict[str, int]:
    """Write `NAME.FORM` into a folder for every form that can be made here; return their bytes.

    `shape` is (channels, height, width) of one image. `calibration_batch` are training images
    (n, channels, height, width) as the network takes them. Without it there are no int8 files,
    without LiteRT's converter no `.tflite`.
    """
    places = {form: target / f"{name}.{form}" for form in FORMS}
    made = ["float16.onnx"] if calibration_batch is None else ["float16.onnx", "int8.onnx"]
    with tempfile.TemporaryDirectory() as temporary:
        floats = Path(temporary) / "float32.onnx"
        export_onnx(model, floats, shape)
        halve_onnx(floats, places["float16.onnx"])
        if calibration_batch is not None:
            quantize_onnx(floats, places["int8.onnx"], calibration_batch)
    if converter_python() is not None:
        lite = [form.replace("onnx", "tflite") for form in made]
        convert(model, {f.split(".")[0]: places[f] for f in lite}, shape, calibration_batch)
        made += lite
    return {places[form].name: places[form].stat().st_size for form in made}


def write_description(
    target: Path,
    name: str,
    images: ImageSet,
    shape: tuple[int, int, int],
    checkpoint: dict[str, str],
) -> Path:
    """Write `NAME.json` beside the files of a network that takes images as in `images`.

    `checkpoint` is what is known about the weights. Every form that is there is listed. What comes
    in and out follows from the number of channels and from the labels of `images`.
    """
    files = [path for form in FORMS if (path := target / f"{name}.{form}").is_file()]
    shown = min(CALIBRATION, len(images.train))
    colours = COLOURS.get(shape[0], f"{shape[0]} channels")
    content = {
        "name": name,
        "classes": list(images.classes),
        "input_shape": list(shape),
        "mean": list(images.mean),
        "std": list(images.std),
        "input": f"{colours}, value / 255, minus mean, divided by std, channels first",
        "output": OUTPUTS[images.task],
        "calibration": f"{shown} training images of {images.name}, {images.fingerprint}",
        "checkpoint": checkpoint,
        "files": {path.name: _facts(path) for path in files},
    }
    path = target / f"{name}.json"
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())
    return path


def read_description(path: Path) -> dict[str, Any]:
    """The JSON beside a deployment file, or in the folder `deploy` beside a checkpoint."""
    file = f"{path.name.partition('.')[0]}.json"
    for place in (path.with_name(file), path.parent / "deploy" / file):
        if place.is_file():
            break
    else:
        raise FileNotFoundError(f"there is no {file} beside {path.name}: name the image set")
    try:
        about = json.loads(place.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{file} is damaged: {error}") from error
    _check_description(about, file)
    return about


def _check_description(about: Any, file: str) -> None:
    """Refuse what does not say how a picture is normalised and what the classes are called."""
    if not isinstance(about, dict):
        raise ValueError(f"{file} is damaged: it holds no object")
    needed = ("classes", "mean", "std")
    if lacking := [key for key in needed if key not in about]:
        raise ValueError(f"{file} lacks {', '.join(lacking)}")
    for key in needed:
        if not isinstance(about[key], list) or not about[key]:
            raise ValueError(f"{file} is damaged: {key} must be a list")
    for mean in about["mean"]:
        real_number(f"{file}: a mean", mean)
    for std in about["std"]:
        real_number(f"{file}: a std", std, above=0)
    if len(about["mean"]) != len(about["std"]):
        raise ValueError(f"{file} is damaged: mean and std differ in length")


def _facts(path: Path) -> dict[str, Any]:
    content = path.read_bytes()
    return {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
