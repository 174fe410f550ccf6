"""A trained network into a given number of bytes, with some images and without training.

1. Learn what each layer's inputs look like, and how much an error at its output matters.
2. Find the price of a bit at which the file has the wanted size.
3. Round layer by layer, each on what the rounded layers before it give, then write the file.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from ...models.layers import whole_number
from .. import container
from .inputs import (
    Moments,
    check_chain,
    inputs_of,
    layers_of,
    places,
    stages,
    windows,
)
from .rounding import FEW_ROUNDS, Rounded, factor, round_layer

BATCH = 25
JUDGED = 50  # calibration images on which the weight of a layer's error is measured
PASSES = 2  # of measuring what errors matter, each at the prices that the one before led to
TRIES = 4  # at the wanted size, once prices are known
NEAR = 0.004  # of the wanted bytes may be left unused


@dataclass
class Squeezed:
    """A network with rounded weights, its file, and what happened to each layer."""

    model: nn.Module
    data: bytes
    parts: dict[str, int]
    layers: list[dict[str, float | str]]
    price: float


@dataclass
class _Layer:
    """What is known of a convolution: its weights as rows, U of its inputs, what errors matter."""

    weight: Tensor
    triangle: Tensor
    mean: Tensor
    matters: float
    rounded: Rounded | None = field(default=None)


@torch.no_grad()
def squeeze(
    model: nn.Module,
    images: Tensor,
    target_bytes: int,
    seed: int = 0,
    progress: bool = False,
    on_plan: Callable[[dict[str, float]], None] | None = None,
) -> Squeezed:
    """`model` rounded so that its `.sqz` file has at most `target_bytes`.

    `images` (n, c, h, w), float, as the model takes them, show it what its inputs are; their
    labels are not needed. The model itself is left as it was. `on_plan` is handed what an error
    at each layer's output is worth, in nats of divergence per unit of squared error.
    """
    original = deepcopy(check_chain(model)).eval().to(memory_format=torch.channels_last)
    whole_number("target_bytes", target_bytes, 1)
    if images.ndim != 4 or len(images) < 2:
        raise ValueError(f"images must be at least two (n, c, h, w), got {tuple(images.shape)}")
    images = images.float().contiguous(memory_format=torch.channels_last)
    steps = 1 + PASSES + 1
    with tqdm(total=steps, desc="squeeze", disable=not progress) as bar:
        layers = _layers(original, images, seed)
        bar.update()
        price = 1e-6
        for _ in range(PASSES):
            price = _price_for(original, layers, target_bytes, price)
            _weigh(original, layers, images[:JUDGED])
            bar.update()
        if on_plan:
            on_plan({name: layer.matters for name, layer in layers.items()})
        price = _price_for(original, layers, target_bytes, price)
        found = _within(original, layers, images, seed, price, target_bytes)
        bar.update()
    return found


def _layers(original: nn.Module, images: Tensor, seed: int) -> dict[str, _Layer]:
    """Every convolution with the moments of its inputs in the original network."""
    found: dict[str, _Layer] = {}
    walk = _Walk(original, original, images, seed)
    for stage in walk:
        for group in layers_of(stage):
            for name, moments in walk.moments(stage, group).items():
                weight = original.get_submodule(name).weight.flatten(1)
                triangle = factor(moments.covariance)
                power = ((weight @ moments.covariance) * weight).sum()
                matters = 1 / float(power.clamp(min=1e-12))
                found[name] = _Layer(weight, triangle, moments.means[0], matters)
    return found


class _Walk:
    """Two networks side by side, stage by stage, on the same images."""

    def __init__(self, original: nn.Module, now: nn.Module, images: Tensor, seed: int) -> None:
        self.pair = (original, now)
        self.batches = [list(images.split(BATCH)), list(images.split(BATCH))]
        self.seed = seed

    def __iter__(self):
        for stage, stage_now in zip(*map(stages, self.pair), strict=True):
            yield stage
            for batches, parts in zip(self.batches, (stage, stage_now), strict=True):
                for i, x in enumerate(batches):
                    batches[i] = _run(parts, x)
                if self.pair[0] is self.pair[1]:
                    self.batches[1] = self.batches[0]
                    break

    def moments(self, stage: list, names: list[str]) -> dict[str, Moments]:
        """Of the windows that the layers `names` of the stage see in both networks."""
        original, now = self.pair
        parts = [(name, now.get_submodule(name)) for name, _ in stage]
        found: dict[str, Moments] = {}
        generator = torch.Generator().manual_seed(self.seed)
        with inputs_of(original, names) as before, inputs_of(now, names) as after:
            for x, x_now in zip(*self.batches, strict=True):
                _run(stage, x)
                if original is not now:
                    _run(parts, x_now)
                for name in names:
                    conv = original.get_submodule(name)
                    at = places(before[name], conv, generator)
                    seen = windows(before[name], conv, at)
                    seen_now = seen if original is now else windows(after[name], conv, at)
                    found.setdefault(name, Moments.empty(seen.shape[1])).add(seen_now, seen)
        return found


def _run(stage: list, x: Tensor) -> Tensor:
    for _, module in stage:
        x = module(x)
    return x


def _price_for(
    original: nn.Module, layers: dict[str, _Layer], target_bytes: int, price: float = 1e-6
) -> float:
    """The price of a bit at which the file has about `target_bytes`; rounds all layers by it.

    The search begins at `price`.
    """
    low, high = None, None
    for _ in range(12):
        size = _round_all(layers, price) + _rest(original)
        if abs(size - target_bytes) < NEAR * target_bytes:
            break
        low, high = (price, high) if size > target_bytes else (low, price)
        price = price * 4 if high is None else price / 4 if low is None else (low * high) ** 0.5
    return price


def _round_all(layers: dict[str, _Layer], price: float) -> float:
    """Round every layer by itself; the bytes that all their numbers need."""
    for layer in layers.values():
        bit = price / layer.matters
        layer.rounded = round_layer(layer.weight, layer.triangle, bit, FEW_ROUNDS)
    return sum(layer.rounded.bits for layer in layers.values()) / 8


def _rest(model: nn.Module) -> int:
    """About the bytes of a file that are no weights: biases as halves, heads, checksums."""
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    return 300 + sum(2 * len(conv.bias) + 60 for conv in convolutions)


def _weigh(original: nn.Module, layers: dict[str, _Layer], images: Tensor) -> None:
    """Measure how far each layer's rounding alone moves the predictions, per unit of error."""
    wanted = original(images).log_softmax(1)
    for name, layer in layers.items():
        conv = original.get_submodule(name)
        weight, bias = conv.weight.data, conv.bias.data
        rounded = layer.rounded
        try:
            conv.weight.data = rounded.weight.view_as(weight)
            conv.bias.data = bias + (layer.weight - rounded.weight) @ layer.mean
            moved = original(images).log_softmax(1)
        finally:
            conv.weight.data, conv.bias.data = weight, bias
        distance = float(F.kl_div(moved, wanted, reduction="batchmean", log_target=True))
        if rounded.error > 0:
            layer.matters = max(distance, 1e-9) / rounded.error


def _within(
    original: nn.Module,
    layers: dict[str, _Layer],
    images: Tensor,
    seed: int,
    price: float,
    target_bytes: int,
) -> Squeezed:
    """Round in sequence until the file fits; the price rises by what is missing."""
    for _ in range(TRIES):
        model, facts = _in_sequence(original, layers, images, seed, price)
        data, parts = container.encode(model)
        if len(data) <= target_bytes:
            return Squeezed(model, data, parts, facts, price)
        price *= (len(data) / target_bytes * (1 + NEAR / 4)) ** 6
    raise ValueError(
        f"{target_bytes:,} bytes cannot be reached: {len(data):,} is the least that was found"
    )


def _in_sequence(
    original: nn.Module, layers: dict[str, _Layer], images: Tensor, seed: int, price: float
) -> tuple[nn.Module, list[dict[str, float | str]]]:
    """Round layer by layer, each on the inputs that the rounded layers before it give."""
    model = deepcopy(original)
    facts: list[dict[str, float | str]] = []
    walk = _Walk(original, model, images, seed)
    for stage in walk:
        for group in layers_of(stage):
            for name, moments in walk.moments(stage, group).items():
                layer, conv = layers[name], model.get_submodule(name)
                wanted = moments.corrected(layer.weight)
                triangle = factor(moments.covariance)
                rounded = round_layer(wanted, triangle, price / layer.matters)
                mean, mean_original = moments.means
                outputs = layer.weight @ mean_original - rounded.weight @ mean
                conv.weight.data = rounded.weight.view_as(conv.weight)
                conv.bias.data = (conv.bias + outputs).half().float()
                facts.append(_facts(name, layer, rounded))
    return model, facts


def _facts(name: str, layer: _Layer, rounded: Rounded) -> dict[str, float | str]:
    numbers = rounded.numbers
    return {
        "layer": name,
        "weights": numbers.numel(),
        "step": rounded.step,
        "bits_per_weight": rounded.bits / numbers.numel(),
        "density": 100 * float((numbers != 0).float().mean()),
        "density_before": 100 * float((layer.weight != 0).float().mean()),
        "divergence": layer.matters * rounded.error,
    }
