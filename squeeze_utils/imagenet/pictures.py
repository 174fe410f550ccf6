"""Pictures of any size as the ImageNet networks of the series take them."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor, nn

from squeeze_utils.base.checks import whole_number
from squeeze_utils.data.image_files import EXTENSIONS, is_image_file
from squeeze_utils.imagenet import released_file, wordnet
from squeeze_utils.models.pretrained import MEAN, STD

BATCH = 25
RESIZED = 256


def is_original(model: nn.Module) -> bool:
    """Does the network expect pictures as the authors' own files do, not torchvision's?"""
    return getattr(getattr(model, "config", None), "last_padding", 0) == 1


def side(model: nn.Module) -> int:
    """The height and width of a picture, in pixels, as `model` takes it."""
    return 227 if is_original(model) else 224


def prepare(image: Image.Image, model: nn.Module) -> Tensor:
    """One picture (3, side, side) as `model` takes it.

    The authors' network: resized to 256 x 256, the middle 227 x 227, BGR less a mean.
    Torchvision's: the shorter side to 256, the middle 224 x 224, RGB standardised.
    """
    image = ImageOps.exif_transpose(image).convert("RGB")
    original, pixels = is_original(model), side(model)
    if original:
        image = image.resize((RESIZED, RESIZED), Image.Resampling.BILINEAR)
    else:
        scale = RESIZED / min(image.size)
        size = [max(RESIZED, int(length * scale)) for length in image.size]
        image = image.resize(size, Image.Resampling.BILINEAR)
    left, top = ((length - pixels) // 2 for length in image.size)
    middle = image.crop((left, top, left + pixels, top + pixels))
    chw = torch.from_numpy(np.array(middle)).permute(2, 0, 1)
    if original:
        return released_file.preprocess(chw[None])[0]
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    return (chw / 255 - mean) / deviation


def load_picture(path: Path | str, model: nn.Module) -> Tensor:
    """The picture in a file as `model` takes it; a file that is none is named."""
    try:
        with Image.open(path) as image:
            return prepare(image, model)
    except FileNotFoundError as error:
        raise ValueError(f"there is no picture {path}") from error
    except Exception as error:  # Pillow's decoders raise many kinds; the file must be named
        raise ValueError(f"unreadable picture: {path} ({type(error).__name__}: {error})") from error


def find_pictures(folder: Path | str) -> list[Path]:
    """All pictures in a folder and the folders in it, in order of their names."""
    folder = Path(folder)
    if not folder.is_dir():
        raise ValueError(f"there is no folder {folder}; a folder of pictures is expected")
    found = sorted(p for p in folder.rglob("*") if is_image_file(p.name) and p.is_file())
    if not found:
        raise ValueError(f"no pictures in {folder}; accepted: {' '.join(EXTENSIONS)}")
    return found


def draw(paths: Sequence[Path], count: int, seed: int) -> list[Path]:
    """At most `count` of the paths, drawn without regard to their classes, in order."""
    whole_number("the number of pictures", count, 2)
    return sorted(random.Random(seed).sample(list(paths), min(count, len(paths))))


def labels(paths: Sequence[Path]) -> Tensor:
    """The class of each picture by the name of its folder."""
    known = {name: wordnet.class_of(name) for name in sorted({p.parent.name for p in paths})}
    return torch.tensor([known[path.parent.name] for path in paths])


def batches(paths: Sequence[Path], model: nn.Module) -> Iterator[Tensor]:
    """The pictures as `model` takes them, a few at a time."""
    for start in range(0, len(paths), BATCH):
        yield torch.stack([load_picture(path, model) for path in paths[start : start + BATCH]])


def calibration(paths: Sequence[Path], model: nn.Module) -> Tensor:
    """Pictures that show `model` what it will see: each as it is, and mirrored."""
    images = torch.cat(list(batches(paths, model)))
    return torch.cat([images, images.flip(3)])
