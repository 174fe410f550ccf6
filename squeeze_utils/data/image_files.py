"""Folders of image files: list them fast, decode them to one uint8 array."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from tqdm.auto import tqdm

from squeeze_utils.data.types import DataError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm", ".pgm", ".gif", ".tif", ".tiff")
VALIDATION_NAMES = ("validation", "val")
GREY_TOLERANCE = 2  # levels by which R, G, B of a grey picture may differ after lossy coding


@dataclass(frozen=True)
class Listing:
    """Image files: paths, labels (int64), which of them belong to which split, and a key.

    ``spans`` maps the splits that have a folder to (first, end) positions. The key changes when
    any file changes.
    """

    classes: tuple[str, ...]
    paths: list[str]
    labels: np.ndarray
    spans: dict[str, tuple[int, int]]
    key: str


def has_split_folders(folder: Path) -> bool:
    """Is this ``{train,test}/CLASS/*``, rather than ``CLASS/*``?"""
    return (folder / "train").is_dir()


def list_folder(folder: Path, order: Callable[[list[str]], list[str]] = sorted) -> Listing:
    """List ``FOLDER/{train,validation,test}/CLASS/*`` or ``FOLDER/CLASS/*``.

    Classes are numbered by ``order`` of their folder names. The key is a hash of all relative
    names, sizes and modification times, so it costs one ``stat`` per file and no reading.
    """
    splits = _split_folders(folder)
    names = order(_class_names(splits["train"]))
    digest = hashlib.sha256(repr(names).encode())
    paths: list[str] = []
    labels: list[int] = []
    spans: dict[str, tuple[int, int]] = {}
    for split, where in splits.items():
        _check_classes(split, where, names)
        start = len(paths)
        for label, name in enumerate(names):
            if (where / name).is_dir():  # a class without test images is no fault
                found = _list_class(where / name, f"{split}/{name}", digest)
                paths += found
                labels += [label] * len(found)
        spans[split] = (start, len(paths))
    array = np.asarray(labels, dtype=np.int64)
    return Listing(tuple(names), paths, array, spans, digest.hexdigest()[:16])


def _split_folders(folder: Path) -> dict[str, Path]:
    if not folder.is_dir():
        raise DataError(f"missing folder: {folder} (expected a folder of images)")
    if not has_split_folders(folder):
        if (folder / "test").is_dir():
            raise DataError(f"missing folder: {folder / 'train'} (there is a test folder beside)")
        return {"train": folder}
    found = {"train": folder / "train"}
    for name in (*VALIDATION_NAMES, "test"):
        split = "validation" if name in VALIDATION_NAMES else name
        if (folder / name).is_dir() and split not in found:
            found[split] = folder / name
    return found


def _class_names(folder: Path) -> list[str]:
    names = [e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith(".")]
    if not names:
        raise DataError(
            f"no class folders in {folder}: images are expected as {{train,test}}/CLASS/* "
            "or CLASS/*"
        )
    return names


def _check_classes(split: str, folder: Path, known: list[str]) -> None:
    unknown = sorted(set(_class_names(folder)) - set(known))
    if unknown:
        raise DataError(
            f"{split} has classes that train does not have: {', '.join(unknown)} "
            f"(train has {', '.join(known)})"
        )


def _list_class(folder: Path, relative: str, digest: hashlib._Hash) -> list[str]:
    entries = sorted(_image_entries(folder), key=lambda entry: entry.name)
    if not entries:
        raise DataError(f"empty class: {folder} holds no image (accepted: {' '.join(EXTENSIONS)})")
    for entry in entries:
        stat = entry.stat()
        line = f"{relative}/{entry.name}|{stat.st_size}|{stat.st_mtime_ns}\n"
        digest.update(line.encode(errors="surrogateescape"))
    return [entry.path for entry in entries]


def _image_entries(folder: Path) -> Iterable[os.DirEntry]:
    for entry in os.scandir(folder):
        if entry.name.lower().endswith(EXTENSIONS) and not entry.name.startswith("."):
            yield entry


def decode_files(paths: list[str], size: int, channels: int, desc: str) -> np.ndarray:
    """Decode image files to uint8 of shape (n, size, size, channels), in the order given."""
    out = np.empty((len(paths), size, size, channels), dtype=np.uint8)

    def decode(start: int) -> int:
        block = paths[start : start + 256]
        for i, path in enumerate(block, start):
            out[i] = decode_file(path, size, channels)
        return len(block)

    _in_threads(decode, range(0, len(paths), 256), len(paths), desc)
    return out


def decode_file(path: str, size: int, channels: int) -> np.ndarray:
    """One image file as uint8 (size, size, channels): shorter side resized, centre cropped."""
    try:
        with Image.open(path) as image:
            image.load()
            if "exif" in image.info:
                image = ImageOps.exif_transpose(image)
            return to_array(image, size, channels)
    except DataError as error:
        raise DataError(f"{path}: {error}") from error
    except Exception as error:  # Pillow's decoders raise many kinds; the file must be named
        raise DataError(f"unreadable image: {path} ({type(error).__name__}: {error})") from error


def to_array(image: Image.Image, size: int, channels: int) -> np.ndarray:
    """A Pillow image as uint8 (size, size, channels). Transparency is shown on white."""
    if image.mode.startswith(("I", "F")):
        raise DataError(f"has mode {image.mode}: only 8-bit images are accepted, convert it first")
    if "transparency" in image.info or image.mode in ("RGBA", "LA", "PA"):
        image = image.convert("RGBA")
        white = Image.new("RGBA", image.size, (255, 255, 255, 255))
        image = Image.alpha_composite(white, image).convert("RGB")
    if channels == 1:
        image = _to_grey(image)
    elif image.mode != "RGB":
        image = image.convert("RGB")
    if image.size != (size, size):
        square = image.width == image.height
        target = (size, size)
        resample = Image.Resampling.BILINEAR
        image = image.resize(target, resample) if square else ImageOps.fit(image, target, resample)
    return np.asarray(image).reshape(size, size, channels)


def _to_grey(image: Image.Image) -> Image.Image:
    if image.mode in ("L", "1"):
        return image.convert("L")
    rgb = np.asarray(image.convert("RGB")).astype(np.int16)
    if (rgb.max(axis=2) - rgb.min(axis=2)).max() > GREY_TOLERANCE:
        raise DataError("is coloured, but the set was asked for with channels=1; use channels=3")
    return image.convert("L")


def resize_all(images: np.ndarray, size: int, channels: int, desc: str = "resizing") -> np.ndarray:
    """Square uint8 images (n, h, h, c) to (n, size, size, channels), bilinear."""
    if images.shape[1:] == (size, size, channels):
        return images
    out = np.empty((len(images), size, size, channels), dtype=np.uint8)

    def resize(start: int) -> int:
        stop = min(start + 256, len(images))
        for i in range(start, stop):
            out[i] = to_array(Image.fromarray(images[i].squeeze()), size, channels)
        return stop - start

    _in_threads(resize, range(0, len(images), 256), len(images), desc)
    return out


def _in_threads(work: Callable[[int], int], starts: Iterable[int], total: int, desc: str) -> None:
    """Run ``work`` on every start in a few threads; the bar appears after one second."""
    pool = ThreadPoolExecutor(max_workers=_threads())
    try:
        with tqdm(
            total=total, desc=desc, unit="image", delay=1, mininterval=0.5, leave=False
        ) as bar:
            for done in pool.map(work, starts):
                bar.update(done)
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _threads() -> int:
    """As many threads as this process may use cores: Pillow decodes outside Python's lock."""
    allowed = getattr(os, "sched_getaffinity", None)
    return min(16, len(allowed(0)) if allowed else os.cpu_count() or 1)
