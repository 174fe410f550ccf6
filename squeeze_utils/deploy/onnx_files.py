"""ONNX files: export with any batch size, and static int8 quantization that x86 likes."""

from __future__ import annotations

import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from squeeze_utils.base.files import write_atomically
from squeeze_utils.deploy.for_inference import for_inference
from squeeze_utils.deploy.onnx_size import strip
from squeeze_utils.deploy.optional_parts import need
from squeeze_utils.deploy.runners import onnx_session, read_network

INPUT, OUTPUT = "images", "logits"
CHUNK = 32


def export_onnx(model: nn.Module, path: Path | str, input_shape: tuple[int, int, int]) -> int:
    """Write `model` as an ONNX file that takes a batch of any size; return the file's bytes.

    The network is exported in evaluation and float32, with what `for_inference` does to
    it: batch normalisation folded, ReLUs next to their convolutions. `input_shape` is (channels,
    height, width) of one image.
    """
    need("onnx")
    need("onnxscript")
    network = for_inference(model)
    example = torch.zeros(2, *_checked_shape(model, input_shape))
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            network,
            (example,),
            dynamo=True,
            dynamic_shapes=({0: torch.export.Dim.DYNAMIC},),
            input_names=[INPUT],
            output_names=[OUTPUT],
            verbose=False,
        )
        content = strip(program.model_proto).SerializeToString()
    write_atomically(Path(path), content)
    return len(content)


def sqz_to_onnx(sqz_path: Path, path: Path) -> Path:
    """Decode a `.sqz` file into a float ONNX file; return `path`."""
    model = read_network(sqz_path)
    export_onnx(model, path, model.input_shape)
    return path


def _checked_shape(model: nn.Module, shape: tuple[int, int, int]) -> tuple[int, int, int]:
    sizes = tuple(shape)
    if len(sizes) != 3 or not all(isinstance(n, int) and n > 0 for n in sizes):
        raise ValueError(f"input_shape must be (channels, height, width), got {shape!r}")
    channels = getattr(model, "input_shape", sizes)[0]
    if channels != sizes[0]:
        raise ValueError(f"the network takes {channels} channels; input_shape says {sizes[0]}")
    return sizes


def quantize_onnx(
    float_path: Path | str,
    int8_path: Path | str,
    calibration_batch: Tensor,
    weight_bits: int = 7,
) -> int:
    """Write an int8 version of a float ONNX file; return the new file's bytes.

    Static quantization: the ranges of all activations are read off `calibration_batch`, weights
    get one scale per output channel. Weights are signed and activations unsigned, because that
    is the pair that x86 multiplies in one instruction.

    Without VNNI that instruction adds two products in 16 bits: 255 x 127 x 2 = 64,770 does not
    fit, and the sum saturates without a word. So weights are spread over -64..63 by default,
    which costs no byte and fits: 255 x 64 x 2 = 32,640 < 32,767. A file with 8-bit weights is
    right only on processors that add in 32 bits (VNNI, ARM).

    `float_path` is what `export_onnx` wrote. `calibration_batch` (n, channels, height, width) are
    training images, normalised as the network takes them: the test split must not set the ranges.
    """
    if weight_bits not in (7, 8):
        raise ValueError(f"weight_bits is 7 or 8, got {weight_bits!r}")
    need("onnx")  # which onnxruntime.quantization imports
    quantization = need("onnxruntime.quantization")
    given = onnx_session(Path(float_path), threads=1).get_inputs()[0]
    batch = _checked_batch(calibration_batch, given.shape[1:])
    with tempfile.TemporaryDirectory() as folder, _quiet():
        target = Path(folder) / "int8.onnx"
        quantization.quantize_static(
            str(float_path),
            str(target),
            _reader(given.name, batch),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=True,
            reduce_range=weight_bits == 7,
        )
        content = strip(need("onnx").load(str(target))).SerializeToString()
    write_atomically(Path(int8_path), content)
    return len(content)


def _reader(name: str, batch: Tensor) -> Any:
    """The batch in chunks, as ONNX Runtime's calibration reads it."""
    base = need("onnxruntime.quantization").CalibrationDataReader

    class Chunks(base):
        def __init__(self) -> None:
            self.chunks = iter(batch.split(CHUNK))

        def get_next(self) -> dict[str, Any] | None:
            chunk = next(self.chunks, None)
            return None if chunk is None else {name: chunk.numpy()}

    return Chunks()


def _checked_batch(batch: Tensor, shape: list[int]) -> Tensor:
    if not isinstance(batch, Tensor) or not batch.is_floating_point():
        kind = batch.dtype if isinstance(batch, Tensor) else type(batch).__name__
        raise ValueError(f"calibration_batch must be a float tensor, not {kind}: normalise first")
    if batch.ndim != 4 or list(batch.shape[1:]) != list(shape) or not len(batch):
        expected = ", ".join(map(str, shape))
        raise ValueError(
            f"calibration_batch has the shape {tuple(batch.shape)}; the file takes (n, {expected})"
        )
    if not batch.isfinite().all():
        raise ValueError("calibration_batch holds values that are not finite")
    return batch.detach().cpu().float().contiguous()


@contextmanager
def _quiet() -> Iterator[None]:
    """Exporter and quantizer talk a lot: no word of theirs reaches the reader."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
