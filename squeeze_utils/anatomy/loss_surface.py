"""The loss around a solution: two random directions, scaled filter by filter, and a grid.

After H. Li et al. 2018, "Visualizing the loss landscape of neural nets", section 4.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from squeeze_utils.base.checks import real_number, whole_number
from squeeze_utils.data import ImageSet, Split
from squeeze_utils.training.evaluation import evaluate
from squeeze_utils.training.step import State, Step

Direction = Mapping[str, Tensor]


def random_directions(model: nn.Module, generator: torch.Generator) -> tuple[Direction, Direction]:
    """Two random directions in the space of the model's parameters, by parameter name.

    Each filter (the weights of one output) is drawn from a normal distribution and then given
    the length of the model's own filter in that place: d_i <- d_i |w_i| / |d_i|. Biases and the
    parameters of normalisation, which have one dimension or none, are not moved: zeros.
    `generator` is a CPU generator; the numbers are the same on every device.
    """
    return _random_direction(model, generator), _random_direction(model, generator)


@torch.no_grad()
def _random_direction(model: nn.Module, generator: torch.Generator) -> dict[str, Tensor]:
    direction = {}
    for name, weight in model.named_parameters():
        if weight.ndim < 2:
            direction[name] = torch.zeros_like(weight)
            continue
        drawn = torch.randn(weight.shape, generator=generator).to(weight)
        direction[name] = drawn * (_filter_norms(weight) / _filter_norms(drawn))
    return direction


def _filter_norms(weight: Tensor) -> Tensor:
    """Euclidean norm over all axes but the first, shaped to multiply `weight`."""
    norms = weight.flatten(1).norm(dim=1)
    return norms.view(-1, *[1] * (weight.ndim - 1))


def grid_offsets(span: float, points: int) -> Tensor:
    """The steps along one direction, -span to span; an odd number, so that 0 is among them."""
    real_number("span", span, above=0)
    if whole_number("points", points, 3) % 2 == 0:
        raise ValueError(f"points must be odd, so that the solution is one of them, got {points}")
    half = points // 2
    return torch.arange(-half, half + 1, dtype=torch.float64) * (span / half)


def loss_surface(
    model: nn.Module,
    split: Split,
    data: ImageSet,
    directions: Sequence[Direction],
    *,
    span: float = 0.5,
    points: int = 13,
    images: int | None = None,
) -> Tensor:
    """Mean loss (nats) on a grid around the model, (points, points) in float64.

    Entry (i, j) belongs to the parameters w + a_i d + a_j e, with (d, e) the two directions and a
    the steps of `grid_offsets`; the middle one is the model itself. Only the first `images` of the
    split are used. Batch normalisation keeps the running statistics of the solution. The model
    is afterwards what it was, bit by bit, also when something fails on the way.
    """
    steps = grid_offsets(span, points)
    first, second = _checked(model, directions)
    count = len(split) if images is None else whole_number("images", images, 1)
    part = split.first(count)
    kept = {name: p.detach().clone() for name, p in model.named_parameters()}
    grid = torch.empty(points, points, dtype=torch.float64)
    try:
        for i, a in enumerate(steps.tolist()):
            for j, b in enumerate(steps.tolist()):
                moved = {n: w + a * first[n] + b * second[n] for n, w in kept.items()}
                _set_parameters(model, moved)
                grid[i, j] = evaluate(model, part, data).loss
    finally:
        _set_parameters(model, kept)
    return grid


@torch.no_grad()
def _set_parameters(model: nn.Module, values: Direction) -> None:
    for name, parameter in model.named_parameters():
        parameter.copy_(values[name])


def _checked(model: nn.Module, directions: Sequence[Direction]) -> Sequence[Direction]:
    """The two directions, if they belong to a model with these parameters."""
    if len(directions) != 2:
        raise ValueError(f"a surface has two directions, got {len(directions)}")
    shapes = {name: p.shape for name, p in model.named_parameters()}
    for direction in directions:
        if {name: d.shape for name, d in direction.items()} != shapes:
            raise ValueError(
                "the directions are those of another model: make them with "
                "random_directions(model, ...)"
            )
    return directions


def mean_loss_rise(grid: Tensor, span: float, within: float) -> float:
    """Mean loss of the grid's points at a distance up to `within` of the middle, less its own."""
    steps = grid_offsets(span, len(grid))
    distance = (steps[:, None].square() + steps[None, :].square()).sqrt()
    near = (distance <= within + 1e-9) & (distance > 0)
    if not near.any():
        raise ValueError(f"no point of the grid lies within {within} of the middle")
    middle = len(grid) // 2
    return float(grid[near].mean() - grid[middle, middle])


@dataclass(frozen=True)
class ObserveSurface(Step):
    """Measures the loss around the network on the first `images` training images.

    Changes nothing. What is not finite becomes None in the record.
    """

    span: float = 0.5
    points: int = 13
    images: int = 1000

    def __post_init__(self) -> None:
        grid_offsets(self.span, self.points)
        whole_number("images", self.images, 1)

    def apply(self, state: State) -> dict[str, Any]:
        """The grid of losses, rounded to 4 digits."""
        where = random_directions(state.model, state.generator)
        how = {"span": self.span, "points": self.points, "images": self.images}
        grid = loss_surface(state.model, state.data.train, state.data, where, **how)
        return {"surface": [[_rounded(loss) for loss in row] for row in grid.tolist()]}


def _rounded(loss: float) -> float | None:
    return round(loss, 4) if math.isfinite(loss) else None
