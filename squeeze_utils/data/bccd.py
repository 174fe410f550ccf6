"""BCCD: 364 pictures of blood under a microscope, with boxes of three kinds of cells."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from PIL import Image

from squeeze_utils.data.image_files import filled
from squeeze_utils.data.types import DataError, Rows, padded_boxes

CLASSES = ("red cell", "white cell", "platelet")
NAMES = {"RBC": 0, "WBC": 1, "Platelets": 2}  # as the annotations call them
FILES = {"train": "train", "validation": "val", "test": "test"}
SOURCE = "https://github.com/Shenggan/BCCD_Dataset"


def read(root: Path, height: int, width: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images (n, height, width, 3) and boxes (n, most, 5) of the set's own three parts."""
    folder = _folder(root)
    listed = {part: _listed(folder, name) for part, name in FILES.items()}
    boxes = {part: [_boxes(folder, name) for name in names] for part, names in listed.items()}
    most = max(len(rows) for every in boxes.values() for rows in every)
    return {
        part: (_images(folder, names, height, width), padded_boxes(boxes[part], most))
        for part, names in listed.items()
    }


def _folder(root: Path) -> Path:
    """The folder of the set; a DataError says where it is expected."""
    folder = root / "bccd"
    for name in ("JPEGImages", "Annotations", "ImageSets/Main"):
        if not (folder / name).is_dir():
            raise DataError(
                f"bccd is not in {root}: {folder / name} is missing. Place the folder BCCD of "
                f"{SOURCE} (7 MB) there under the name bccd, or set SQUEEZE_DATA to the folder "
                "that has it."
            )
    return folder


def _listed(folder: Path, name: str) -> list[str]:
    path = folder / "ImageSets" / "Main" / f"{name}.txt"
    if not path.is_file():
        raise DataError(f"bccd: {path} is missing")
    names = path.read_text(encoding="utf-8").split()
    if not names:
        raise DataError(f"bccd: {path} names no picture")
    return names


def _boxes(folder: Path, name: str) -> Rows:
    """The rows of one picture; an object without any area is left out."""
    path = folder / "Annotations" / f"{name}.xml"
    try:
        tree = ElementTree.parse(path).getroot()
        width, height = (_number(tree, f"size/{side}") for side in ("width", "height"))
        rows = [_row(found, width, height) for found in tree.iter("object")]
    except OSError as error:
        raise DataError(f"bccd: {path} cannot be read: {error.strerror}") from error
    except (ElementTree.ParseError, ValueError) as error:
        raise DataError(f"bccd: {path} is no annotation in Pascal VOC's form: {error}") from error
    return [row for row in rows if row[3] > row[1] and row[4] > row[2]]


def _row(found: ElementTree.Element, width: float, height: float) -> tuple[float, ...]:
    name = found.findtext("name", "")
    if name not in NAMES:
        raise ValueError(f"an object is called {name!r}; known are {', '.join(NAMES)}")
    left, top, right, bottom = (
        _number(found, f"bndbox/{side}") for side in ("xmin", "ymin", "xmax", "ymax")
    )
    if left > right or top > bottom:
        raise ValueError(f"a box ends before it begins: {left:g} {top:g} {right:g} {bottom:g}")
    xs, ys = (min(max(x / width, 0.0), 1.0) for x in (left, right)), (top, bottom)
    (x1, x2), (y1, y2) = xs, (min(max(y / height, 0.0), 1.0) for y in ys)
    return float(NAMES[name]), x1, y1, x2, y2


def _number(element: ElementTree.Element, path: str) -> float:
    text = element.findtext(path)
    try:
        number = float(text or "")
    except ValueError:
        raise ValueError(f"{path} is {text!r}, not a number") from None
    if not np.isfinite(number) or (path.startswith("size") and number <= 0):
        raise ValueError(f"{path} is {text!r}")
    return number


def _images(folder: Path, names: list[str], height: int, width: int) -> np.ndarray:
    def image(i: int) -> np.ndarray:
        path = folder / "JPEGImages" / f"{names[i]}.jpg"
        try:
            with Image.open(path) as picture:
                small = picture.convert("RGB").resize((width, height), Image.Resampling.BILINEAR)
        except Exception as error:  # Pillow's decoders raise many kinds; the file must be named
            raise DataError(f"bccd: unreadable image: {path} ({error})") from error
        return np.asarray(small)

    return filled((len(names), height, width, 3), image, "reading bccd")
