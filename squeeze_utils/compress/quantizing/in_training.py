"""Training with rounding in the loop: straight-through, and with learned steps (LSQ)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn
from torch.nn.utils import parametrize

from squeeze_utils.base.checks import choose
from squeeze_utils.compress.pruning.scores import each_layer, freeze_layer_options, prunable
from squeeze_utils.compress.quantizing.grids import check_rounding, weight_scale
from squeeze_utils.models.fake_quant import FakeQuant, levels, rounded
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State, owner

STEPS: tuple[str, ...] = ("largest", "fixed", "learned")


class _Rounded(nn.Module):
    """A weight rounded to a grid on its way into the layer."""

    def __init__(self, weight: Tensor, bits: int, granularity: str, steps: str) -> None:
        super().__init__()
        self.bits, self.steps, self.granularity = bits, steps, granularity
        scale = weight_scale(weight, bits, granularity)
        self.shape = scale.shape
        # One-dimensional, so that no optimizer takes it for a matrix and none lets it decay.
        self.scale = nn.Parameter(scale.flatten(), requires_grad=steps == "learned")
        # A tensor where rounding may be off for a while: see `alternating`. It is a buffer so
        # that a training which was cut off goes on in the right turn.
        self.register_buffer("is_on", None)

    def grid(self, weight: Tensor) -> Tensor:
        """The steps to which `weight` is rounded: (out, 1, ...), or one for all of it."""
        if self.steps == "largest":
            return weight_scale(weight, self.bits, self.granularity, "minmax")
        return self.scale.abs().view(self.shape)

    def forward(self, weight: Tensor) -> Tensor:
        if self.is_on is not None and not self.is_on:
            return weight + 0 * self.scale.sum()  # a gradient of zero: every optimizer takes it
        low, high = levels(self.bits, signed=True)
        per_step = weight.numel() / self.scale.numel()
        share = (per_step * high) ** -0.5 if self.steps == "learned" else 1.0
        return rounded(weight, self.grid(weight), low, high, share=share)


@dataclass(frozen=True)
class QuantizedTrain(Train):
    """Train with weights rounded to `bits` in every step, and left rounded at the end.

    `steps` says where the grids' steps come from: they follow each channel's `largest` weight,
    stay `fixed` at the least squares of the weights training starts from, or are `learned` from
    there together with those of activations (LSQ, Esser et al. 2020). `per_layer` gives pairs
    (parameter name, bits) that go before `bits`; `exclude` names layers left alone.

    >>> import squeeze_utils as sq
    >>> digits = sq.load_images("digits", size=8)
    >>> state = sq.State(sq.build("lenet_300_100", image_size=8), digits)
    >>> _ = sq.QuantizedTrain(epochs=1, bits=4).apply(state)
    >>> max(len(row.unique()) for row in state.model.classifier[0].weight) <= 15
    True
    """

    bits: int = 8
    granularity: str = "channel"
    steps: str = "largest"
    per_layer: tuple[tuple[str, int], ...] = ()
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        freeze_layer_options(self)
        bits = (self.bits, *(bits for _, bits in self.per_layer))
        check_rounding(bits, self.granularity)
        choose("steps", self.steps, STEPS)

    def apply(self, state: State) -> dict[str, Any]:
        """`Train` with rounding in the loop."""
        if state.codebooks:
            raise ValueError("shared weights are few values already: train them with TuneCentroids")
        with _rounding(state, self):
            measured = super().apply(state)
        for name, point in state.model.named_modules():
            if isinstance(point, FakeQuant) and float(point.scale) < 0:
                found = f"the step of {name} became negative: lower the learning rate"
                if not self.may_diverge:
                    raise RuntimeError(found)
                measured["diverged"] = found
        return measured


@contextmanager
def _rounding(state: State, plan: QuantizedTrain) -> Iterator[None]:
    """Within, weights are rounded; then layers keep the rounded ones, the state their steps."""
    parts: dict[str, _Rounded] = {}
    points = [
        m for m in state.model.modules() if isinstance(m, FakeQuant) and float(m.scale.detach()) > 0
    ]
    try:
        weights = prunable(state.model, plan.exclude)
        bits_of = each_layer(weights, plan.bits, plan.per_layer)
        for name, weight in weights.items():
            part = _Rounded(weight.detach(), bits_of[name], plan.granularity, plan.steps)
            part = part.to(weight.device)
            parametrize.register_parametrization(*owner(state.model, name), part)
            parts[name] = part
        for point in points:
            point.scale.requires_grad_(plan.steps == "learned")
        yield
    finally:
        for point in points:
            point.scale.requires_grad_(False)
        grids = state.saved.setdefault("grids", {})
        for name, part in parts.items():
            module, _ = owner(state.model, name)
            grids[name] = part.grid(module.parametrizations.weight.original).detach()
            parametrize.remove_parametrizations(module, "weight")
