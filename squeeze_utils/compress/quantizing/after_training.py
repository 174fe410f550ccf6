"""Rounding after training, as steps: weights to a grid, all numbers to halves, activations."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from squeeze_utils.base.checks import choose, whole_number
from squeeze_utils.compress.pruning.scores import each_layer, freeze_layer_options, prunable
from squeeze_utils.compress.quantizing.grids import (
    PERCENTILE,
    check_rounding,
    quantized_weight,
    sqnr,
    weight_scale,
)
from squeeze_utils.compress.replacing import holders, rebuilt
from squeeze_utils.data import Batches
from squeeze_utils.models import SqueezeNet
from squeeze_utils.models.fake_quant import FakeQuant, check_bits
from squeeze_utils.training.evaluation import evaluating, watching
from squeeze_utils.training.step import State, Step, check_not_shared


@dataclass(frozen=True)
class QuantizeWeights(Step):
    """Round every layer's weights to a symmetric grid of `bits` bits; biases stay as they are.

    `per_layer` gives pairs (parameter name, bits) that go before `bits`; `exclude` names layers
    left alone. The state keeps the weights as they were ("float") and the grids' steps ("grids").

    >>> import squeeze_utils as sq
    >>> digits = sq.load_images("digits", size=8)
    >>> state = sq.State(sq.build("lenet_300_100", image_size=8), digits)
    >>> _ = sq.QuantizeWeights(bits=4).apply(state)
    >>> max(len(row.unique()) for row in state.model.classifier[0].weight) <= 15
    True
    """

    bits: int = 8
    granularity: str = "channel"
    range: str = "mse"
    per_layer: tuple[tuple[str, int], ...] = ()
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        freeze_layer_options(self)
        bits = (self.bits, *(bits for _, bits in self.per_layer))
        check_rounding(bits, self.granularity, self.range)

    @torch.no_grad()
    def apply(self, state: State) -> dict[str, Any]:
        """Round; say how much signal each layer has left, in decibels."""
        check_not_shared(state, self)
        weights = prunable(state.model, self.exclude)
        bits_of = each_layer(weights, self.bits, self.per_layer)
        unrounded = state.saved.setdefault("float", {})
        grids = state.saved.setdefault("grids", {})
        left = {}
        for name, weight in weights.items():
            unrounded[name] = weight.detach().clone()
            scale = weight_scale(weight, bits_of[name], self.granularity, self.range)
            after = quantized_weight(weight, scale, bits_of[name])
            if weight.any():  # zeros are no signal, and nothing of them is lost
                left[name] = round(sqnr(weight, after), 2)
            weight.copy_(after)
            grids[name] = scale
        return {"sqnr_db": left}


@dataclass(frozen=True)
class Halve(Step):
    """Round every number to what float16 can hold: two bytes in a file instead of four.

    Shared weights stay shared: equal numbers are rounded equally.
    """

    @torch.no_grad()
    def apply(self, state: State) -> dict[str, Any]:
        """Round parameters and statistics; an overflow is an error, not an infinity."""
        largest = 0.0
        for name, tensor in state.model.state_dict().items():
            if tensor.is_floating_point():
                half = tensor.half().float()
                if not half.isfinite().all():
                    raise ValueError(f"{name} has values that float16 cannot hold")
                largest = max(largest, float((half - tensor).abs().max()))
                tensor.copy_(half)
        return {"largest_change": largest}


@dataclass(frozen=True)
class Calibrate(Step):
    """Give every FakeQuant its range, from `images` training images and no others.

    With `bits`, a network without any gets them first, as if built with `activation_bits`.

    >>> import squeeze_utils as sq
    >>> model = sq.build("squeezenet_small", width=0.25, in_channels=1)
    >>> state = sq.State(model, sq.load_images("digits", size=16))
    >>> sq.Calibrate(images=100, bits=8).apply(state)
    {'activations': 18}
    """

    images: int = 512
    range: str = "percentile"
    bits: int = 0

    def __post_init__(self) -> None:
        whole_number("images", self.images, 1)
        choose("range", self.range, LIMITS)
        if self.bits:
            check_bits("bits", self.bits, 2)

    @torch.no_grad()
    def apply(self, state: State) -> dict[str, Any]:
        """Observe with the grids off, then set them all."""
        if self.bits:
            _give_points(state, self.bits)
        points = _points(state.model)
        if not points:
            raise ValueError(
                "nothing to calibrate: build the model with activation_bits, or give Calibrate bits"
            )
        for point in points.values():
            point.scale.zero_()
        limits: dict[str, list[tuple[float, float]]] = {name: [] for name in points}

        def note(name: str, point: FakeQuant, inputs: tuple[Tensor]) -> None:
            low, high = LIMITS[self.range](inputs[0].flatten(), point.bits)
            limits[name].append((float(low), float(high)))

        with evaluating(state.model), watching(points, before=note):
            for x in training_images(state, self.images):
                state.model(x)
        for name, point in points.items():
            lows, highs = zip(*limits[name], strict=True)
            if self.range == "minmax":
                point.set_range(min(lows), max(highs))
            else:
                point.set_range(sum(lows) / len(lows), sum(highs) / len(highs))
        return {"activations": len(points)}


def _give_points(state: State, bits: int) -> None:
    """Put the network `with_rounding` in place, and what the state knows under its new names."""
    model = with_rounding(state.model, bits)
    before, after = (holders(one, _every_point) for one in (state.model, model))
    renamed = {
        f"{old}.{part}": f"{new}.{part}"
        for old, new in zip(before, after, strict=True)
        for part in before[old].state_dict()
    }
    for known in (state.masks, state.codebooks, *state.saved.values()):
        moved = {renamed.get(name, name): tensor for name, tensor in known.items()}
        known.clear()
        known.update(moved)
    state.model = model.to(state.device, memory_format=torch.channels_last)


def with_rounding(model: nn.Module, bits: int) -> SqueezeNet:
    """The same network, with a FakeQuant behind its input and every activation."""
    if not isinstance(model, SqueezeNet):
        raise ValueError(f"only a SqueezeNet can round its maps, not a {type(model).__name__}")
    if model.config.activation_bits:
        raise ValueError(f"the network rounds to {model.config.activation_bits} bits already")
    return rebuilt(model, {"activation_bits": bits}, _every_point)


def _every_point(model: nn.Module) -> Iterable[nn.Module]:
    return _points(model).values()


def _points(model: nn.Module) -> dict[str, FakeQuant]:
    return {name: m for name, m in model.named_modules() if isinstance(m, FakeQuant)}


def _extremes(values: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    return values.aminmax()


def _nearly_all(values: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    outside = max(1, round(values.numel() * (1 - PERCENTILE / 100) / 2))
    low = values.kthvalue(outside).values
    return low, values.kthvalue(values.numel() + 1 - outside).values


def _least_error(values: Tensor, bits: int, tried: int = 40) -> tuple[Tensor, Tensor]:
    """The share of the whole range with the smallest squared error, on about 20,000 values."""
    values = values[:: max(1, values.numel() // 20_000)]
    ends, grid = values.aminmax(), FakeQuant(bits)
    errors = {}
    for share in torch.linspace(1.0, 0.1, tried).tolist():
        grid.set_range(*(share * float(end) for end in ends))
        errors[share] = float((grid(values) - values).square().mean())
    best = min(errors, key=errors.__getitem__)
    return best * ends[0], best * ends[1]


LIMITS: dict[str, Callable[[Tensor, int], tuple[Tensor, Tensor]]] = {
    "minmax": _extremes,
    "percentile": _nearly_all,
    "mse": _least_error,
}


def training_images(state: State, count: int) -> Iterator[Tensor]:
    """The first `count` training images in batches, normalised, on the state's device."""
    data = state.data
    for x, _ in Batches(data.train.first(count), 128, mean=data.mean, std=data.std):
        yield x.to(state.device)
