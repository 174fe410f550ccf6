"""Codebooks for one layer's weights: where centroids start, Lloyd's steps, the exact optimum."""

from __future__ import annotations

from collections.abc import Callable

import kmeans1d
import numpy as np
import torch
from torch import Tensor

from squeeze_utils.base.checks import choose, whole_number

Start = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]
EXACT_UP_TO = 20_000  # weights; the exact optimum of more is found on that many quantiles


def _linear(values: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Evenly spaced from the smallest to the largest: few, but the large ones are met."""
    return np.linspace(values.min(), values.max(), count)


def _density(values: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Evenly spaced in the cumulative distribution: most where most weights are."""
    return np.quantile(values, (np.arange(count) + 0.5) / count)


def _random(values: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """Weights drawn from the layer (Forgy), at the same places of every layer of its size."""
    return np.sort(rng.choice(values, count, replace=len(values) < count))


STARTS: dict[str, Start] = {"linear": _linear, "density": _density, "random": _random}
METHODS: tuple[str, ...] = (*STARTS, "exact")


def centroids(values: Tensor, count: int, method: str = "linear") -> Tensor:
    """At most `count` centroids (float32, ascending) for one-dimensional `values`.

    Lloyd's algorithm from one of the STARTS, or "exact": the global optimum, which exists in one
    dimension because clusters are intervals (dynamic programming, Wu 1991).
    """
    choose("method", method, METHODS)
    whole_number("the number of centroids", count, 1)
    numbers = values.detach().double().cpu().numpy().reshape(-1)
    distinct = np.unique(numbers)
    if len(distinct) <= count:
        return torch.from_numpy(distinct).float()
    if method == "exact":
        found = _exact(numbers, count)
    else:
        start = STARTS[method](numbers, count, np.random.default_rng(0))
        found = _lloyd(np.sort(numbers), start)
    return torch.from_numpy(np.unique(found)).float()


def _exact(numbers: np.ndarray, count: int) -> np.ndarray:
    if len(numbers) > EXACT_UP_TO:
        sampled = np.quantile(numbers, (np.arange(EXACT_UP_TO) + 0.5) / EXACT_UP_TO)
        start = np.array(kmeans1d.cluster(sampled, count).centroids)
        return _lloyd(np.sort(numbers), start)
    return np.array(kmeans1d.cluster(numbers, count).centroids)


def _lloyd(ordered: np.ndarray, start: np.ndarray, steps: int = 30) -> np.ndarray:
    """Lloyd's steps on sorted numbers: a cluster is an interval, its mean a difference of sums."""
    sums = np.concatenate([[0.0], np.cumsum(ordered)])
    found = np.sort(start)
    for _ in range(steps):
        cuts = np.searchsorted(ordered, (found[1:] + found[:-1]) / 2)
        edges = np.concatenate([[0], cuts, [len(ordered)]])
        sizes = np.diff(edges)
        means = np.where(sizes > 0, np.diff(sums[edges]) / np.maximum(sizes, 1), found)
        if np.array_equal(means, found):
            break
        found = np.sort(means)
    return found


def assign(values: Tensor, book: Tensor) -> Tensor:
    """The nearest centroid's number for each of `values`, of the same shape."""
    middles = (book[1:] + book[:-1]) / 2
    return torch.searchsorted(middles.contiguous(), values.detach().contiguous())
