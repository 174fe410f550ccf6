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

from squeeze_utils.base import machine
from squeeze_utils.data.types import DataError

EXTENSIONS = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".ppm", ".pgm", ".gif", ".tif", ".tiff")
VALIDATION_NAMES = ("validation", "val")
GREY_TOLERANCE = 2  # levels by which R, G, B of a grey picture may differ after lossy coding


@dataclass(frozen=True)
class Listing:
    """Image files: paths, labels (int64), which of them belong to which split, and a key.

    ``spans`` maps the splits that have a folder to (first, end) positions. The key changes when
    a file or the order of the classes does.
    """

    classes: tuple[str, ...]
    paths: list[str]
    labels: np.ndarray
    spans: dict[str, tuple[int, int]]
    key: str


def has_split_folders(folder: Path) -> bool:
    """Is this ``{train,test}/CLASS/*``, rather than ``CLASS/*``?"""
    return (folder / "train").is_dir()


def classes_folder(folder: Path) -> Path:
    """The folder whose subfolders are the classes: ``folder`` itself, or the only folder in it.

    So torchvision unpacks Caltech-256: `caltech256/256_ObjectCategories/CLASS/*`.
    """
    if not folder.is_dir() or has_split_folders(folder):
        return folder
    inside = _folders_in(folder)
    only = folder / inside[0] if len(inside) == 1 else folder
    has_images = any(entry.name.lower().endswith(EXTENSIONS) for entry in os.scandir(only))
    return only if _folders_in(only) and not has_images and only.name != "test" else folder


def _folders_in(folder: Path) -> list[str]:
    return [e.name for e in os.scandir(folder) if e.is_dir() and not e.name.startswith(".")]


def list_folder(folder: Path, order: Callable[[list[str]], list[str]] = sorted) -> Listing:
    """List ``FOLDER/{train,validation,test}/CLASS/*`` or ``FOLDER/CLASS/*``.

    Classes are numbered by ``order`` of their folder names.
    """
    splits = _split_folders(folder)
    classes = order(_class_names(splits["train"]))
    files: list[os.DirEntry] = []
    labels: list[int] = []
    spans: dict[str, tuple[int, int]] = {}
    for split, where in splits.items():
        _check_classes(split, where, classes)
        start = len(files)
        for label, name in enumerate(classes):
            found = _list_class(where / name)
            files += found
            labels += [label] * len(found)
        spans[split] = (start, len(files))
    key = files_key((file.path.removeprefix(str(folder)), file.stat()) for file in files)
    paths = [file.path for file in files]
    known = f"{folder.resolve()} {classes} {key}"  # sizes and times of two folders may be equal
    return Listing(tuple(classes), paths, np.asarray(labels, np.int64), spans, known)


def is_image_file(name: str) -> bool:
    """Whether a file of this name is an image; hidden ones, such as macOS's `._a.png`, are not."""
    return name.lower().endswith(EXTENSIONS) and not name.startswith(".")


def files_key(files: Iterable[tuple[str, os.stat_result]]) -> str:
    """A hash of names, sizes and modification times: no file is read for it."""
    digest = hashlib.sha256()
    for name, stat in files:
        line = f"{name}|{stat.st_size}|{stat.st_mtime_ns}\n"
        digest.update(line.encode(errors="surrogateescape"))
    return digest.hexdigest()[:16]


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
    names = _folders_in(folder)
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


def _list_class(folder: Path) -> list[os.DirEntry]:
    if not folder.is_dir():  # a class without test images is no fault
        return []
    found = [entry for entry in os.scandir(folder) if is_image_file(entry.name)]
    if not found:
        raise DataError(f"empty class: {folder} holds no image (accepted: {' '.join(EXTENSIONS)})")
    return sorted(found, key=lambda entry: entry.name)


def decode_files(paths: list[str], size: int, channels: int, desc: str) -> np.ndarray:
    """Decode image files to uint8 of shape (n, size, size, channels), in the order given."""
    shape = (len(paths), size, size, channels)
    return filled(shape, lambda i: decode_file(paths[i], size, channels), desc)


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
    shape = (len(images), size, size, channels)
    if images.shape == shape:
        return images
    flat = images[..., 0] if images.shape[3] == 1 else images  # Pillow's form of grey
    return filled(shape, lambda i: to_array(Image.fromarray(flat[i]), size, channels), desc)


def filled(shape: tuple[int, ...], image: Callable[[int], np.ndarray], desc: str) -> np.ndarray:
    """uint8 images of ``shape``, number i by ``image(i)``, in a few threads.

    A progress bar appears after one second. A failure ends the rest.
    """
    out = np.empty(shape, dtype=np.uint8)
    blocks = [range(start, min(start + 256, len(out))) for start in range(0, len(out), 256)]

    def fill(block: range) -> int:
        for i in block:
            out[i] = image(i)
        return len(block)

    look = {"desc": desc, "unit": "image", "delay": 1, "mininterval": 0.5, "leave": False}
    with tqdm(total=len(out), **look) as bar, ThreadPoolExecutor(_threads()) as pool:
        for done in pool.map(fill, blocks):
            bar.update(done)
    return out


def _threads() -> int:
    """As many threads as this process may use cores: Pillow decodes outside Python's lock."""
    return min(16, machine.cores())
