"""A network for ImageNet rounded into a number of bytes, and tuned on pictures of two kinds.

A fifth of the pictures to calibrate on is held back from tuning and says when that was at its best.
Rounding sees them all: without a fifth of 250 it lost more than tuning gained in 300,000 bytes
(`imagenet.tuning_gain`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from squeeze_utils.base.files import write_atomically
from squeeze_utils.compress.pricing.kept_rounding import kept_squeeze
from squeeze_utils.compress.pricing.tuning import Tuned, tune
from squeeze_utils.deploy.for_inference import without_norm
from squeeze_utils.deploy.network_files import is_for_imagenet, torch_network
from squeeze_utils.imagenet import pictures

EVERY = 5  # of the pictures to calibrate on, the one that is held back
LEAST_SAMPLES, LEAST_PHOTOGRAPHS = 10, 100


@dataclass(frozen=True)
class TunedFile:
    """A file's bytes, how many pictures it was made from, and what tuning changed on those held."""

    bytes: int
    calibrated: int
    held: int
    photographs: int
    tuned: Tuned


def tune_file(
    source: Path | str,
    path: Path,
    target_bytes: int,
    data: str,
    photographs: str,
    count: int = 250,
    *,
    seed: int = 0,
    progress: bool = False,
) -> TunedFile:
    """Write a network for ImageNet as a `.sqz` of at most `target_bytes`, rounded and then tuned.

    `data` is a folder of pictures of ImageNet's kind, of which at most `count` are drawn;
    `photographs` a folder of any others. Neither needs labels. What rounding gave is kept in the
    cache folder, so the same call goes on after it.
    """
    if path.suffix != ".sqz":
        raise ValueError(f"the output must end with .sqz, got {path.name}")
    model = torch_network(source)
    if not is_for_imagenet(model):
        raise ValueError("photographs tune a network for ImageNet's 1,000 classes only")
    samples = pictures.draw(pictures.find_pictures(data), count, seed)
    others = pictures.find_pictures(photographs)
    _check(samples, others, data, photographs)
    shown, held = parted(samples)
    network = without_norm(model)
    batch = pictures.calibration(samples, model)
    rounded = kept_squeeze(network, batch, target_bytes, seed, progress, "contexts")
    batches = pictures.mixed_crops(shown, others, model, seed)
    unseen = torch.cat(list(pictures.batches(held, model)))
    tuned = tune(
        rounded, network, batches, unseen, target_bytes, coder="contexts", progress=progress
    )
    write_atomically(path, tuned.squeezed.data)
    return TunedFile(len(tuned.squeezed.data), len(samples), len(held), len(others), tuned)


def parted(samples: Sequence[Path]) -> tuple[list[Path], list[Path]]:
    """Those of the pictures that tuning sees, and those that are held back from it."""
    held = set(samples[EVERY // 2 :: EVERY])
    return [path for path in samples if path not in held], sorted(held)


def _check(samples: Sequence[Path], photographs: Sequence[Path], data: str, folder: str) -> None:
    """Raise a clear error for too few pictures, or for one that is of both kinds."""
    kinds = {data: (samples, LEAST_SAMPLES), folder: (photographs, LEAST_PHOTOGRAPHS)}
    for name, (found, least) in kinds.items():
        if len(found) < least:
            raise ValueError(f"{len(found)} pictures of {name}; tuning needs at least {least}")
    both = {path.resolve() for path in samples} & {path.resolve() for path in photographs}
    if both:
        one = min(both)
        raise ValueError(f"{one} is in both folders: photographs must be other pictures")
