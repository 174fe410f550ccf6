"""What augmentation draws for every image of a pass, and what it does with it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from squeeze_utils.base.checks import real_number, true_or_false
from squeeze_utils.data.distortions import recoloured, rotated, sharpened
from squeeze_utils.data.types import DataError, checked_count


@dataclass(frozen=True)
class Augment:
    """Random changes of training images, drawn anew for every image in every epoch.

    ``shift``: move by up to that many pixels in each direction; what comes in at the edge is the
    image reflected there (the edge pixel itself is not repeated).
    ``flip``: mirror left and right with probability 1/2.
    ``cutout``: cover a square of that side (pixels) around a random pixel with the mean colour;
    the square is clipped at the border (DeVries and Taylor, 2017).
    ``rotation``: turn by up to that many degrees in either direction, edges as with ``shift``.
    ``colour``: change brightness, contrast and saturation, each by a factor between 1 - colour
    and 1 + colour.
    ``sharpness``: sharpen by a factor between 1 (not at all) and 1 + sharpness.

    They happen in the order flip, shift, rotation, colour, sharpness, cutout.
    """

    shift: int = 0
    flip: bool = False
    cutout: int = 0
    rotation: float = 0
    colour: float = 0.0
    sharpness: float = 0.0

    def __post_init__(self) -> None:
        for name in ("shift", "cutout"):
            checked_count(name, getattr(self, name), 0)
        true_or_false("flip", self.flip, DataError)
        for name, most in (("rotation", 180), ("colour", 1), ("sharpness", 10)):
            real_number(name, getattr(self, name), least=0, most=most, error=DataError)

    def drawn(self, n: int, sides: Sequence[int], generator: torch.Generator) -> dict[str, Tensor]:
        """Every random number of a pass over n images of these sides: their order ("index"), and
        for each place in it what happens to the image."""
        height, width = sides

        def below(stop: int) -> Tensor:
            return torch.randint(stop, (n,), generator=generator)

        draws = {"index": torch.randperm(n, generator=generator)}
        if self.shift:
            draws["down"] = below(2 * self.shift + 1) - self.shift
            draws["right"] = below(2 * self.shift + 1) - self.shift
        if self.flip:
            draws["flip"] = below(2).bool()
        if self.cutout:
            draws["row"], draws["column"] = below(height), below(width)
        return draws | self._drawn_distortions(n, generator)

    def _drawn_distortions(self, n: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Degrees and factors for each image."""

        def between(low: float, high: float) -> Tensor:
            return low + (high - low) * torch.rand(n, generator=generator)

        draws = {}
        if self.rotation:
            draws["degrees"] = between(-self.rotation, self.rotation)
        if self.colour:
            for name in ("brightness", "contrast", "saturation"):
                draws[name] = between(1 - self.colour, 1 + self.colour)
        if self.sharpness:
            draws["sharpness"] = between(1, 1 + self.sharpness)
        return draws


def places(draws: dict[str, Tensor], sides: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Which row (b, height) and column (b, width) of the image comes where."""
    index, (height, width) = draws["index"], sides
    rows = torch.arange(height, device=index.device).expand(len(index), height)
    columns = torch.arange(width, device=index.device).expand(len(index), width)
    if "flip" in draws:
        columns = torch.where(draws["flip"][:, None], columns.flip(1), columns)
    if "down" in draws:
        rows = _reflect(rows - draws["down"][:, None], height)
        right = draws["right"]
        if "flip" in draws:  # the image is flipped first, then shifted
            right = torch.where(draws["flip"], -right, right)
        columns = _reflect(columns - right[:, None], width)
    return rows, columns


def _reflect(at: Tensor, side: int) -> Tensor:
    """Fold positions outside 0..side-1 back in, mirrored at the edge pixels."""
    at = at.abs()
    return torch.where(at >= side, 2 * (side - 1) - at, at)


def distorted(pixels: Tensor, draws: dict[str, Tensor]) -> Tensor:
    """What is drawn of rotation, colour and sharpness; without any, the bytes as they are."""
    if "degrees" in draws:
        pixels = rotated(pixels.float(), draws["degrees"])
    if "brightness" in draws:
        factors = (draws[name] for name in ("brightness", "contrast", "saturation"))
        pixels = recoloured(pixels.float(), *factors)
    if "sharpness" in draws:
        pixels = sharpened(pixels.float(), draws["sharpness"])
    return pixels


def covered(draws: dict[str, Tensor], sides: Sequence[int], cutout: int) -> Tensor:
    """Flat positions of the pixels under the squares; what lies outside is moved inside."""
    (row, column), (height, width) = (draws["row"], draws["column"]), sides
    offsets = torch.arange(cutout, device=row.device) - cutout // 2
    y = (row[:, None] + offsets).clamp_(0, height - 1)
    x = (column[:, None] + offsets).clamp_(0, width - 1)
    y += torch.arange(len(row), device=row.device)[:, None] * height
    return (y[:, :, None] * width + x[:, None, :]).view(-1)
