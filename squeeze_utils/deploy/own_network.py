"""A network for a reader's own pictures: SqueezeNet 1.1 from ImageNet, with a new head."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from squeeze_utils.base.checks import whole_number
from squeeze_utils.data import DataError, ImageSet, load_images
from squeeze_utils.models import build
from squeeze_utils.models.checkpoint_files import load_model, save_model
from squeeze_utils.training.evaluation import evaluate
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State
from squeeze_utils.training.transfer import FitHead, LoadImageNet, fire_parts

SIZE = 224
FIRST_TRAINED, RATE, BATCH = 6, 5e-4, 16


@dataclass(frozen=True)
class Transferred:
    """What was written: bytes, class names, and how many test pictures are right."""

    bytes: int
    classes: tuple[str, ...]
    right: int
    test: int


def own_pictures(data: str | Path, size: int = SIZE) -> ImageSet:
    """A folder of pictures with a folder for each class; at least two classes are needed."""
    images = load_images(data, size, channels=3)
    if images.num_classes < 2:
        raise DataError(
            f"{data} has one class only ({images.classes[0]}): a network needs at least two "
            "folders of pictures to tell apart"
        )
    return images


def transfer_folder(
    data: str | Path,
    path: Path,
    size: int | None = None,
    epochs: int = 0,
    *,
    progress: bool = False,
) -> Transferred:
    """Fit a head to the pictures in a folder, train the last modules for `epochs`, and save it.

    Validation and test pictures are cut from the folder where it has none of its own. The file
    says for which size of pictures the network is made, so that later commands take the same.
    """
    whole_number("epochs", epochs, 0)
    if path.suffix != ".safetensors":
        raise ValueError(f"the output must end with .safetensors, got {path.name}")
    images = own_pictures(data, SIZE if size is None else size)
    own_size = {} if images.size == SIZE else {"image_size": images.size}
    model = build("squeezenet1_1", images.num_classes, final_relu=False, **own_size)
    state = State(model, images, progress=progress)
    LoadImageNet().apply(state)
    FitHead().apply(state)
    if epochs:
        how = {"lr": RATE, "optimizer": "adamw", "weight_decay": 0.01, "flip": True}
        batch = min(BATCH, len(images.train))
        only = fire_parts(model, FIRST_TRAINED)
        Train(epochs, batch_size=batch, only=only, **how).apply(state)
    size_in_bytes = save_model(model, path, classes=json.dumps(images.classes))
    written, _ = load_model(path.stem, path.parent)  # its weights are halves
    found = evaluate(written, images.test, images)
    right = int(found.confusion.diagonal().sum())
    return Transferred(size_in_bytes, images.classes, right, len(images.test))
