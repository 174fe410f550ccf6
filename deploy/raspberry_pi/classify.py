#!/usr/bin/env python3
"""Classify pictures, or what a camera sees, with an ONNX or a LiteRT file: one file, no torch.

It needs Python 3.11 or newer, numpy, pillow, and the runtime of the model's kind: onnxruntime
for .onnx, ai-edge-litert for .tflite. Beside the model NAME.int8.tflite lies NAME.json, which says
what it was trained on: "classes", "input_shape" [channels, height, width], "mean", "std".

    python3 classify.py squeezenet-cifar10.int8.tflite picture.jpg folder/
    python3 classify.py squeezenet-cifar10.int8.tflite --camera
"""

from __future__ import annotations

import argparse
import importlib
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm")
WARM_UP = 3


class Problem(Exception):
    """Something the user can put right; the message says what and how."""


@dataclass(frozen=True)
class Card:
    """What a model was trained on: square images of `size` pixels, with one mean a channel."""

    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    size: int


def read_card(model: Path) -> Card:
    """The JSON file that lies beside a model: NAME.json for NAME.int8.onnx."""
    path = model.with_name(f"{model.name.partition('.')[0]}.json")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        classes = tuple(map(str, content["classes"]))
        mean, std = (tuple(map(float, content[key])) for key in ("mean", "std"))
        channels, height, width = map(int, content["input_shape"])
    except FileNotFoundError:
        raise Problem(f"{model.name} needs {path.name} beside it: copy that file too") from None
    except (ValueError, TypeError, KeyError) as error:
        raise Problem(
            f"{path.name} needs classes, input_shape, mean and std; problem: {error!r}"
        ) from None
    if channels not in (1, 3) or not len(mean) == len(std) == channels or min(std) <= 0:
        raise Problem(f"{path.name}: mean and std need a number for each of 1 or 3 channels")
    if height != width or height < 1:
        raise Problem(f"{path.name}: input_shape must be square, not {height} x {width}")
    return Card(classes, mean, std, height)


# --- pictures -----------------------------------------------------------------------------------


def read_picture(path: Path) -> Image.Image:
    """A picture, turned the way its camera was held."""
    try:
        with Image.open(path) as picture:
            return ImageOps.exif_transpose(picture)
    except FileNotFoundError:
        raise Problem(f"there is no file {path}") from None
    except UnidentifiedImageError:
        raise Problem(f"{path} is not a picture (known are {' '.join(SUFFIXES)})") from None
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise Problem(f"{path} cannot be read as a picture: {error}") from None


def on_white(picture: Image.Image) -> Image.Image:
    """The picture in RGB; what is transparent becomes white."""
    if "A" not in picture.getbands() and "transparency" not in picture.info:
        return picture.convert("RGB")
    picture = picture.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def prepare(picture: Image.Image, card: Card) -> np.ndarray:
    """The largest centred square, at the model's size and normalised: float32 (1, c, size, size).

    A picture that has the size already is not resampled, so an image of the test split arrives
    exactly as the network saw it.
    """
    side = min(picture.size)
    left, top = (picture.width - side) // 2, (picture.height - side) // 2
    square = on_white(picture.crop((left, top, left + side, top + side)))
    small = square.resize((card.size, card.size), Image.Resampling.BILINEAR)
    pixels = np.asarray(small if len(card.mean) == 3 else small.convert("L"), dtype=np.float64)
    values = (pixels.reshape(card.size, card.size, -1) / 255 - card.mean) / card.std
    return np.ascontiguousarray(values.transpose(2, 0, 1)[None], dtype=np.float32)


def pictures_in(paths: list[Path]) -> list[Path]:
    """Files as they are named; of a folder, every picture in it and below, sorted by name."""
    found: list[Path] = []
    for path in paths:
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(p for p in path.rglob("*") if p.suffix.lower() in SUFFIXES)
        if not inside:
            raise Problem(f"the folder {path} holds no picture ({' '.join(SUFFIXES)})")
        found += inside
    return found


def camera_frames(number: int) -> Iterator[Image.Image]:
    """Frames without end: from libcamera (picamera2) if it is there, else V4L2 through OpenCV."""
    try:
        from picamera2 import Picamera2
    except ImportError:
        yield from _opencv_frames(number)
        return
    try:
        camera = Picamera2(number)
    except (IndexError, RuntimeError) as error:
        raise Problem(f"libcamera finds no camera {number}: {error}") from None
    # The name is the order of the bytes in a word, read from the right: the array is R, G, B.
    main = {"format": "BGR888", "size": (640, 480)}
    camera.configure(camera.create_video_configuration(main=main))
    camera.start()
    try:
        while True:
            yield Image.fromarray(camera.capture_array())
    finally:
        camera.stop()


def _opencv_frames(number: int) -> Iterator[Image.Image]:
    try:
        import cv2
    except ImportError:
        raise Problem(
            "no camera library: sudo apt install python3-picamera2 (Raspberry Pi OS; make the "
            "environment with --system-site-packages), or pip install opencv-python-headless "
            "for a USB camera"
        ) from None
    camera = cv2.VideoCapture(number, cv2.CAP_V4L2)
    try:
        while True:
            there, frame = camera.read()
            if not there:
                raise Problem(f"camera {number} (/dev/video{number}) gives no picture")
            yield Image.fromarray(np.ascontiguousarray(frame[:, :, ::-1]))  # OpenCV has B, G, R
    finally:
        camera.release()


# --- runtimes -----------------------------------------------------------------------------------


@dataclass(frozen=True)
class Network:
    """A model ready to run: float32 (1, channels, height, width) in, float32 (classes,) out."""

    runtime: str
    run: Callable[[np.ndarray], np.ndarray]


def open_model(path: Path, threads: int) -> Network:
    """Load an .onnx or .tflite file."""
    if path.suffix == ".sqz":
        raise Problem("decoding a .sqz file needs torch: turn it into .onnx on another computer")
    kinds = {".onnx": _open_onnx, ".tflite": _open_litert}
    if path.suffix not in kinds:
        raise Problem(f"{path.name} is neither an .onnx nor a .tflite file")
    if not path.is_file():
        raise Problem(f"there is no file {path}")
    return kinds[path.suffix](path, threads)


def _library(module: str, package: str) -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        bits = "" if sys.maxsize > 2**32 else " (this Python has 32 bits: it has no such package)"
        raise Problem(
            f"{package} cannot be imported ({error}): python3 -m pip install {package}{bits}"
        ) from None


def _version(package: str) -> str:
    from importlib import metadata

    return f"{package} {metadata.version(package)}"


def _open_onnx(path: Path, threads: int) -> Network:
    library = _library("onnxruntime", "onnxruntime")
    options = library.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    try:
        session = library.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # its classes share no base
        raise Problem(f"{path.name} is not an ONNX model: {error}") from None
    name = session.get_inputs()[0].name
    return Network(_version("onnxruntime"), lambda image: session.run(None, {name: image})[0][0])


def _open_litert(path: Path, threads: int) -> Network:
    library = _library("ai_edge_litert.interpreter", "ai-edge-litert")
    try:
        interpreter = library.Interpreter(model_path=str(path), num_threads=threads)
        interpreter.allocate_tensors()
    except (ValueError, RuntimeError) as error:
        raise Problem(f"{path.name} is not a LiteRT model: {error}") from None
    given, made = interpreter.get_input_details()[0], interpreter.get_output_details()[0]

    def run(image: np.ndarray) -> np.ndarray:
        interpreter.set_tensor(given["index"], to_grid(image, given))
        interpreter.invoke()
        return from_grid(interpreter.get_tensor(made["index"])[0], made)

    return Network(_version("ai-edge-litert"), run)


def to_grid(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """Floats as an input takes them: round(x / scale) + zero, clamped, where it is int8."""
    if details["dtype"] == np.float32:
        return values
    scale, zero = details["quantization"]
    limits = np.iinfo(details["dtype"])
    return np.clip(np.round(values / scale) + zero, limits.min, limits.max).astype(details["dtype"])


def from_grid(values: np.ndarray, details: dict[str, Any]) -> np.ndarray:
    """An output as floats: scale (q - zero) where it is int8."""
    if details["dtype"] == np.float32:
        return values
    scale, zero = details["quantization"]
    return np.float32(scale) * (values.astype(np.float32) - zero)


# --- the command --------------------------------------------------------------------------------


def probabilities(logits: np.ndarray) -> np.ndarray:
    """Softmax of (classes,) logits."""
    powers = np.exp(logits - logits.max())
    return powers / powers.sum()


def timed(network: Network, image: np.ndarray, repeat: int) -> tuple[np.ndarray, float]:
    """The logits of an image, and the median milliseconds of `repeat` runs of the network."""
    times = []
    for _ in range(repeat):
        start = time.perf_counter()
        logits = network.run(image)
        times.append(1000 * (time.perf_counter() - start))
    return logits, statistics.median(times)


def line(name: str, logits: np.ndarray, milliseconds: float, card: Card, top: int) -> str:
    """One line of the answer: the likeliest classes, the time, what was classified."""
    shares = probabilities(logits)
    best = np.argsort(-shares, kind="stable")[:top]
    answer = "  ".join(f"{card.classes[k]:<12} {100 * shares[k]:5.1f} %" for k in best)
    return f"{answer}  {milliseconds:8.2f} ms  {name}"


def classify_files(network: Network, card: Card, options: argparse.Namespace) -> int:
    """Print a line for every picture; return how many could not be read."""
    rows, times, bad = [], [], 0
    for path in pictures_in(options.pictures):
        try:
            image = prepare(read_picture(path), card)
        except Problem as problem:
            print(f"error: {problem}", file=sys.stderr)
            bad += 1
            continue
        logits, milliseconds = timed(network, image, options.repeat)
        print(line(str(path), logits, milliseconds, card, options.top))
        rows.append(logits)
        times.append(milliseconds)
    if times:
        many = f"{len(times)} picture{'s' if len(times) > 1 else ''}"
        print(f"{many}, median {statistics.median(times):.2f} ms each")
    if options.logits and not bad:
        np.save(options.logits, np.stack(rows).astype(np.float32))
    elif options.logits:
        print(f"error: {options.logits} was not written: a row is missing", file=sys.stderr)
    return bad


def classify_camera(network: Network, card: Card, options: argparse.Namespace) -> None:
    """Print a line for every frame until Ctrl-C, or until so many were seen."""
    frames = camera_frames(options.camera)
    try:
        for number, frame in enumerate(frames, start=1):
            logits, milliseconds = timed(network, prepare(frame, card), options.repeat)
            print(line(f"frame {number}", logits, milliseconds, card, options.top), flush=True)
            if number == options.frames:
                break
    except KeyboardInterrupt:
        print("stopped")
    finally:
        frames.close()


def _whole(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"needs a whole number, 1 or more, not {text!r}")
    return int(text)


def options_of(arguments: list[str] | None) -> argparse.Namespace:
    """The command line, checked."""
    about = __doc__.partition("\n\n")
    parser = argparse.ArgumentParser(
        description=about[0],
        epilog=about[2],
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("model", type=Path, help="an .onnx or .tflite file with its JSON file beside it")
    add("pictures", type=Path, nargs="*", help="pictures, or folders of pictures")
    add("--camera", type=int, nargs="?", const=0, metavar="N", help="camera N (default 0)")
    add("--frames", type=_whole, metavar="N", help="stop after so many frames of the camera")
    add("--threads", type=_whole, default=1, help="threads of the runtime (default 1)")
    add("--top", type=_whole, default=1, help="how many classes to print (default 1)")
    add("--repeat", type=_whole, default=1, help="print the median time of so many runs")
    add("--logits", type=Path, metavar="FILE.npy", help="write logits (pictures, classes)")
    options = parser.parse_args(arguments)
    if bool(options.pictures) == (options.camera is not None):
        parser.error("name pictures or folders, or --camera")
    if options.camera is not None and options.logits:
        parser.error("--logits goes with pictures, not with --camera")
    return options


def warm_up(network: Network, card: Card, model: Path) -> None:
    """Run a grey image a few times: it fails here if model and JSON file do not belong together."""
    image = np.zeros((1, len(card.mean), card.size, card.size), dtype=np.float32)
    try:
        for _ in range(WARM_UP):
            logits = network.run(image)
    except Exception as error:  # each runtime has classes of its own
        raise Problem(f"{model.name} takes no image {image.shape}: {error}") from None
    if logits.shape != (len(card.classes),):
        raise Problem(
            f"{model.name} gives {logits.shape} numbers for {len(card.classes)} classes: "
            "the JSON file beside it belongs to another model"
        )


def main(arguments: list[str] | None = None) -> int:
    """0: all pictures were classified; 1: some were not, or something lacks; 2: wrong usage."""
    options = options_of(arguments)
    try:
        network, card = open_model(options.model, options.threads), read_card(options.model)
        warm_up(network, card, options.model)
        threads = f"{options.threads} thread{'s' if options.threads > 1 else ''}"
        print(f"{options.model.name} on {network.runtime}, {platform.machine()}, {threads}")
        if options.camera is None:
            return min(1, classify_files(network, card, options))
        classify_camera(network, card, options)
    except Problem as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
