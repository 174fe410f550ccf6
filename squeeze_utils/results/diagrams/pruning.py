"""Diagrams of pruning: what holds a mask through training, and dense-sparse-dense."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.figure import Figure
from torch import Tensor

from squeeze_utils.compress.pruning import masks
from squeeze_utils.compress.pruning.steps import Densify, Prune
from squeeze_utils.results.diagrams.drawing import INK, Colour, Diagram, signed, tint
from squeeze_utils.training.loop import Train
from squeeze_utils.training.optimizers import make_schedule
from squeeze_utils.training.step import Step

MASKS_EXPLAINED = """\
The gradient of this step is masked as well. Momentum remembers earlier steps and moves the pruned
weights all the same (orange cells). So the mask is applied to the weights after every step."""


def _steps_of_a_mask() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Trained weights (4, 3), their mask, the pruned weights, and these after one more step.

    The step is momentum's, and its gradient is masked: only the memory of earlier ones moves
    what is pruned.
    """
    generator = torch.Generator().manual_seed(1758)
    weight, target = torch.randn(2, 4, 3, generator=generator) * 0.6
    optimizer = torch.optim.SGD([weight], lr=0.1, momentum=0.9)

    def step(mask: Tensor | float) -> Tensor:
        weight.grad = (weight - target) * mask
        optimizer.step()
        return weight.clone()

    for _ in range(3):
        dense = step(1.0)
    mask = masks.build({"weight": dense.abs()}, 0.5)["weight"]
    weight.mul_(mask)
    return dense, mask, weight.clone(), step(mask)


def masks_through_training() -> Figure:
    """Weights, mask, pruned weights; a step that revives them, and the mask applied again.

    The numbers are those of SGD with momentum on a small quadratic loss.
    """
    dense, mask, pruned, revived = _steps_of_a_mask()
    drawing, y, grids = Diagram(), 2.1, []
    panels = (dense, mask.float(), pruned, revived, revived * mask)
    names = ("trained weights", "mask", "pruned", "after a step", "mask again")
    for x, name, values in zip((0.85, 2.68, 4.5, 6.32, 8.15), names, panels, strict=True):

        def fill(i: int, j: int, values: Tensor = values) -> Colour:
            if mask[i, j] or values is dense:
                return tint("blue", 0.2)
            return tint("red", 0.65) if values[i, j] else tint("grey", 0.5)

        drawing.title(x, y + 0.86, name)
        words = [[signed(value) for value in row] for row in values.tolist()]
        grids.append(drawing.cells(x, y, words, fill))
    for before, after, sign in zip(grids, grids[1:], ("×", "=", "step", "mask"), strict=False):
        middle = (before.right[0] + after.left[0]) / 2
        if sign in "×=":
            drawing.text(middle, y, sign, 16)
        else:
            drawing.text(middle, y + 0.16, sign)
            drawing.arrow(before.right, after.left)
    level = 1.12
    drawing.arrow(grids[4].bottom, (grids[4].x, level), (grids[2].x, level), grids[2].bottom)
    drawing.text(grids[3].x, level - 0.14, "the next step begins here")
    drawing.text(4.5, 0.4, MASKS_EXPLAINED)
    return drawing.figure


Phase = tuple[Train, float, float]  # a training, the share of zeros held in it, and before it


def _phases(recipe: Sequence[Step]) -> list[Phase]:
    found: list[Phase] = []
    sparsity = 0.0
    for step in recipe:
        if isinstance(step, Prune):
            sparsity = step.sparsity
        elif isinstance(step, Densify):
            sparsity = 0.0
        elif isinstance(step, Train):
            found.append((step, sparsity, found[-1][1] if found else 0.0))
    if not found:
        raise ValueError("the recipe has no Train step: there is no phase to draw")
    return found


def dsd_phases(recipe: Sequence[Step]) -> Figure:
    """Dense, sparse, dense: a layer in each phase, and the learning rate below.

    `recipe` is a tuple of Train, Prune and Densify steps.
    """
    phases = _phases(recipe)
    drawing, left, width = Diagram(), 0.85, 7.95
    axes = drawing.plot(left, 0.5, width, 0.95)
    epochs = np.cumsum([0, *(train.epochs for train, _, _ in phases)])
    for (train, sparsity, before), begin, end in zip(phases, epochs, epochs[1:], strict=False):
        middle = left + width * (begin + end) / 2 / epochs[-1]
        name = "sparse" if sparsity else "dense again" if before else "dense"
        drawing.title(middle, 3.3, name)
        held, free = f"{100 * sparsity:.0f} % held at 0", "dashed: revived from 0"
        share = held if sparsity else free if before else "all weights"
        drawing.text(middle, 3.09, share)
        inches = width * train.epochs / epochs[-1]
        _layer(drawing, middle, min(0.9, 0.32 * inches), sparsity, before)
        t = np.linspace(0, 1, 201)
        factor = make_schedule(train.schedule, train.cycles, train.epochs)
        rates = [train.lr * factor(float(done)) for done in t]
        axes.plot(begin + t * (end - begin), rates, color=INK, linestyle="-", linewidth=1.8)
        if sparsity:
            axes.axvspan(begin, end, color=tint("grey", 0.25), linewidth=0, zorder=0)
            ends = middle - inches / 2, middle + inches / 2, 1.45 / drawing.height
            drawing.page.axvspan(*ends, color=tint("grey", 0.25), linewidth=0, zorder=0)
    axes.set(xlim=(0, epochs[-1]), ylim=(0, None), xticks=epochs)
    axes.set(xlabel="epochs", ylabel="learning rate")
    return drawing.figure


def _layer(drawing: Diagram, x: float, half: float, sparsity: float, before: float) -> None:
    """A layer of four by four units: thick lines are large weights, revived ones are dashed."""
    weights = torch.randn(4, 4, generator=torch.Generator().manual_seed(0))
    kept = masks.build({"layer": weights.abs()}, sparsity or before)["layer"]
    heights = [2.25 + 0.36 * (i - 1.5) for i in range(4)]
    for i, j in np.ndindex(4, 4):
        ends = (x - half, heights[i]), (x + half, heights[j])
        if kept[i, j]:
            width = 0.6 + float(weights[i, j].abs())
            drawing.line(*ends, colour=tint("blue", 1), linewidth=width)
        elif not sparsity:
            drawing.line(*ends, colour=tint("orange", 1), linewidth=1.2, linestyle="--")
    for end, height in ((end, height) for end in (-half, half) for height in heights):
        drawing.box(x + end, height, 0.12, 0.12, fill=INK, corner=0.06)
