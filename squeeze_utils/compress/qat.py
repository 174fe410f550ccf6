"""Training with rounding in the loop: straight-through, and with learned steps (LSQ)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize

from ..models.layers import choose
from ..models.rounding import FakeQuant, check_bits, levels, rounded
from ..step import State
from ..train import Train
from .quantize import GRANULARITIES, weight_scale
from .scores import prunable


class _Rounded(nn.Module):
    """A weight rounded to a grid on its way into the layer; the step may be learned."""

    def __init__(self, weight: Tensor, bits: int, granularity: str, learned: bool) -> None:
        super().__init__()
        self.bits, self.learned = bits, learned
        self.granularity = granularity
        self.scale = nn.Parameter(weight_scale(weight, bits, granularity), requires_grad=learned)

    def forward(self, weight: Tensor) -> Tensor:
        low, high = levels(self.bits, signed=True)
        if self.learned:
            per_step = weight.numel() / self.scale.numel()
            return rounded(weight, self.scale.abs(), low, high, share=(per_step * high) ** -0.5)
        return rounded(
            weight, weight_scale(weight, self.bits, self.granularity, "minmax"), low, high
        )


@dataclass(frozen=True)
class QuantizedTrain(Train):
    """Train with weights rounded to `bits` in every step, and left rounded at the end.

    With `learned` the steps of weights and activations are trained too (LSQ, Esser et al. 2020);
    otherwise those of weights follow their largest value and those of activations stay as
    calibrated.
    """

    bits: int = 8
    granularity: str = "channel"
    learned: bool = False
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        check_bits("bits", self.bits, 2)
        choose("granularity", self.granularity, GRANULARITIES)

    def apply(self, state: State) -> dict[str, Any]:
        """`Train` with rounding in the loop."""
        if state.codebooks:
            raise ValueError("shared weights are few values already: train them with TuneCentroids")
        with _rounding(state, self):
            return super().apply(state)


@contextmanager
def _rounding(state: State, plan: QuantizedTrain) -> Iterator[None]:
    """Within, weights are rounded; afterwards the layers hold the rounded ones."""
    layers = []
    points = [
        m for m in state.model.modules() if isinstance(m, FakeQuant) and float(m.scale.detach()) > 0
    ]
    try:
        for name, weight in prunable(state.model, plan.exclude).items():
            module = state.model.get_submodule(name.rpartition(".")[0])
            part = _Rounded(weight.detach(), plan.bits, plan.granularity, plan.learned)
            parametrize.register_parametrization(module, "weight", part.to(weight.device))
            layers.append(module)
        for point in points:
            point.scale.requires_grad_(plan.learned)
        yield
    finally:
        for point in points:
            point.scale.requires_grad_(False)
        for module in layers:
            parametrize.remove_parametrizations(module, "weight")
