"""One way to run a network, whatever file it comes from: float32 images in, float32 logits out.

torch is imported only for the kinds of file that need it: a program that runs an ONNX or a
LiteRT file starts without it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from squeeze_utils.base.checks import whole_number
from squeeze_utils.deploy.optional_parts import need

KINDS = (".onnx", ".tflite", ".sqz", ".safetensors")


class ModelFileError(ValueError):
    """A file that is no model, or none that this room can run."""


@dataclass(frozen=True)
class Runner:
    """A network ready to run: called with float32 (n, c, h, w), it gives float32 (n, classes).

    `batch` is the only batch size the file takes, None for any. With a fixed batch, more images
    are run one after another. `shape` is (channels, height, width) of one image, where it is known.
    """

    name: str
    threads: int
    batch: int | None
    run: Callable[[np.ndarray], np.ndarray]
    shape: tuple[int, ...] | None = None

    def __call__(self, images: np.ndarray) -> np.ndarray:
        """Scores (n, classes) of images (n, c, h, w), in as many batches as the file needs."""
        images = np.ascontiguousarray(images, dtype=np.float32)
        if images.ndim != 4 or not len(images):
            raise ValueError(f"images must be (n, c, h, w) with n > 0, got {images.shape}")
        if self.batch is None or len(images) == self.batch:
            return self.run(images)
        if len(images) % self.batch:
            raise ValueError(f"this file takes {self.batch} images at a time, got {len(images)}")
        chunks = images.reshape(-1, self.batch, *images.shape[1:])
        return np.concatenate([self.run(chunk) for chunk in chunks])


def open_runner(path: Path | str, threads: int = 1, channels_last: bool = False) -> Runner:
    """A runner for `.onnx`, `.tflite`, `.sqz` or a checkpoint's `.safetensors`.

    `channels_last` is the memory layout of the last two, which torch runs.
    """
    path = Path(path)
    if path.suffix not in KINDS:
        raise ModelFileError(f"{path.name} is none of {', '.join(KINDS)}")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path.name} in {path.parent.name or '.'}")
    whole_number("threads", threads, 1)
    if path.suffix in (".onnx", ".tflite"):
        return (_onnx if path.suffix == ".onnx" else _litert)(path, threads)
    return torch_runner(read_network(path), path.stem, threads, channels_last)


def onnx_session(path: Path, threads: int) -> Any:
    """An ONNX Runtime session on the CPU with so many threads."""
    runtime = need("onnxruntime")
    options = runtime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only: they come back as exceptions
    try:
        return runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the runtime raises classes of its own that share no base
        raise ModelFileError(f"{path.name} is not an ONNX model: {_first_line(error)}") from error


def _onnx(path: Path, threads: int) -> Runner:
    session = onnx_session(path, threads)
    given = session.get_inputs()
    if len(given) != 1 or len(given[0].shape) != 4:
        raise ModelFileError(f"{path.name} does not take one batch of images")
    name, (first, *shape) = given[0].name, given[0].shape
    batch = first if isinstance(first, int) else None

    def run(images: np.ndarray) -> np.ndarray:
        try:
            return session.run(None, {name: images})[0]
        except Exception as error:  # the runtime raises classes of its own that share no base
            raise _takes_no(images.shape[1:], path.name, error) from error

    return Runner(path.stem, threads, batch, run, tuple(shape))


def _litert(path: Path, threads: int) -> Runner:
    library = need("ai_edge_litert.interpreter")
    try:
        with _silence():
            interpreter = library.Interpreter(model_path=str(path), num_threads=threads)
            interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise ModelFileError(f"{path.name} is not a LiteRT model: {_first_line(error)}") from error
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    if len(given["shape"]) != 4:
        raise ModelFileError(f"{path.name} does not take a batch of images")

    def run(images: np.ndarray) -> np.ndarray:
        try:
            interpreter.set_tensor(given["index"], to_grid(images, given))
            interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise _takes_no(images.shape[1:], path.name, error) from error
        return from_grid(interpreter.get_tensor(made["index"]), made)

    batch, *shape = map(int, given["shape"])
    return Runner(path.stem, threads, batch, run, tuple(shape))


@contextmanager
def _silence() -> Iterator[None]:
    """Nothing reaches standard error: LiteRT announces its delegate there, past Python."""
    import os

    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def to_grid(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """Floats as the file's input takes them: round(x / scale) + zero, clamped, where it is int8."""
    if details["dtype"] == np.float32:
        return values
    scale, zero = details["quantization"]
    limits = np.iinfo(details["dtype"])
    return np.clip(np.round(values / scale) + zero, limits.min, limits.max).astype(details["dtype"])


def from_grid(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """The file's output as floats: scale (q - zero) where it is int8."""
    if details["dtype"] == np.float32:
        return values
    scale, zero = details["quantization"]
    return np.float32(scale) * (values.astype(np.float32) - zero)


def torch_runner(model: Any, name: str, threads: int = 1, channels_last: bool = False) -> Runner:
    """A torch network as a runner. The number of threads is torch's own, for the whole process."""
    import torch

    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = model.eval().to(memory_format=layout)
    torch.set_num_threads(threads)

    @torch.inference_mode()
    def run(images: np.ndarray) -> np.ndarray:
        try:
            return model(torch.from_numpy(images).to(memory_format=layout)).numpy()
        except RuntimeError as error:
            raise _takes_no(images.shape[1:], name, error) from error

    return Runner(name, threads, None, run, getattr(model, "input_shape", None))


def read_network(path: Path) -> Any:
    """The torch network in a `.sqz` file or in a checkpoint's `.safetensors`."""
    try:
        if path.suffix == ".sqz":
            from squeeze_utils.compress.sqz.container import load_sqz

            return load_sqz(path)
        from squeeze_utils.models.checkpoint_files import load_model

        return load_model(path.stem, path.parent)[0]
    except ValueError as error:
        about = f"{path.name} is not a .sqz file: " if path.suffix == ".sqz" else ""
        raise ModelFileError(f"{about}{error}") from error


def _takes_no(shape: Sequence[int], name: str, error: Exception) -> ValueError:
    return ValueError(
        f"{name} takes no images of {' x '.join(map(str, shape))}: {_first_line(error)}"
    )


def _first_line(error: Exception) -> str:
    """The first line of a runtime's message, without the folder of the file it names."""
    import re

    line = (str(error).strip().splitlines() or ["no message"])[0]
    return re.sub(r"(?:[A-Za-z]:)?[\\/](?:[^\s\\/]+[\\/])+", "", line)[:200]
