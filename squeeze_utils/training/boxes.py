"""Boxes on a grid of cells: which cell answers for which object, and from outputs to boxes.

A box is (left, top, right, bottom) in shares of the image's width and height. The grid has h x w
cells; the centre of cell (i, j) is ((j + 1/2) / w, (i + 1/2) / h).
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor
from torchvision.ops import batched_nms

from squeeze_utils.data.types import NO_BOX
from squeeze_utils.models.detector import BOX

CENTRAL = 0.5  # of a box's width and height: cells whose centre lies in this part answer for it
ANCHOR = 3.0  # cells: the side of each cell's anchor, the box that four zeros stand for
LARGEST = 4.0  # of the exponents: a side of 164 cells
SURE = 0.05  # detections with a lower score are not kept
SAME = 0.5  # overlap from which on two boxes of a class are taken for one
MOST = 100  # detections of an image


class Matched(NamedTuple):
    """Cells that answer for an object: image, row and column, its class, its box (p, 4)."""

    image: Tensor
    row: Tensor
    column: Tensor
    label: Tensor
    box: Tensor


def centres(height: int, width: int, device: torch.device | None = None) -> tuple[Tensor, Tensor]:
    """Horizontal (w,) and vertical (h,) places of the cells' centres."""
    x = (torch.arange(width, device=device) + 0.5) / width
    y = (torch.arange(height, device=device) + 0.5) / height
    return x, y


def match(boxes: Tensor, height: int, width: int) -> Matched:
    """Which cells of a grid answer for the boxes (b, most, 5) of a batch.

    A cell answers for a box if its centre lies in the box's central half (in width and height),
    or if the box's centre lies in the cell. Of several boxes it answers for the smallest.
    """
    x, y = centres(height, width, boxes.device)
    label, left, top, right, bottom = (part[..., None, None] for part in boxes.unbind(-1))
    middle, centre = (left + right) / 2, (top + bottom) / 2
    near = ((x - middle).abs() <= CENTRAL / 2 * (right - left)) & (
        (y[:, None] - centre).abs() <= CENTRAL / 2 * (bottom - top)
    )
    column, row = _cell(middle, width), _cell(centre, height)
    own = (torch.arange(width, device=boxes.device) == column) & (
        torch.arange(height, device=boxes.device)[:, None] == row
    )
    area = (right - left) * (bottom - top)
    area = torch.where((near | own) & (label != NO_BOX), area, torch.inf)  # (b, most, h, w)
    smallest, which = area.min(1)
    image, row, column = smallest.isfinite().nonzero(as_tuple=True)
    chosen = boxes[image, which[image, row, column]]
    return Matched(image, row, column, chosen[:, 0].long(), chosen[:, 1:])


def _cell(place: Tensor, count: int) -> Tensor:
    return (place * count).floor().clamp(0, count - 1)


def decoded(outputs: Tensor) -> Tensor:
    """Boxes (b, h, w, 4) that a detector's outputs (b, 5 + classes, h, w) stand for.

    A cell's anchor is the square of side a around its centre (x, y). With the cell's numbers z the
    box has the centre (x + a z1, y + a z2) and the sides a exp(z3) and a exp(z4).
    """
    height, width = outputs.shape[2:]
    x, y = centres(height, width, outputs.device)
    across, down = ANCHOR / width, ANCHOR / height
    middle, centre = x + across * outputs[:, 1], y[:, None] + down * outputs[:, 2]
    half = outputs[:, 3:5].clamp(max=LARGEST).exp() / 2
    wide, high = across * half[:, 0], down * half[:, 1]
    return torch.stack((middle - wide, centre - high, middle + wide, centre + high), -1)


class Detections(NamedTuple):
    """What was found in a batch, best first: image, class, score (n,), boxes (n, 4)."""

    image: Tensor
    label: Tensor
    score: Tensor
    box: Tensor

    def of(self, image: int) -> Detections:
        """Those of one image."""
        return Detections(*(part[self.image == image] for part in self))


@torch.no_grad()
def detect(outputs: Tensor, sure: float = SURE, same: float = SAME, most: int = MOST) -> Detections:
    """The boxes that outputs (b, 5 + classes, h, w) say, at most `most` an image.

    The score of a cell is the probability of an object times that of its likeliest class.
    Of boxes of one class that overlap by more than `same` the best scored stays.
    """
    boxes = decoded(outputs).clamp(0, 1)
    likeliest = outputs[:, BOX:].softmax(1).max(1)
    score = torch.sigmoid(outputs[:, 0]) * likeliest.values
    image, row, column = (score >= sure).nonzero(as_tuple=True)
    found = (score, likeliest.indices, boxes)
    score, label, boxes = (part[image, row, column] for part in found)
    kept = batched_nms(boxes, score, image * (outputs.shape[1] - BOX) + label, same)
    rank = torch.zeros_like(kept)
    for number in range(len(outputs)):
        own = image[kept] == number
        rank[own] = torch.arange(int(own.sum()), device=rank.device)
    kept = kept[rank < most]
    return Detections(image[kept], label[kept], score[kept], boxes[kept])
