"""Pictures of any size as the ImageNet networks of the series take them."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
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
LEAST, RATIO = 0.5, 1.2  # of a random part: share of RESIZED squared, width by height at most


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
    image, pixels = resized(image, model), side(model)
    left, top = ((length - pixels) // 2 for length in image.size)
    middle = image.crop((left, top, left + pixels, top + pixels))
    return normalised(torch.from_numpy(np.array(middle)).permute(2, 0, 1), model)


def resized(image: Image.Image, model: nn.Module) -> Image.Image:
    """A picture upright, in RGB and in the size that `prepare` cuts the middle out of."""
    image = ImageOps.exif_transpose(image).convert("RGB")
    size = [RESIZED, RESIZED]
    if not is_original(model):
        scale = RESIZED / min(image.size)
        size = [max(RESIZED, int(length * scale)) for length in image.size]
    return image.resize(size, Image.Resampling.BILINEAR)


def normalised(pixels: Tensor, model: nn.Module) -> Tensor:
    """RGB from 0 to 255 (3, height, width) in the scale that `model` takes."""
    if is_original(model):
        return released_file.preprocess(pixels[None])[0]
    mean, deviation = (torch.tensor(v).view(3, 1, 1) for v in (MEAN, STD))
    return (pixels / 255 - mean) / deviation


def load_picture(path: Path | str, model: nn.Module) -> Tensor:
    """The picture in a file as `model` takes it; a file that is none is named."""
    return _read(path, lambda image: prepare(image, model))


def load_crop(path: Path | str, model: nn.Module, generator: torch.Generator) -> Tensor:
    """A random part of the picture in a file, mirrored half of the time, as `model` takes it.

    The part has half of the largest square or more, and its sides are alike within a fifth.
    """
    return _read(path, lambda image: _crop(resized(image, model), model, generator))


def _read(path: Path | str, use: Callable[[Image.Image], Tensor]) -> Tensor:
    try:
        with Image.open(path) as image:
            return use(image)
    except FileNotFoundError as error:
        raise ValueError(f"there is no picture {path}") from error
    except Exception as error:  # Pillow's decoders raise many kinds; the file must be named
        raise ValueError(f"unreadable picture: {path} ({type(error).__name__}: {error})") from error


def _crop(image: Image.Image, model: nn.Module, generator: torch.Generator) -> Tensor:
    share, shape, x, y, mirror = torch.rand(5, generator=generator).tolist()
    side_now, ratio = RESIZED * (LEAST + (1 - LEAST) * share) ** 0.5, RATIO ** (shape - 0.5)
    width = min(round(side_now * ratio), image.width)
    height = min(round(side_now / ratio), image.height)
    left, top = int(x * (image.width - width + 1)), int(y * (image.height - height + 1))
    pixels = 2 * [side(model)]
    part = image.crop((left, top, left + width, top + height))
    part = part.resize(pixels, Image.Resampling.BILINEAR)
    chw = torch.from_numpy(np.array(part)).permute(2, 0, 1)
    return normalised(chw.flip(2) if mirror < 0.5 else chw, model)


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


def mixed_crops(
    samples: Sequence[Path], photographs: Sequence[Path], model: nn.Module, seed: int
) -> Iterator[Tensor]:
    """Batches without end of random parts, about half of them from each kind of pictures.

    Pictures come in a random order, and again in another one when all of their kind were shown.
    """
    generator = torch.Generator().manual_seed(seed)
    counts = {BATCH - BATCH // 2: _again_and_again(samples, generator)}
    counts[BATCH // 2] = _again_and_again(photographs, generator)
    while True:
        drawn = [path for count, kind in counts.items() for path in islice(kind, count)]
        yield torch.stack([load_crop(path, model, generator) for path in drawn])


def _again_and_again(paths: Sequence[Path], generator: torch.Generator) -> Iterator[Path]:
    while True:
        for i in torch.randperm(len(paths), generator=generator).tolist():
            yield paths[i]
