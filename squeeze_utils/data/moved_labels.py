"""Boxes and masks that follow their images, where augmentation mirrors and moves those."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from squeeze_utils.data.types import NO_BOX

LEFT_OVER = 0.25  # a box is dropped when less than this share of its area stays in the picture


def moved_masks(masks: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
    """Masks (b, h, w) with row `rows` (b, h) and column `columns` (b, w) in each place."""
    image = torch.arange(len(masks), device=masks.device)[:, None, None]
    return masks[image, rows[:, :, None], columns[:, None, :]]


def moved_boxes(boxes: Tensor, draws: dict[str, Tensor], sides: Sequence[int]) -> Tensor:
    """Boxes (b, most, 5), mirrored where "flip" is drawn, then moved by "down" and "right".

    `sides` are height and width in pixels, the unit of the moves. Boxes are cut at the border; one
    with less than a quarter of its area left inside is dropped.
    """
    label, left, top, right, bottom = boxes.unbind(-1)
    if "flip" in draws:
        flip = draws["flip"][:, None]
        left, right = torch.where(flip, 1 - right, left), torch.where(flip, 1 - left, right)
    if "down" in draws:
        area = (right - left) * (bottom - top)
        down, across = draws["down"][:, None] / sides[0], draws["right"][:, None] / sides[1]
        left, right = (left + across).clamp(0, 1), (right + across).clamp(0, 1)
        top, bottom = (top + down).clamp(0, 1), (bottom + down).clamp(0, 1)
        kept = (right - left) * (bottom - top) >= LEFT_OVER * area
        label = torch.where(kept, label, float(NO_BOX))
    return torch.stack((label, left, top, right, bottom), -1)
