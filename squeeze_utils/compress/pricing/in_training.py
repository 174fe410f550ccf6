"""Training with a price on bits: a term of the loss, and weights that are rounded all the time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from squeeze_utils.base.checks import real_number
from squeeze_utils.compress.pricing import rate_model
from squeeze_utils.compress.pricing.learned_grid import LearnedGrid, grids_of
from squeeze_utils.compress.pruning.scores import prunable
from squeeze_utils.training.step import Penalty, State, Within, owner


@dataclass(frozen=True)
class PriceBits(Within):
    """Pay `price` nats of the mean loss for each bit of the weights and biases.

    The loss becomes cross entropy + price(t) * R, where R are the bits of all whole numbers under
    the model of `rate_model`, counted as training goes on. The price rises linearly until the
    share `rise` of training and then stays. Every convolution and dense layer has a learned step
    for its weights and one for its biases; steps begin at `first_step` root mean squares of what
    they round, or where the network is rounded already, as by `Squeeze`, at the steps it has (at a
    multiple, where all numbers of a tensor share a factor). Biases begin at `first_bias_step`, if
    that is not 0: where normalisation is folded into them they are large, and need fine steps.
    `least_zero` is the smallest probability of zero that the price assumes: at 0 a
    layer can lock itself into two values that are not zero. When training ends the weights are
    the rounded ones, and the state knows their grids.

    >>> import squeeze_utils as sq
    >>> digits = sq.load_images("digits", size=8)
    >>> state = sq.State(sq.build("lenet_300_100", image_size=8), digits)
    >>> how = {"optimizer": "adamw", "lr": 3e-3}
    >>> _ = sq.Train(2, during=(PriceBits(1e-4),), **how).apply(state)
    >>> state.model.classifier[0].weight.unique().numel() < 100
    True
    """

    price: float
    rise: float = 0.5
    first_step: float = 1.0
    first_bias_step: float = 0.0
    least_zero: float = rate_model.LEAST_ZERO

    def __post_init__(self) -> None:
        real_number("price", self.price, least=0)
        real_number("rise", self.rise, least=0, most=1)
        real_number("first_step", self.first_step, above=0)
        real_number("first_bias_step", self.first_bias_step, least=0)
        real_number("least_zero", self.least_zero, least=0, below=1)

    def price_at(self, done: float) -> float:
        """The price when a share `done` of training is over."""
        return self.price * min(1.0, done / self.rise) if self.rise else self.price

    @contextmanager
    def around(self, state: State) -> Iterator[None]:
        """Within, weights and biases are rounded; afterwards they stay so."""
        if state.codebooks:
            raise ValueError("shared weights are few values already: leave Share out")
        try:
            for name, parameter in priced_parameters(state.model).items():
                module, part = owner(state.model, name)
                own = self.first_bias_step if part == "bias" else 0.0
                grid = LearnedGrid(parameter.detach(), own or self.first_step)
                parametrize.register_parametrization(module, part, grid)
            yield
        finally:
            steps = state.saved.setdefault("grids", {})
            for name, grid, _ in list(grids_of(state.model)):
                steps[name] = grid.step.detach()
                parametrize.remove_parametrizations(*owner(state.model, name))

    def penalty(self, state: State) -> Penalty:
        """price(t) times the bits of everything that is rounded."""

        def term(model: nn.Module, done: float) -> Tensor:
            total = torch.zeros((), device=state.device)
            for _, grid, weight in grids_of(model):
                grid.recount(weight)
                total = total + grid.bits(weight, self.least_zero)
            return self.price_at(done) * total

        return term


def priced_parameters(model: nn.Module) -> dict[str, nn.Parameter]:
    """Weights and biases of convolutions and dense layers by name, in the network's order."""
    layers = {name.rpartition(".")[0] for name in prunable(model)}
    return {n: p for n, p in model.named_parameters() if n.rpartition(".")[0] in layers}
