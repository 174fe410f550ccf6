"""LiteRT files from torch networks, by way of the converter's own environment.

The converter wants another torch than the series has. So it lives in an environment of its own
(`make converter`), gets its job as a folder of plain files, and leaves its results there.
"""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
from torch import Tensor, nn

from squeeze_utils.base import paths
from squeeze_utils.base.files import write_atomically
from squeeze_utils.deploy.for_inference import without_norm
from squeeze_utils.deploy.optional_parts import CONVERTER_HOW, PartMissing, converter_python

FORMS = ("float32", "float16", "int8")


def convert(
    model: nn.Module,
    places: dict[str, Path],
    input_shape: tuple[int, int, int],
    calibration_batch: Tensor | None = None,
) -> dict[str, int]:
    """Write LiteRT files of a network that `build` made; return the bytes of each.

    `places` says where to write which form: "float32", "float16" (weights kept in 16 bits) or
    "int8" (weights, activations, input and output), which needs training images as the network
    takes them. A file takes one image of `input_shape` (channels, height, width) at a time.
    """
    unknown = sorted(set(places) - set(FORMS))
    if unknown or not places:
        raise ValueError(f"forms are {', '.join(FORMS)}; got {', '.join(unknown) or 'none'}")
    if "int8" in places and calibration_batch is None:
        raise ValueError("an int8 file needs a calibration_batch: training images, normalised")
    if getattr(model, "spec", None) is None:
        raise ValueError("only a network that build() made can be converted: it carries a spec")
    python = converter_python()
    if python is None:
        raise PartMissing(f"LiteRT's converter is not there: {CONVERTER_HOW}")
    with tempfile.TemporaryDirectory() as folder:
        _write_job(Path(folder), without_norm(model), input_shape, calibration_batch)
        _run(python, Path(folder))
        contents = {form: (Path(folder) / f"{form}.tflite").read_bytes() for form in places}
    for form, content in contents.items():
        write_atomically(Path(places[form]), content)
    return {form: len(content) for form, content in contents.items()}


def _write_job(
    folder: Path, model: nn.Module, shape: tuple[int, int, int], images: Tensor | None
) -> None:
    from safetensors.torch import save_file

    about = {"spec": json.dumps(model.spec.as_dict()), "input_shape": json.dumps(shape)}
    tensors = {name: tensor.contiguous() for name, tensor in model.state_dict().items()}
    save_file(tensors, folder / "model.safetensors", about)
    if images is not None:
        np.save(folder / "images.npy", images.detach().cpu().float().contiguous().numpy())


def _run(python: Path, folder: Path) -> None:
    """Run the converter; its Python path has this package alone.

    Beside an installed package lies another torch.
    """
    command = [python, "-m", "squeeze_utils.deploy.litert_converter", folder]
    (folder / paths.PACKAGE.name).symlink_to(paths.PACKAGE, target_is_directory=True)
    there = {**os.environ, "PYTHONPATH": str(folder)}
    done = subprocess.run(command, capture_output=True, text=True, env=there)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or ["no message"]
        raise RuntimeError(f"the converter failed: {lines[-1]}")
