"""A weight rounded to multiples of a learned step on its way into the layer, and its bits."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from squeeze_utils.compress.pricing import rate_model
from squeeze_utils.compress.sqz import forms

MOST = 255  # a number lies between -MOST and MOST
SMALLEST_STEP = 2.0**-14  # of the halves in which steps are kept with full precision
LARGEST_STEP = 2.0**14
SPEED = 4.0  # Adam moves every parameter by as much; a step moves by this many times as much
FORGETS = 0.02  # share of the counts that each training step renews


def half(step: Tensor) -> Tensor:
    """The nearest step that a file can hold: float16, neither subnormal nor infinite."""
    return step.clamp(SMALLEST_STEP, LARGEST_STEP).half().float()


class LearnedGrid(nn.Module):
    """A parametrization: `weight` becomes step * round(weight / step).

    The gradient passes the rounding (straight-through); that of the step is round(u) - u with
    u = weight / step, as in LSQ. What is trained is the step's logarithm, divided by SPEED. It
    starts from the step of a weight that lies on a grid already, so that its numbers stay, and
    from `first_step` root mean squares of any other.
    `shares` follows, slowly, which share of the numbers is not zero and how large they are on
    average.
    """

    def __init__(self, weight: Tensor, first_step: float = 1.0) -> None:
        super().__init__()
        step = half(torch.tensor([_own_step(weight) or first_step * _spread(weight)]))
        # One-dimensional, so that no optimizer takes it for a matrix and none lets it decay.
        self.log_step = nn.Parameter((step.log() / SPEED).to(weight.device))
        self.register_buffer("shares", self._counted(weight))

    @property
    def step(self) -> Tensor:
        """The step (1,), one that a file can hold; rounding to it passes the gradient."""
        free = (SPEED * self.log_step).clamp(math.log(SMALLEST_STEP), math.log(LARGEST_STEP)).exp()
        return free + (half(free) - free).detach()

    def numbers(self, weight: Tensor) -> Tensor:
        """The whole numbers that stand for `weight`."""
        return torch.round((weight / self.step).clamp(-MOST, MOST)).detach()

    def forward(self, weight: Tensor) -> Tensor:
        """`weight`, rounded."""
        step = self.step
        u = (weight / step).clamp(-MOST, MOST)
        return step * (u + (torch.round(u) - u).detach())

    def bits(self, weight: Tensor, least_zero: float = rate_model.LEAST_ZERO) -> Tensor:
        """All bits of `weight`, with a gradient, at the lengths that the counts so far imply."""
        found = rate_model.lengths(self.shares[0], self.shares[1], least_zero)
        return rate_model.bits((weight / self.step).clamp(-MOST, MOST), found).sum()

    @torch.no_grad()
    def recount(self, weight: Tensor) -> None:
        """Let the counts follow the numbers of now."""
        self.shares.lerp_(self._counted(weight), FORGETS)

    @torch.no_grad()
    def _counted(self, weight: Tensor) -> Tensor:
        size = self.numbers(weight).abs()
        return torch.stack([(size > 0).float().mean(), size.mean()])


def _own_step(weight: Tensor) -> float | None:
    """The step of which all of a weight's numbers are small multiples; None if there is none."""
    found = forms.find_steps(forms.values_of(weight), rows=1)
    largest = float(weight.detach().abs().max())
    if found is None or not SMALLEST_STEP <= found[0] <= LARGEST_STEP or largest > MOST * found[0]:
        return None
    return float(found[0])


def _spread(weight: Tensor) -> float:
    return float(weight.detach().square().mean().sqrt()) or 0.05


def grids_of(model: nn.Module) -> Iterator[tuple[str, LearnedGrid, nn.Parameter]]:
    """Name, grid and unrounded parameter of everything in `model` that has a learned grid."""
    for layer, module in model.named_modules():
        if parametrize.is_parametrized(module):
            for part, parts in module.parametrizations.items():
                if isinstance(parts[0], LearnedGrid):
                    yield f"{layer}.{part}".lstrip("."), parts[0], parts.original
