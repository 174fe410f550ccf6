"""The named image sets: where their pixels come from and what they are by nature."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from squeeze_utils.data.image_files import resize_all
from squeeze_utils.data.packing import Raw
from squeeze_utils.data.types import DataError

TIMEOUT = 30.0  # seconds without a single byte before a download is given up


@dataclass(frozen=True)
class Known:
    """Facts of a named set: default size in pixels, channels, classes, and its original files."""

    size: int
    channels: int
    classes: tuple[str, ...]
    torchvision: str = ""
    files: str = ""
    megabytes: int = 0


DIGITS = tuple("0123456789")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer")
CIFAR10 += ("dog", "frog", "horse", "ship", "truck")
FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat")
FASHION += ("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")

KNOWN = {
    "digits": Known(32, 1, DIGITS),
    "mnist": Known(28, 1, DIGITS, "MNIST", "MNIST/raw", 12),
    "fashion_mnist": Known(28, 1, FASHION, "FashionMNIST", "FashionMNIST/raw", 31),
    "cifar10": Known(32, 3, CIFAR10, "CIFAR10", "cifar-10-batches-py", 170),
}


def digits(size: int, channels: int) -> Raw:
    """scikit-learn's 1,797 handwritten digits: 8x8, 0..16 stretched to 0..255, then resized."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = bunch.target.astype(np.int64)
    return Raw(resize_all(images, size, channels), labels, {"train": (0, len(labels))})


def original_files(name: str, root: Path, known: Known) -> Path | None:
    """The torchvision root that holds the original files of a set, or None."""
    for base in (root, root / name):
        if known.files and (base / known.files).is_dir():
            return base
    return None


def originals_key(base: Path, known: Known) -> str:
    """A hash of names, sizes and modification times of the original files."""
    digest = hashlib.sha256()
    for path in sorted((base / known.files).iterdir()):
        stat = path.stat()
        digest.update(f"{path.name}|{stat.st_size}|{stat.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def read_originals(name: str, base: Path, known: Known, size: int, channels: int) -> Raw:
    """Read a set through torchvision, which checks CIFAR's MD5 sums before it unpickles."""
    train, test = (_read_part(name, base, known, part) for part in ("train", "test"))
    images, labels = (np.concatenate(pair) for pair in zip(train, test, strict=True))
    spans = {"train": (0, len(train[1])), "test": (len(train[1]), len(labels))}
    return Raw(resize_all(images, size, channels, f"resizing {name}"), labels, spans)


def _read_part(name: str, base: Path, known: Known, part: str) -> tuple[np.ndarray, np.ndarray]:
    from torchvision import datasets

    try:
        read = getattr(datasets, known.torchvision)(str(base), train=part == "train")
        images, labels = np.asarray(read.data), np.asarray(read.targets, dtype=np.int64)
    except Exception as error:  # whatever a damaged file provokes, say which files it were
        raise DataError(
            f"{name}: the files in {base / known.files} are incomplete or damaged and were not "
            f"used ({type(error).__name__}: {error}). Delete that folder and get the files anew, "
            f"for example with load({name!r}, download=True), {known.megabytes} MB."
        ) from error
    images = images.reshape(len(images), *images.shape[1:3], known.channels)
    if len(images) != len(labels) or not np.isin(labels, range(len(known.classes))).all():
        raise DataError(f"{name}: images and labels in {base / known.files} do not fit together")
    return images, labels


def download(name: str, root: Path, known: Known) -> None:
    """Fetch the original files with torchvision, with a progress bar and a timeout."""
    from torchvision import datasets
    from tqdm.auto import tqdm

    title = f"downloading {name} ({known.megabytes} MB) to {root}"
    try:
        root.mkdir(parents=True, exist_ok=True)
        with _socket_timeout(TIMEOUT), tqdm(total=1, desc=title, unit="set") as bar:
            getattr(datasets, known.torchvision)(str(root), download=True)
            bar.update()
    except Exception as error:
        raise DataError(
            f"{name}: the download of {known.megabytes} MB failed "
            f"({type(error).__name__}: {error}). Try again later, or {placing(name, root, known)}"
        ) from error


@contextmanager
def _socket_timeout(seconds: float) -> Iterator[None]:
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)


def placing(name: str, root: Path, known: Known) -> str:
    """How to place the files of a set by hand, as the end of a sentence."""
    return (
        f"place the images as {root / name}/{{train,test}}/CLASS/*.png (or .webp, .jpg), or the "
        f"original files as {root / known.files}/*, or set SQUEEZE_DATA to the folder that has "
        "either."
    )
