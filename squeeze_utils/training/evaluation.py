"""How good a network is on a split, and whether it fits the images at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from squeeze_utils.base import machine
from squeeze_utils.data import Batches, ImageSet, Split


@dataclass(frozen=True)
class Evaluation:
    """Loss (mean cross-entropy, nats), accuracy (percent), confusion counts (true, predicted)."""

    loss: float
    accuracy: float
    confusion: Tensor


@contextmanager
def numerics(chosen: str, device: torch.device) -> Iterator[None]:
    """Mixed precision on `device` where `chosen` is bfloat16, plain float32 otherwise."""
    with torch.autocast(device.type, torch.bfloat16, enabled=chosen == "bfloat16"):
        yield


def check_fits(model: nn.Module, data: ImageSet) -> None:
    """Raise unless the model takes images like `data`'s and has an output for each class.

    Only what `build` made says what it takes; any other module is let through.
    """
    expected = getattr(model, "input_shape", None)
    if expected is None:
        return
    if expected[0] != data.channels:
        raise ValueError(
            f"the model takes {expected[0]}-channel images, {data.name} has {data.channels}: "
            f"build it with in_channels={data.channels}"
        )
    if getattr(model, "num_classes", data.num_classes) < data.num_classes:
        raise ValueError(
            f"the model has {model.num_classes} classes, {data.name} has {data.num_classes}: "
            f"build it with num_classes={data.num_classes}"
        )
    if expected[1] != data.size:
        _try_size(model, data)


@torch.no_grad()
def _try_size(model: nn.Module, data: ImageSet) -> None:
    """A dense part takes one image size only; networks without one take others too."""
    weight = next(model.parameters())
    was_training = model.training
    model.eval()
    try:
        model(weight.new_zeros(1, data.channels, data.size, data.size))
    except RuntimeError as error:
        side = model.input_shape[1]
        raise ValueError(
            f"the model takes {side}-pixel images, {data.name} has {data.size}: build it with "
            f"image_size={data.size}, or load the images with size={side}"
        ) from error
    finally:
        model.train(was_training)


@torch.no_grad()
def evaluate(
    model: nn.Module, split: Split, data: ImageSet, *, precision: str = "float32"
) -> Evaluation:
    """Loss, accuracy and confusion of `model` on `split`, never augmented.

    `data` is the image set that the split belongs to: its mean and deviation normalise.
    """
    device = next(model.parameters()).device
    chosen = machine.precision(precision, device)
    was_training = model.training
    model.eval()
    loss, confusion = 0.0, torch.zeros(data.num_classes**2, dtype=torch.long)
    try:
        for x, y in Batches(split, 500, mean=data.mean, std=data.std):
            x, y = x.to(device), y.to(device)
            with numerics(chosen, device):
                logits = model(x).float()
            loss += float(F.cross_entropy(logits, y, reduction="sum"))
            pairs = (y * data.num_classes + logits[:, : data.num_classes].argmax(1)).cpu()
            confusion += torch.bincount(pairs, minlength=data.num_classes**2)
    finally:
        model.train(was_training)
    confusion = confusion.view(data.num_classes, data.num_classes)
    hits = int(confusion.diagonal().sum())
    return Evaluation(loss / len(split), 100 * hits / len(split), confusion)
