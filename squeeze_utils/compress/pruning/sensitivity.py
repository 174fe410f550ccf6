"""How much each layer can lose by itself, and a budget that follows from it."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from squeeze_utils.compress.pruning.masks import check_sparsity, keep_largest, kept_count
from squeeze_utils.compress.pruning.scores import Scores
from squeeze_utils.compress.replacing import restored
from squeeze_utils.training.evaluation import evaluate
from squeeze_utils.training.step import State

GRID = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98)
Curves = dict[str, list[tuple[float, float]]]


def scan(
    state: State, scores: Scores, sparsities: Sequence[float] = GRID, images: int = 1000
) -> Curves:
    """Validation accuracy (percent) with one layer pruned and all others whole, for each layer.

    Each curve starts with (0, accuracy of the network as it is). On the first `images`
    validation images; the model is left as it was.
    """

    def smallest(name: str, sparsity: float) -> dict[str, Tensor]:
        score = scores[name]
        return {name: keep_largest(score, kept_count(score.numel(), sparsity))}

    return scan_masks(state, scores, smallest, sparsities, images)


@torch.no_grad()
def scan_masks(
    state: State,
    layers: Iterable[str],
    masks_of: Callable[[str, float], Mapping[str, Tensor]],
    sparsities: Sequence[float] = GRID,
    images: int = 1000,
) -> Curves:
    """What `scan` measures, for any way of pruning one layer.

    `masks_of` gives, for a layer and a sparsity, the masks of all parameters that change.
    """
    some = state.data.validation.first(images)
    whole = evaluate(state.model, some, state.data).accuracy
    curves: Curves = {}
    for layer in layers:
        curves[layer] = [(0.0, whole)]
        for sparsity in sparsities:
            masks = masks_of(layer, sparsity)
            pruned = {name: state.model.get_parameter(name) for name in masks}
            with restored(*pruned.values()):
                for name, parameter in pruned.items():
                    parameter.data = parameter.data * masks[name]
                accuracy = evaluate(state.model, some, state.data).accuracy
            curves[layer].append((float(sparsity), accuracy))
    return curves


def allocate(curves: Curves, sizes: Mapping[str, int], sparsity: float) -> dict[str, float]:
    """A sparsity for each layer so that `sparsity` is reached over all and little is lost.

    Losses are taken to add up. Along each layer's curve, made convex from below, the pieces
    that cost the least accuracy per weight removed are taken first; the last one in part.
    """
    check_sparsity(sparsity)
    pieces = []
    for name, curve in curves.items():
        hull = lower_hull([(s, max(0.0, curve[0][1] - accuracy)) for s, accuracy in curve])
        for (s0, l0), (s1, l1) in itertools.pairwise(hull):
            weights = (s1 - s0) * sizes[name]
            pieces.append(((l1 - l0) / weights, name, s0, s1))
    wanted = sparsity * sum(sizes[name] for name in curves)
    chosen = dict.fromkeys(curves, 0.0)
    for _, name, s0, s1 in sorted(pieces):
        step = min((s1 - s0) * sizes[name], wanted)
        chosen[name] += step / sizes[name]
        wanted -= step
    if wanted > 0.5:
        top = max(s for curve in curves.values() for s, _ in curve)
        raise ValueError(f"the scan reaches sparsity {top:g} only, {sparsity:g} is asked for")
    return chosen


def lower_hull(points: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The lower convex hull of points that are sorted by their first number."""
    hull: list[tuple[float, float]] = []
    for point in points:
        while len(hull) > 1 and _turns_down(hull[-2], hull[-1], point):
            hull.pop()
        hull.append(point)
    return hull


def _turns_down(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> bool:
    return (b[1] - a[1]) * (c[0] - a[0]) >= (c[1] - a[1]) * (b[0] - a[0])


def sizes_of(scores: Mapping[str, Tensor]) -> dict[str, int]:
    """How many weights, or channels, each layer has: as many as it has scores."""
    return {name: score.numel() for name, score in scores.items()}
