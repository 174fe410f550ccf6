"""Pruning and rounding in turns, within one training and one schedule of the learning rate."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import nn
from torch.nn.utils import parametrize

from squeeze_utils.base.checks import choose, whole_number
from squeeze_utils.compress.pruning import masks, sensitivity
from squeeze_utils.compress.pruning.scores import prunable
from squeeze_utils.compress.pruning.steps import hold
from squeeze_utils.training.step import AfterStep, State, Within, trained_parameter

FIRST: tuple[str, ...] = ("prune", "round")
SCOPES: tuple[str, ...] = ("sensitivity", "layer")


@dataclass(frozen=True)
class Alternate(Within):
    """Prune and round in turns of equal length: a part of `QuantizedTrain`.

    Training is cut into `turns`, an even number, of which every other one prunes. A turn that
    prunes begins by removing the smallest weights: after the r-th of R such turns a share
    1 - (1 - sparsity)^(r/R) is zero, and stays zero: of each layer as much as a scan of the
    network before the training allows, or with `scope` "layer" the same share of each. During
    such a turn the other weights are not rounded. In the turns between, weights are rounded in
    every step. The last turn always rounds, so that the network ends on its grid. So with `first`
    "prune" and two turns the network is pruned, then rounded; with `first` "round" and two turns
    it is rounded, then pruned while it stays rounded. `exclude` names layers that are not pruned.

    >>> round(Alternate(0.9, turns=4).sparsity_of(1), 3)
    0.684
    """

    sparsity: float
    turns: int = 2
    first: str = "prune"
    exclude: tuple[str, ...] = ()
    scope: str = "sensitivity"

    def __post_init__(self) -> None:
        masks.check_sparsity(self.sparsity)
        whole_number("turns", self.turns, 2)
        if self.turns % 2:
            raise ValueError(f"turns must be even, half of them prune, got {self.turns}")
        choose("first", self.first, FIRST)
        choose("scope", self.scope, SCOPES)
        object.__setattr__(self, "exclude", tuple(self.exclude))

    def prunes(self, turn: int) -> bool:
        """Whether a turn, counted from 0, begins with pruning."""
        return turn % 2 == (0 if self.first == "prune" else 1)

    def rounds(self, turn: int) -> bool:
        """Whether weights are rounded during a turn."""
        return not self.prunes(turn) or turn == self.turns - 1

    def sparsity_of(self, count: int) -> float:
        """The share of zeros after `count` turns that prune."""
        return 1 - (1 - self.sparsity) ** (2 * count / self.turns)

    def callback(self, state: State) -> AfterStep:
        """Begins a turn before its first step; the first one begins now."""
        parts = list(_roundings(state.model))
        if not parts:
            raise ValueError("nothing rounds here: use Alternate within QuantizedTrain")
        for part in parts:
            part.is_on = torch.tensor(True, device=part.scale.device)
        budgets = self._budgets(state)
        self._begin(0, state, budgets, parts)

        def turn_over(model: nn.Module, step: int, steps: int) -> None:
            if steps < self.turns:
                raise ValueError(f"{self.turns} turns need as many steps, not {steps}")
            before, now = (self.turns * done // steps for done in (step - 1, step))
            if now > before and now < self.turns:
                self._begin(now, state, budgets, list(_roundings(model)))

        return turn_over

    def _budgets(self, state: State) -> list[dict[str, float]]:
        """The share of zeros of each layer after each turn that prunes."""
        names = list(prunable(state.model, self.exclude))
        counts = range(1, self.turns // 2 + 1)
        if self.scope == "layer":
            return [dict.fromkeys(names, self.sparsity_of(count)) for count in counts]
        plain = _unrounded(state.model).to(state.device, memory_format=torch.channels_last)
        scores = {name: plain.get_parameter(name).detach().abs() for name in names}
        curves = sensitivity.scan(State(plain, state.data, state.device), scores)
        sizes = sensitivity.sizes_of(scores)
        return [sensitivity.allocate(curves, sizes, self.sparsity_of(count)) for count in counts]

    def _begin(
        self, turn: int, state: State, budgets: list[dict[str, float]], parts: list[nn.Module]
    ) -> None:
        if self.prunes(turn):
            _prune(state, budgets[turn // 2])
        for part in parts:
            part.is_on.fill_(self.rounds(turn))


@torch.no_grad()
def _prune(state: State, budget: dict[str, float]) -> None:
    sizes = {name: trained_parameter(state.model, name).detach().abs() for name in budget}
    scores = {n: masks.pruned_last(size, state.masks.get(n)) for n, size in sizes.items()}
    hold(state, masks.build(scores, 0.0, per_layer=budget))


def _roundings(model: nn.Module) -> Iterator[nn.Module]:
    """What rounds the weights of a network while `QuantizedTrain` trains it."""
    for module in model.modules():
        if parametrize.is_parametrized(module, "weight"):
            yield from (p for p in module.parametrizations.weight if hasattr(p, "is_on"))


def _unrounded(model: nn.Module) -> nn.Module:
    """A copy with the weights that training changes, which nothing rounds."""
    found = {}
    for name, tensor in model.state_dict().items():
        layer, _, part = name.partition(".parametrizations.weight.")
        if not part:
            found[name] = tensor
        elif part == "original":
            found[f"{layer}.weight"] = tensor
    copy = model.spec.build()
    copy.load_state_dict(found)
    return copy
