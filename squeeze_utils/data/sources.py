"""The named image sets: where their pixels come from and what they are by nature."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from squeeze_utils.base.downloads import socket_timeout
from squeeze_utils.data import archives
from squeeze_utils.data.digit_styles import STYLES
from squeeze_utils.data.image_files import files_key, resize_all
from squeeze_utils.data.packing import Raw
from squeeze_utils.data.types import DataError


@dataclass(frozen=True)
class NamedSet:
    """Facts of a set that goes by a name, and its original files as torchvision stores them.

    ``size`` is the side in pixels. ``torchvision`` is the class that reads the original files,
    which lie in ``files`` below a root; ``megabytes`` is what they weigh to download. Where there
    is an ``archive``, they are unpacked from it, whichever of its addresses it comes from.
    """

    name: str
    size: int
    channels: int
    classes: tuple[str, ...]
    torchvision: str = ""
    files: str = ""
    megabytes: int = 0
    archive: archives.Archive | None = None

    def original_files(self, root: Path) -> Path | None:
        """The torchvision root at or in ``root`` that holds the original files, or None."""
        for base in (root, root / self.name):
            if self.files and (base / self.files).is_dir():
                return base
        return None

    def key(self, base: Path) -> str:
        """A hash of names, sizes and modification times of the original files."""
        files = sorted((base / self.files).iterdir())
        return files_key((path.name, path.stat()) for path in files)

    def read(self, base: Path, size: int, channels: int) -> Raw:
        """Read the set through torchvision, which checks CIFAR's MD5 sums before it unpickles."""
        train, test = (self._read_part(base, part) for part in ("train", "test"))
        images, labels = (np.concatenate(pair) for pair in zip(train, test, strict=True))
        spans = {"train": (0, len(train[1])), "test": (len(train[1]), len(labels))}
        return Raw(resize_all(images, size, channels, f"resizing {self.name}"), labels, spans)

    def _read_part(self, base: Path, part: str) -> tuple[np.ndarray, np.ndarray]:
        from torchvision import datasets

        folder = base / self.files
        try:
            read = getattr(datasets, self.torchvision)(str(base), train=part == "train")
            images, labels = np.asarray(read.data), np.asarray(read.targets, dtype=np.int64)
        except Exception as error:  # whatever a damaged file provokes, say which files it were
            raise DataError(
                f"{self.name}: the files in {folder} are incomplete or damaged and were not used "
                f"({type(error).__name__}: {error}). Delete that folder and get the files anew, "
                f"for example with load_images({self.name!r}, download=True), "
                f"{self.megabytes} MB."
            ) from error
        images = images.reshape(len(images), *images.shape[1:3], self.channels)
        if len(images) != len(labels) or not np.isin(labels, range(len(self.classes))).all():
            raise DataError(f"{self.name}: images and labels in {folder} do not fit together")
        return images, labels

    def download(self, root: Path) -> None:
        """Fetch the original files, with a progress bar and a timeout; torchvision unpacks them."""
        from torchvision import datasets
        from tqdm.auto import tqdm

        title = f"downloading {self.name} ({self.megabytes} MB) to {root}"
        try:
            root.mkdir(parents=True, exist_ok=True)
            with socket_timeout(), tqdm(total=1, desc=title, unit="set") as bar:
                if self.archive and not self._is_whole(root):
                    self.archive.fetch(root)
                getattr(datasets, self.torchvision)(str(root), download=True)
                bar.update()
        except Exception as error:
            raise DataError(
                f"{self.name}: the download of {self.megabytes} MB failed "
                f"({type(error).__name__}: {error}). Try again later, or {self.placing(root)}"
            ) from error

    def _is_whole(self, root: Path) -> bool:
        """Whether the unpacked files are there, and as torchvision knows them."""
        from torchvision import datasets

        try:
            getattr(datasets, self.torchvision)(str(root))
        except RuntimeError:
            return False
        return True

    def placing(self, root: Path) -> str:
        """How to place the files of the set by hand, as the end of a sentence."""
        return (
            f"place the images as {root / self.name}/{{train,test}}/CLASS/*.png (or .webp, .jpg), "
            f"or the original files as {root / self.files}/*, or set SQUEEZE_DATA to the folder "
            "that has either."
        )


DIGITS = tuple("0123456789")
CIFAR10 = ("airplane", "automobile", "bird", "cat", "deer")
CIFAR10 += ("dog", "frog", "horse", "ship", "truck")
FASHION = ("T-shirt/top", "Trouser", "Pullover", "Dress", "Coat")
FASHION += ("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")

NAMED_SETS = {
    known.name: known
    for known in (
        NamedSet("digits", 32, 1, DIGITS),
        NamedSet("mnist", 28, 1, DIGITS, "MNIST", "MNIST/raw", 12),
        NamedSet("fashion_mnist", 28, 1, FASHION, "FashionMNIST", "FashionMNIST/raw", 31),
        NamedSet(
            "cifar10", 32, 3, CIFAR10, "CIFAR10", "cifar-10-batches-py", 170, archives.CIFAR10
        ),
        *(NamedSet(style, 32, 1, DIGITS) for style in STYLES if style != "digits"),
    )
}


def digits(size: int, channels: int, style: str = "digits") -> Raw:
    """scikit-learn's 1,797 handwritten digits: 8x8, 0..16 stretched to 0..255, then resized.

    With a `style` of `STYLES` they are changed after that.
    """
    from sklearn.datasets import load_digits

    bunch = load_digits()
    images = np.rint(bunch.images * (255 / 16)).astype(np.uint8)[..., None]
    labels = bunch.target.astype(np.int64)
    styled = STYLES[style](resize_all(images, size, 1))
    return Raw(resize_all(styled, size, channels), labels, {"train": (0, len(labels))})
