"""The program that runs in the converter's own environment: torch network to LiteRT files.

It is started by `litert.convert` with the folder of a job: `model.safetensors` (float32 weights,
the network's spec in its metadata), `images.npy` (calibration images as the network takes them,
none for a float file alone). It writes `float32.tflite`, `float16.tflite` and `int8.tflite`.
Only torch, litert-torch and safetensors are needed, so of the package only the networks.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from ai_edge_litert.tools import flatbuffer_utils
from ai_edge_quantizer import qtyping, quantizer, recipe
from ai_edge_quantizer.calibrator import Calibrator
from ai_edge_quantizer.recipe_manager import RecipeManager
from litert_torch import convert
from safetensors import safe_open
from torch import nn

from squeeze_utils.deploy.for_inference import relu_first
from squeeze_utils.models import ModelSpec


def read_network(path: Path) -> tuple[nn.Module, tuple[int, ...]]:
    """The network of a job, in evaluation mode, and the shape of one of its images."""
    with safe_open(path, framework="pt") as file:
        about = dict(file.metadata())
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    model = ModelSpec.from_dict(json.loads(about["spec"])).build()
    model.load_state_dict(tensors)
    return relu_first(model.eval()), tuple(json.loads(about["input_shape"]))


def short_names(floats: bytes) -> bytes:
    """The same file with tensors called t0, t1, ...: paths of modules make up 37 kB of names."""
    content = flatbuffer_utils.read_model_from_bytearray(bytearray(floats))
    (graph,) = content.subgraphs
    for place, tensor in enumerate(graph.tensors):
        tensor.name = f"t{place}"
    return bytes(flatbuffer_utils.convert_object_to_bytearray(content))


def wider(kept: dict[str, Any], new: dict[str, Any]) -> dict[str, Any]:
    """The smallest minimum and the largest maximum seen so far.

    The quantizer's own rule is a moving average of both, which clips rare large values: logits.
    """
    merged = dict(kept)
    merged["min"] = np.minimum(kept["min"], new["min"])
    merged["max"] = np.maximum(kept["max"], new["max"])
    return merged


def int8(floats: bytes, images: np.ndarray) -> bytes:
    """The float file with int8 weights (a scale for each channel) and int8 activations."""
    plan = recipe.static_wi8_ai8()
    work = quantizer.Quantizer(floats, plan)
    manager = RecipeManager()
    manager.load_quantization_recipe(plan)
    watch = Calibrator(floats, num_threads=2, qsv_update_func=wider)
    (signature,) = watch.get_signature_list()
    watch.calibrate({signature: [{"args_0": image[None]} for image in images]}, manager)
    return bytes(work.quantize(watch.get_model_qsvs()).quantized_model)


def float16(floats: bytes) -> bytes:
    """The float file with its weights kept in 16 bits; it still computes in 32."""
    work = quantizer.Quantizer(floats)
    weights = qtyping.TensorQuantizationConfig(num_bits=16, dtype=qtyping.TensorDataType.FLOAT)
    config = qtyping.OpQuantizationConfig(
        weight_tensor_config=weights,
        compute_precision=qtyping.ComputePrecision.FLOAT,
        explicit_dequantize=True,
    )
    for operation in (qtyping.TFLOperationName.CONV_2D, qtyping.TFLOperationName.FULLY_CONNECTED):
        work.update_quantization_recipe(".*", operation, config, "float_casting")
    return bytes(work.quantize().quantized_model)


def main(folder: Path) -> None:
    """Do the job in `folder`."""
    model, shape = read_network(folder / "model.safetensors")
    with torch.no_grad():
        convert(model, (torch.zeros(1, *shape),)).export(str(folder / "float32.tflite"))
    floats = short_names((folder / "float32.tflite").read_bytes())
    (folder / "float32.tflite").write_bytes(floats)
    (folder / "float16.tflite").write_bytes(float16(floats))
    images = folder / "images.npy"
    if images.is_file():
        batch = np.load(images, allow_pickle=False)
        (folder / "int8.tflite").write_bytes(int8(floats, batch))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
