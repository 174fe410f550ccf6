"""Sparsity that changes during training: gradual pruning, and connections that move."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from squeeze_utils.base.checks import choose, real_number, whole_number
from squeeze_utils.compress.pruning import masks
from squeeze_utils.compress.pruning.scores import freeze_layer_options, prunable
from squeeze_utils.compress.pruning.steps import hold
from squeeze_utils.training.step import (
    AfterStep,
    State,
    Within,
    check_not_shared,
    trained_parameter,
)

GROWTH: tuple[str, ...] = ("gradient", "random")


def cubic(t: float, final: float, begin: float = 0.0, end: float = 1.0) -> float:
    """Sparsity at the share t of training (Zhu and Gupta 2017, eq. 1, from zero)."""
    done = min(1.0, max(0.0, (t - begin) / (end - begin)))
    return final * (1 - (1 - done) ** 3)


def _check_span(begin: float, end: float) -> None:
    if not 0 <= begin < end <= 1:
        raise ValueError(f"begin and end are shares of training, begin < end, got {begin}, {end}")


@dataclass(frozen=True)
class Gradual(Within):
    """Prune by magnitude every `every` steps, on a cubic from nothing to `sparsity`.

    Pruning goes on from the share `begin` of training to `end`; the rest is left for recovery.
    `per_layer` gives pairs (parameter name, sparsity) that go before `sparsity`.
    """

    sparsity: float
    scope: str = "layer"
    begin: float = 0.1
    end: float = 0.7
    every: int = 16
    exclude: tuple[str, ...] = ()
    per_layer: tuple[tuple[str, float], ...] = ()

    def __post_init__(self) -> None:
        freeze_layer_options(self)
        for share in (self.sparsity, *(share for _, share in self.per_layer)):
            masks.check_sparsity(share)
        if self.per_layer and self.scope == "global":
            raise ValueError('per_layer needs scope "layer": "global" has one threshold for all')
        choose("scope", self.scope, masks.SCOPES)
        _check_span(self.begin, self.end)
        whole_number("every", self.every, 1)

    def callback(self, state: State) -> AfterStep:
        """Tightens the state's masks; weights that went do not come back."""
        check_not_shared(state, self)
        names = list(prunable(state.model, self.exclude))

        def tighten(model: nn.Module, step: int, steps: int) -> None:
            last = step == steps
            if not last and (step % self.every or step / steps > self.end + self.every / steps):
                return
            sizes = {name: trained_parameter(model, name).detach().abs() for name in names}
            scores = {n: masks.pruned_last(size, state.masks.get(n)) for n, size in sizes.items()}
            share, *own = (
                cubic(step / steps, final, self.begin, self.end)
                for final in (self.sparsity, *(final for _, final in self.per_layer))
            )
            shares = dict(zip((name for name, _ in self.per_layer), own, strict=True))
            hold(state, masks.build(scores, share, self.scope, per_layer=shares))

        return tighten


@dataclass(frozen=True)
class Rewire(Within):
    """Sparse from the start to the end: the smallest weights go, as many others come.

    Every `every` steps a share of each layer's connections, falling from `fraction` to zero on a
    cosine, is dropped and grown anew: where the gradient is largest (RigL, Evci et al. 2020) or
    anywhere (SET, Mocanu et al. 2018). New connections start at zero. Needs a pruned network.
    """

    fraction: float = 0.3
    grow: str = "gradient"
    every: int = 32
    end: float = 0.75

    def __post_init__(self) -> None:
        real_number("fraction", self.fraction, above=0, below=1)
        choose("growth", self.grow, GROWTH)
        whole_number("every", self.every, 1)
        _check_span(0.0, self.end)

    def callback(self, state: State) -> AfterStep:
        """Moves connections; how many each layer has does not change."""
        check_not_shared(state, self)
        if not state.masks:
            raise ValueError("nothing to rewire: put a Prune step before the training")

        def rewire(model: nn.Module, step: int, steps: int) -> None:
            t = step / steps
            if step % self.every or t >= self.end:
                return
            share = self.fraction * (1 + math.cos(math.pi * t / self.end)) / 2
            for name, mask in state.masks.items():
                weight = trained_parameter(model, name)
                state.masks[name] = self._moved(weight, mask.bool(), share, state.generator)

        return rewire

    @torch.no_grad()
    def _moved(
        self, weight: Tensor, mask: Tensor, share: float, generator: torch.Generator
    ) -> Tensor:
        alive = int(mask.sum())
        count = min(round(share * alive), mask.numel() - alive)
        if not count:
            return mask
        size = torch.where(mask, weight.detach().abs(), -torch.inf)
        kept = masks.keep_largest(size, alive - count)
        if self.grow == "random":
            wish = torch.rand(mask.shape, generator=generator).to(weight.device)
        else:
            wish = torch.zeros_like(weight) if weight.grad is None else weight.grad.abs()
        grown = masks.keep_largest(torch.where(mask, -torch.inf, wish), count)
        weight.mul_(kept)
        return kept | grown
