"""What a shift of the image does to a layer's map and to a network's answer.

Nothing new may enter a shifted picture, so a picture is continued by its own mirror image on
every side; a shift moves the window over that continuation.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from squeeze_utils.base.checks import whole_number
from squeeze_utils.data import normalise
from squeeze_utils.models.layers import BlurPool, MixedPool, WideBlurPool
from squeeze_utils.training.evaluation import evaluating, watching
from squeeze_utils.training.step import State, Step
from squeeze_utils.training.tasks import only_classes, only_classifiers

MARGIN = 8  # pixels of the periodic map that a layer sees beyond each border
DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1))  # down, up, right, left


def mirrored(maps: Tensor) -> Tensor:
    """Maps (n, c, h, w) beside their mirror images: (n, c, 2h, 2w), one period of a tiling."""
    wide = torch.cat((maps, maps.flip(3)), 3)
    return torch.cat((wide, wide.flip(2)), 2)


def shifted(images: Tensor, down: int, right: int) -> Tensor:
    """Images (n, c, h, w) moved by whole pixels; what enters is the image mirrored at its edge."""
    height, width = images.shape[2:]
    rolled = torch.roll(mirrored(images), (down, right), (2, 3))
    return rolled[:, :, :height, :width].contiguous(memory_format=torch.channels_last)


def fourier_shift(maps: Tensor, by: float, dim: int) -> Tensor:
    """Periodic maps moved by `by` pixels along `dim`, a fraction if need be.

    Shift theorem: the frequency f (cycles per pixel) turns by the phase -2 pi f `by`. Exact for
    whole pixels. The frequency 1/2 of an even period has no half-way place: it keeps cos(pi by).
    """
    side = maps.shape[dim]
    spectrum = torch.fft.rfft(maps, dim=dim)
    frequency = torch.fft.rfftfreq(side, device=maps.device)
    turn = torch.exp(-2j * torch.pi * frequency * by)
    shape = [1] * maps.ndim
    shape[dim] = -1
    return torch.fft.irfft(spectrum * turn.view(shape), n=side, dim=dim)


def apply_periodically(layer: nn.Module, tile: Tensor) -> Tensor:
    """`layer` on the endless tiling of `tile` (n, c, h, w): one period of what comes out."""
    rows, columns = (
        torch.arange(-MARGIN, side + MARGIN, device=tile.device) % side for side in tile.shape[2:]
    )
    out = layer(tile[:, :, rows][:, :, :, columns])
    stride = len(rows) // out.shape[2]
    if len(rows) != stride * out.shape[2] or MARGIN % stride or tile.shape[2] % stride:
        raise ValueError(
            f"a layer that makes {out.shape[2]} rows of {len(rows)} has no whole stride that "
            f"divides {MARGIN} and {tile.shape[2]}: accepted are layers that give a whole part of "
            "the rows, such as those of stride 2 with padding or ceil_mode"
        )
    edge, height, width = MARGIN // stride, tile.shape[2] // stride, tile.shape[3] // stride
    return out[:, :, edge : edge + height, edge : edge + width]


@torch.no_grad()
def pooling_error(layer: nn.Module, maps: Tensor, shift: int) -> float:
    """How far a layer is from shifting its output when its input shifts, in percent.

    ||L(S x) - S' L(x)|| / ||L(x)|| over all `maps` (n, c, h, w), continued by mirroring, where S
    moves by `shift` pixels and S' by `shift` / stride, down and to the right in turn. For a
    linear layer it is zero exactly when its downsampling aliases nothing.
    """
    whole_number("shift", shift, 0)
    wrong, size = 0.0, 0.0
    with evaluating(layer):
        for part in maps.float().split(50):
            tile = mirrored(part)
            before = apply_periodically(layer, tile)
            stride = tile.shape[2] // before.shape[2]
            for dim in (2, 3):
                after = apply_periodically(layer, torch.roll(tile, shift, dim))
                expected = fourier_shift(before, shift / stride, dim)
                wrong += float((after - expected).square().sum())
                size += float(before.square().sum())
    if size == 0:  # a dead layer shifts nothing into nothing
        return math.inf if wrong else 0.0
    return 100 * (wrong / size) ** 0.5


def pooling_layers(model: nn.Module) -> dict[str, nn.Module]:
    """The layers that halve a map within each channel, by their path in the model."""
    kinds = (nn.MaxPool2d, nn.AvgPool2d, BlurPool, WideBlurPool, MixedPool)

    def halves(layer: nn.Module) -> bool:
        depthwise = isinstance(layer, nn.Conv2d) and 1 < layer.groups == layer.in_channels
        return isinstance(layer, kinds) or (depthwise and layer.stride == (2, 2))

    return {name: layer for name, layer in model.named_modules() if halves(layer)}


@torch.no_grad()
def pooling_errors(model: nn.Module, images: Tensor, shift: int = 1) -> dict[str, float]:
    """`pooling_error` of each pooling layer on the maps that it gets in the model, in order."""
    maps: dict[str, Tensor] = {}
    layers = pooling_layers(model)

    def keep(name: str, layer: nn.Module, inputs: tuple[Tensor]) -> None:
        maps[name] = inputs[0]

    with watching(layers, before=keep):
        _predicted(model, images, batch=len(images))
    return {name: pooling_error(layer, maps[name], shift) for name, layer in layers.items()}


@torch.no_grad()
def _predicted(
    model: nn.Module, images: Tensor, batch: int = 500, classes: int | None = None
) -> Tensor:
    """Predicted classes (n,), the first `classes` outputs alone, in evaluation mode."""
    with evaluating(model):
        return torch.cat([model(part)[:, :classes].argmax(1) for part in images.split(batch)])


def _predicted_when_shifted(
    model: nn.Module, images: Tensor, shifts: Sequence[int], classes: int | None = None
) -> dict[int, list[Tensor]]:
    """Predicted classes (n,) under each shift, one tensor for each of the four directions."""
    if not len(shifts):
        raise ValueError("give at least one shift, in pixels")
    side = min(images.shape[2:])
    for shift in shifts:
        if whole_number("shift", shift, 0) > side:
            raise ValueError(f"shifts must be at most the {side} pixels of the image, got {shift}")
    predictions = {}
    for shift in shifts:
        moves = [(down * shift, right * shift) for down, right in DIRECTIONS[: 4 if shift else 1]]
        predictions[shift] = [
            _predicted(model, shifted(images, *move), classes=classes) for move in moves
        ]
    return predictions


def _agreement(predictions: list[Tensor], target: Tensor) -> float:
    shares = [float((predicted == target).float().mean()) for predicted in predictions]
    return 100 * sum(shares) / len(shares)


def shift_consistency(model: nn.Module, images: Tensor, shifts: Sequence[int]) -> dict[int, float]:
    """Share (percent) of images whose predicted class stays the same, for each shift in pixels.

    `images` are normalised, (n, c, h, w); a shift is done down, up, right and left, and the four
    shares are averaged. A network that always says the same is perfectly consistent: read it
    beside the accuracy.
    """
    only_classifiers(model, "answers to shifted images are compared")
    still = _predicted(model, images)
    moved = _predicted_when_shifted(model, images, shifts)
    return {shift: _agreement(predicted, still) for shift, predicted in moved.items()}


@dataclass(frozen=True)
class ObserveShifts(Step):
    """Measures what shifts of 1 to `largest` pixels do, on validation images; changes nothing.

    Answers are compared on the first `images`, maps of the pooling layers on the first `maps`.
    """

    images: int = 2000
    largest: int = 8
    maps: int = 200

    def __post_init__(self) -> None:
        for name in ("images", "largest", "maps"):
            whole_number(name, getattr(self, name), 1)

    def apply(self, state: State) -> dict[str, Any]:
        """Per shift: consistency and accuracy (from shift 0); their means; errors of the pools."""
        only_classes(state.data, "answers to shifted images are compared")
        data, shifts = state.data, range(1, self.largest + 1)
        x = normalise(data.validation.images[: self.images], data.mean, data.std)
        labels = data.validation.labels[: self.images]
        still = _predicted(state.model, x, classes=data.num_classes)
        moved = _predicted_when_shifted(state.model, x, shifts, data.num_classes).values()
        same = [_agreement(predictions, still) for predictions in moved]
        right = [_agreement(predictions, labels) for predictions in moved]
        unmoved = _agreement([still], labels)
        return {
            "shift_consistency": same,
            "shift_accuracy": [unmoved, *right],
            "consistency_percent": sum(same) / len(same),
            "shift_drop_points": unmoved - sum(right) / len(right),
            "pooling_errors_percent": list(pooling_errors(state.model, x[: self.maps]).values()),
        }
