"""A trained network into a given number of bytes, with some images and without training.

1. Learn what each layer's inputs look like, and how much an error at its output matters.
2. Find the price of a bit at which the file has the wanted size.
3. Round layer by layer, each on what the rounded layers before it give, then write the file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from math import log

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from squeeze_utils.base.checks import whole_number
from squeeze_utils.compress.pricing.layer_inputs import (
    Layer,
    Moments,
    check_chain,
    input_of,
    layers_of,
    run_stage,
    stages,
    weighted,
    windows,
)
from squeeze_utils.compress.pricing.layer_statistics import BATCH, Learned, learn
from squeeze_utils.compress.pricing.priced_rounding import (
    FEW_ROUNDS,
    Columns,
    Rounded,
    round_bias,
    round_layer,
)
from squeeze_utils.compress.sqz import container

JUDGED = 25  # calibration images on which the weight of a layer's error is measured
PASSES = 2  # of measuring what errors matter, each at the prices that the one before led to
TRIES = 4  # at the wanted size, once prices are known
SEARCHES = 8  # of a price
NEAR = 0.0015  # of the wanted bytes that the size is aimed below
LARGE, EVERY = 1_000_000, 8  # of a layer with more weights every 8th row tells what all need


@dataclass
class Squeezed:
    """A network with rounded weights, its file, and what happened to each layer."""

    model: nn.Module
    data: bytes
    parts: dict[str, int]
    layers: list[dict[str, float | str]]
    price: float


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
    return next(iter(frontier(model, images, [target_bytes], seed, progress, on_plan)))


@torch.no_grad()
def frontier(
    model: nn.Module,
    images: Tensor,
    targets: Sequence[int],
    seed: int = 0,
    progress: bool = False,
    on_plan: Callable[[dict[str, float]], None] | None = None,
) -> Iterator[Squeezed]:
    """What `squeeze` gives for each of `targets` (bytes), learning from the images only once.

    What errors matter is measured at the first target.
    """
    original = deepcopy(check_chain(model)).eval().to(memory_format=torch.channels_last)
    rest = _rest(original)
    for target in targets:
        whole_number("target_bytes", target, 1)
        if target <= rest:
            raise ValueError(
                f"{target:,} bytes cannot be reached: without any weight there are about {rest:,}"
            )
    if images.ndim != 4 or len(images) < 2:
        raise ValueError(f"images must be at least two (n, c, h, w), got {tuple(images.shape)}")
    images = images.float().contiguous(memory_format=torch.channels_last)
    with tqdm(total=1 + PASSES + len(targets), desc="squeeze", disable=not progress) as bar:
        layers = learn(original, images, seed)
        bar.update()
        price = 1e-6
        for _ in range(PASSES):
            price = _price_for(original, layers, targets[0], price)
            _round_whole(layers, price)
            _weigh(original, layers, images[:JUDGED])
            bar.update()
        if on_plan:
            on_plan({name: layer.matters for name, layer in layers.items()})
        for target in targets:
            found = _within(original, layers, images, price, target)
            price = found.price
            yield found
            bar.update()


def _price_for(
    original: nn.Module, layers: dict[str, Learned], target_bytes: float, price: float
) -> float:
    """The price of a bit at which the file has about `target_bytes`; rounds layers by it.

    The search begins at `price`; bytes are about linear in its logarithm.
    """
    slope = -0.1 * target_bytes
    before: tuple[float, float] | None = None
    for _ in range(SEARCHES):
        size = _round_all(layers, price) + _rest(original)
        if abs(size - target_bytes) < NEAR / 2 * target_bytes:
            break
        if before and abs(log(price / before[0])) > 1e-9:
            slope = min((size - before[1]) / log(price / before[0]), -0.02 * target_bytes)
        before = (price, size)
        step = (target_bytes - size) / slope
        price *= float(torch.tensor(step).clamp(-3, 3).exp())
    return price


def _round_all(layers: dict[str, Learned], price: float) -> float:
    """Round every layer by itself, a sample of a large one; the bytes that all numbers need."""
    bits = 0.0
    for layer in layers.values():
        rows = layer.weight[:: EVERY if layer.weight.numel() > LARGE else 1]
        _round(layer, rows, price)
        bits += layer.rounded.bits * len(layer.weight) / len(rows)
    return bits / 8


def _round_whole(layers: dict[str, Learned], price: float) -> None:
    """The same for what was a sample."""
    for layer in layers.values():
        if len(layer.rounded.numbers) < len(layer.weight):
            _round(layer, layer.weight, price)


def _round(layer: Learned, rows: Tensor, price: float) -> None:
    layer.rounded = round_layer(rows, layer.columns, price / layer.matters, FEW_ROUNDS)


def _rest(model: nn.Module) -> int:
    """About the bytes of a file that are no weights: biases, heads, checksums."""
    return 300 + sum(len(conv.bias) + 25 for conv in weighted(model).values())


def _weigh(original: nn.Module, layers: dict[str, Learned], images: Tensor) -> None:
    """Measure how far each layer's rounding alone moves the predictions, per unit of error."""
    batches = list(images.split(BATCH))
    wanted = original(images).log_softmax(1)
    pieces = stages(original)
    for i, stage in enumerate(pieces):
        for name in (n for group in layers_of(stage) for n in group):
            layer, conv = layers[name], original.get_submodule(name)
            with _Replaced(conv, layer):
                rest = [part for piece in pieces[i:] for part in piece]
                moved = torch.cat([run_stage(rest, x).flatten(1) for x in batches]).log_softmax(1)
            distance = float(F.kl_div(moved, wanted, reduction="batchmean", log_target=True))
            if layer.rounded.error > 0:
                layer.matters = max(distance, 1e-9) / layer.rounded.error
        batches = [run_stage(stage, x) for x in batches]


class _Replaced:
    """Within, a layer has its rounded weights, and a bias that keeps the mean output."""

    def __init__(self, conv: Layer, layer: Learned) -> None:
        self.conv, self.layer = conv, layer

    def __enter__(self) -> None:
        self.before = self.conv.weight.data, self.conv.bias.data
        mean, _ = self.layer.moments.means
        rounded = self.layer.rounded.weight
        self.conv.weight.data = rounded.view_as(self.conv.weight)
        self.conv.bias.data = self.conv.bias + (self.layer.weight - rounded) @ mean

    def __exit__(self, *_: object) -> None:
        self.conv.weight.data, self.conv.bias.data = self.before


def _within(
    original: nn.Module,
    layers: dict[str, Learned],
    images: Tensor,
    price: float,
    target_bytes: int,
) -> Squeezed:
    """Round in sequence until the file fits and is hardly smaller than it may be.

    In sequence a layer needs a little more than by itself; the goal is lowered by what it was.
    """
    goal, best, smallest = target_bytes * (1 - NEAR), None, target_bytes * 1_000
    for _ in range(TRIES):
        price = _price_for(original, layers, goal, price)
        model, facts = _in_sequence(original, layers, images, price)
        data, parts = container.encode_sqz(model)
        smallest = min(smallest, len(data))
        if len(data) <= target_bytes and (best is None or len(data) > len(best.data)):
            best = Squeezed(model, data, parts, facts, price)
        if target_bytes * (1 - 2 * NEAR) <= len(data) <= target_bytes:
            break
        goal *= target_bytes * (1 - NEAR) / len(data)
    if best is None:
        raise ValueError(
            f"{target_bytes:,} bytes cannot be reached: {smallest:,} is the least that was found"
        )
    return best


def _in_sequence(
    original: nn.Module, layers: dict[str, Learned], images: Tensor, price: float
) -> tuple[nn.Module, list[dict[str, float | str]]]:
    """Round layer by layer, each on the inputs that the rounded layers before it give."""
    model = deepcopy(original)
    facts: list[dict[str, float | str]] = []
    batches = list(images.split(BATCH))
    for stage in stages(model):
        for name in (n for group in layers_of(stage) for n in group):
            layer, conv = layers[name], model.get_submodule(name)
            moments = _compare(layer, conv, [input_of(stage, name, x) for x in batches])
            wanted, bit = moments.corrected(layer.weight), price / layer.matters
            rounded = round_layer(wanted, Columns.of(moments.covariance), bit)
            mean, mean_original = moments.means
            outputs = layer.weight @ mean_original - rounded.weight @ mean
            conv.weight.data = rounded.weight.view_as(conv.weight)
            conv.bias.data = round_bias(conv.bias + outputs, bit)
            facts.append(_facts(name, layer, rounded))
        batches = [run_stage(stage, x) for x in batches]
    return model, facts


def _compare(layer: Learned, conv: Layer, batches: Sequence[Tensor]) -> Moments:
    """Moments of what a layer sees in the rounded network and of what it saw originally."""
    found = Moments.empty(layer.weight.shape[1])
    for x, at, seen in zip(batches, layer.at, layer.seen, strict=True):
        found.add(windows(x, conv, at), seen)
    return found


def _facts(name: str, layer: Learned, rounded: Rounded) -> dict[str, float | str]:
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
