"""Pictures with boxes or masks drawn over them: what is true, and what networks say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import numpy as np
import torch
from matplotlib.colors import ListedColormap
from matplotlib.patches import Rectangle
from torch import Tensor, nn

from squeeze_utils.data import ImageSet, normalise
from squeeze_utils.data.types import NO_BOX, VOID
from squeeze_utils.results.figures import LINESTYLES, PALETTE
from squeeze_utils.training.boxes import detect
from squeeze_utils.training.evaluation import evaluating

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SHOWN = 0.3  # boxes with a lower score are not drawn
WIDTH = 8.0  # inches, of a figure

# Of each image rows (class, score, left, top, right, bottom), or of all of them masks (n, h, w).
Answer = Sequence[Tensor] | Tensor


def true_answer(data: ImageSet, count: int) -> Answer:
    """The labels of the first `count` test images in the form of an answer."""
    labels = data.test.labels[:count]
    if data.task == "segmentation":
        return labels
    rows = [row[row[:, 0] != NO_BOX] for row in labels]
    return [torch.cat((row[:, :1], torch.ones(len(row), 1), row[:, 1:]), 1) for row in rows]


@torch.no_grad()
def answer_of(model: nn.Module, data: ImageSet, count: int) -> Answer:
    """What a network says of the first `count` test images: boxes above a score, or masks."""
    with evaluating(model):
        outputs = model(normalise(data.test.images[:count], data.mean, data.std))
    if data.task == "segmentation":
        return outputs.argmax(1).to(torch.uint8)
    found = detect(outputs, sure=SHOWN)
    parts = [found.label[:, None].float(), found.score[:, None], found.box]
    rows = torch.cat(parts, 1)
    return [rows[found.image == image] for image in range(count)]


def box_pictures(data: ImageSet, answers: Mapping[str, Answer], title: str = "") -> Figure:
    """A row of pictures for each answer, boxes named by their class; rows are named at the left."""
    fig, axes = _grid(data, answers, title)
    for row, rows in zip(axes, answers.values(), strict=True):
        for ax, boxes in zip(row, rows, strict=True):
            for box in boxes.tolist():
                _draw_box(ax, data, *box)
    return fig


def mask_pictures(data: ImageSet, answers: Mapping[str, Answer], title: str = "") -> Figure:
    """A row of pictures for each answer, each class in its own grey and colour."""
    fig, axes = _grid(data, answers, title)
    colours = class_colours(data.num_classes)
    for row, masks in zip(axes, answers.values(), strict=True):
        for ax, mask in zip(row, masks, strict=True):
            shown = np.where(mask.numpy() == VOID, data.num_classes, mask.numpy())
            ax.imshow(shown, cmap=colours, vmin=0, vmax=data.num_classes, interpolation="nearest")
    return fig


def class_colours(classes: int) -> ListedColormap:
    """A colour for each class, the first one pale; the last, black, is for pixels without one."""
    stops = plt.get_cmap("viridis")(np.linspace(0.05, 1, max(1, classes - 1)))
    return ListedColormap([(0.93, 0.93, 0.93, 1.0), *stops, (0.0, 0.0, 0.0, 1.0)])


def _grid(data: ImageSet, answers: Mapping[str, Answer], title: str) -> tuple[Figure, Any]:
    """Axes (answers, images) with the test images in them."""
    count = len(next(iter(answers.values())))
    _, height, width = data.shape
    size = (WIDTH, WIDTH / count * len(answers) * height / width + 0.4)
    fig, axes = plt.subplots(len(answers), count, figsize=size, squeeze=False)
    for name, row in zip(answers, axes, strict=True):
        row[0].set_ylabel(name)
        for ax, image in zip(row, data.test.images[:count], strict=True):
            pixels = image.permute(1, 2, 0).numpy().squeeze()
            ax.imshow(pixels, cmap="gray" if pixels.ndim == 2 else None, vmin=0, vmax=255)
            ax.set_xticks([])
            ax.set_yticks([])
            ax.grid(False)
    fig.suptitle(title)
    return fig, axes


def _draw_box(ax: Axes, data: ImageSet, label: float, score: float, *sides: float) -> None:
    """A rectangle with the class, and the score of an answer, at its upper left corner."""
    _, height, width = data.shape
    left, top, right, bottom = (
        side * n for side, n in zip(sides, [width, height] * 2, strict=True)
    )
    number = int(label) % len(PALETTE)
    colour = "#F0E442" if PALETTE[number] == "#000000" else PALETTE[number]
    look = {"edgecolor": colour, "linewidth": 1.3, "linestyle": LINESTYLES[number], "fill": False}
    ax.add_patch(Rectangle((left - 0.5, top - 0.5), right - left, bottom - top, **look))
    words = data.classes[int(label)] + ("" if score == 1 else f" {score:.1f}")
    background = {"facecolor": "black", "alpha": 0.6, "pad": 0.8, "linewidth": 0}
    ax.text(left, top, words, color="white", size=6, va="bottom", bbox=background)
