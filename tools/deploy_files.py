"""The deployment files of the committed checkpoints: how they are made, and what they say.

Each checkpoint has the forms of `FORMS`, and `NAME.json` beside them: the classes, how an image
is normalised, where the weights come from, and every file with its bytes and its SHA-256. A
program on another machine needs a file and that JSON, and nothing of this package.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from squeeze_utils.base import paths
from squeeze_utils.base.files import write_atomically
from squeeze_utils.data import ImageSet
from squeeze_utils.data.sets import load_images
from squeeze_utils.deploy.litert import convert
from squeeze_utils.deploy.onnx_files import export_onnx, quantize_onnx
from squeeze_utils.deploy.onnx_size import halve_onnx
from squeeze_utils.deploy.optional_parts import converter_python
from squeeze_utils.deploy.scoring import inputs
from squeeze_utils.experiments import checkpoints

NAMES = ("squeezenet-cifar10", "lenet-5-cifar10")
FORMS = ("float16.onnx", "int8.onnx", "float16.tflite", "int8.tflite")
CALIBRATION = 256  # training images


def folder() -> Path:
    """Where the committed files lie."""
    return paths.shipped("checkpoints") / "deploy"


def deployment_file(name: str, form: str) -> Path:
    """The committed file of a checkpoint in one of `FORMS`."""
    if form not in FORMS:
        raise ValueError(f"forms are {', '.join(FORMS)}; got {form!r}")
    path = folder() / f"{name}.{form}"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path.name} is not there: take it from the repository, or make deploy-files"
        )
    return path


def about(name: str) -> dict[str, Any]:
    """What `NAME.json` says about a checkpoint's files."""
    path = folder() / f"{name}.json"
    if not path.is_file():
        known = sorted(file.stem for file in folder().glob("*.json"))
        raise FileNotFoundError(f"no files of {name!r}; there are: {', '.join(known) or 'none'}")
    return json.loads(path.read_text(encoding="utf-8"))


def write(name: str, target: Path | None = None) -> dict[str, int]:
    """Make the files of a checkpoint from its weights and training images; return their bytes.

    The image set (CIFAR-10) sets the ranges of the int8 files. Without LiteRT's converter the
    ONNX files are made, and `.tflite` files that are there already stay.
    """
    target = target or folder()
    model, metadata = checkpoints.load_model(name)
    images = load_images(name.rpartition("-")[2], model.input_shape[1])
    batch = torch.from_numpy(inputs(images.train, images, CALIBRATION))
    _onnx_files(model, name, target, batch)
    if converter_python() is not None:
        paths = {form: target / f"{name}.{form}.tflite" for form in ("float16", "int8")}
        convert(model, paths, tuple(model.input_shape), batch)
    files = [path for form in FORMS if (path := target / f"{name}.{form}").is_file()]
    content = {**_facts(name, model, images), "checkpoint": metadata, "files": _listed(files)}
    text = json.dumps(content, indent=1) + "\n"
    write_atomically(target / f"{name}.json", text.encode())
    return {path.name: path.stat().st_size for path in files}


def sqz_to_onnx(sqz_path: Path | str, path: Path | str) -> Path:
    """Decode a `.sqz` file into a float ONNX file; return `path`."""
    from squeeze_utils.deploy.runners import read_sqz

    model = read_sqz(Path(sqz_path))
    export_onnx(model, path, tuple(model.input_shape))
    return Path(path)


def _onnx_files(model: nn.Module, name: str, target: Path, batch: Tensor) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        floats = Path(temporary) / "float32.onnx"
        export_onnx(model, floats, tuple(model.input_shape))
        halve_onnx(floats, target / f"{name}.float16.onnx")
        quantize_onnx(floats, target / f"{name}.int8.onnx", batch)


def _facts(name: str, model: nn.Module, images: ImageSet) -> dict[str, Any]:
    return {
        "name": name,
        "classes": list(images.classes),
        "input_shape": list(model.input_shape),
        "mean": list(images.mean),
        "std": list(images.std),
        "input": "RGB, value / 255, minus mean, divided by std, channels first",
        "output": "one logit for each class",
        "calibration": f"{CALIBRATION} training images of {images.name}, {images.fingerprint}",
    }


def _listed(files: list[Path]) -> dict[str, Any]:
    return {
        path.name: {
            "bytes": path.stat().st_size,
            "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        }
        for path in files
    }
