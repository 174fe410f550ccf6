"""A trained network into a given number of bytes, with some images and without training.

1. Learn what each layer's inputs look like, and how much an error at its output matters.
2. Find the price of a bit at which the file has the wanted size.
3. Round layer by layer, each on what the rounded layers before it give, then write the file.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field
from math import log

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from squeeze_utils.base.checks import choose, whole_number
from squeeze_utils.compress.pricing.layers_and_inputs import (
    BATCH,
    Layer,
    Learned,
    check_chain,
    input_of,
    layers_of,
    learn,
    run_stage,
    stages,
    weighted,
)
from squeeze_utils.compress.pricing.priced_rounding import (
    Columns,
    Rounded,
    round_bias,
    round_layer,
)
from squeeze_utils.compress.replacing import restored
from squeeze_utils.compress.sqz import container

# Calibration images on which the weight of a layer's error is measured. A network is certain of
# most training images, and few of them tell little: with 25 the accuracy of a LeNet-300-100 in 8 kB
# was 74 to 94 % in four draws, with 100 it was 92 to 93 %.
JUDGED = 100
PASSES = 2  # of measuring what errors matter, each at the prices that the one before led to
TRIES = 4  # at the wanted size, once prices are known
SEARCHES = 8  # of a price
FIRST_PRICE = 1e-6  # where the first search begins; it finds its way from anywhere
FIRST_SLOPE = -0.1  # of the wanted bytes: a guess of what a price e times as high adds, or takes
FLATTEST_SLOPE = -0.02  # of the wanted bytes: a flatter line would throw the price far away
LONGEST_STEP = 3.0  # of a price's logarithm: prices 20 times as high or low, no more at once
NEAR = 0.0015  # of the wanted bytes that the size is aimed below
LARGE, EVERY = 1_000_000, 8  # of a layer with more weights every 8th row tells what all need


@dataclass
class Squeezed:
    """A network with rounded weights, its file, and what happened to each layer.

    `price`: the error (nats of divergence) that a bit was worth; `layers` has a row for each;
    `grids`: the step of every weight, by parameter name.
    """

    model: nn.Module
    data: bytes
    parts: dict[str, int]
    layers: list[dict[str, float | str]]
    price: float
    grids: dict[str, Tensor] = field(default_factory=dict)


def squeeze(
    model: nn.Module,
    images: Tensor,
    target_bytes: int,
    seed: int = 0,
    progress: bool = False,
    coder: str = "best",
) -> Squeezed:
    """`model` rounded so that its `.sqz` file, written by `coder`, has at most `target_bytes`.

    `images` (n, c, h, w), float, as the model takes them, show it what its inputs are; their
    labels are not needed. The model itself is left as it was.
    """
    return next(iter(frontier(model, images, [target_bytes], seed, progress, coder)))


@torch.no_grad()
def frontier(
    model: nn.Module,
    images: Tensor,
    targets: Sequence[int],
    seed: int = 0,
    progress: bool = False,
    coder: str = "best",
) -> Iterator[Squeezed]:
    """What `squeeze` gives for each of `targets` (bytes), learning from the images only once.

    Later targets may differ from `squeeze` by a little: their prices start from those before.
    """
    choose("coder", coder, container.ACCEPTED)
    _check(check_chain(model), images, targets)
    total = 1 + len(targets) * (PASSES + 1)
    with tqdm(total=total, desc="squeeze", disable=not progress) as bar:
        network, price = _Calibrated(model, images, seed, coder), FIRST_PRICE
        bar.update()
        for target in targets:
            for _ in range(PASSES):
                price = network.price_for(target, price)
                network.weigh(price)
                bar.update()
            squeezed = network.within(target, price)
            price = squeezed.price
            bar.update()
            yield squeezed


def _check(model: nn.Module, images: Tensor, targets: Sequence[int]) -> None:
    rest = _rest(model)
    for target in targets:
        if whole_number("target_bytes", target, 1) <= rest:
            raise ValueError(
                f"{target:,} bytes cannot be reached: without any weight there are about {rest:,}"
            )
    if images.ndim != 4 or len(images) < 2:
        raise ValueError(f"images must be at least two (n, c, h, w), got {tuple(images.shape)}")


def _rest(model: nn.Module) -> int:
    """About the bytes of a file that are no weights: biases, heads, checksums."""
    return 300 + sum(len(conv.bias) + 25 for conv in weighted(model).values())


class _Calibrated:
    """A network, the images that it was shown, and what they show of its layers."""

    def __init__(self, model: nn.Module, images: Tensor, seed: int, coder: str) -> None:
        self.model = deepcopy(model).eval().to(memory_format=torch.channels_last)
        self.images = images.float().contiguous(memory_format=torch.channels_last)
        self.layers, self.coder = learn(self.model, self.images, seed), coder

    def price_for(self, target_bytes: float, price: float) -> float:
        """The price of a bit at which the file has about `target_bytes`; rounds layers by it.

        The search begins at `price`; bytes are about linear in its logarithm.
        """
        slope = FIRST_SLOPE * target_bytes
        before: tuple[float, float] | None = None
        for _ in range(SEARCHES):
            size = self._round_all(price) + _rest(self.model)
            if abs(size - target_bytes) < NEAR / 2 * target_bytes:
                break
            if before and abs(log(price / before[0])) > 1e-9:
                slope = (size - before[1]) / log(price / before[0])
                slope = min(slope, FLATTEST_SLOPE * target_bytes)
            before = (price, size)
            step = torch.tensor((target_bytes - size) / slope)
            price *= float(step.clamp(-LONGEST_STEP, LONGEST_STEP).exp())
        return price

    def _round_all(self, price: float) -> float:
        """Round every layer by itself, a sample of a large one; the bytes that all numbers need."""
        bits = 0.0
        for layer in self.layers.values():
            layer.round(price, EVERY if layer.weight.numel() > LARGE else 1)
            bits += layer.rounded.bits * len(layer.weight) / len(layer.rounded.numbers)
        return bits / 8

    def weigh(self, price: float) -> None:
        """Measure how far each layer's rounding alone moves the predictions, per unit of error."""
        images = self.images[:JUDGED]
        batches = list(images.split(BATCH))
        wanted = self.model(images).log_softmax(1)
        pieces = stages(self.model)
        for i, stage in enumerate(pieces):
            rest = [part for piece in pieces[i:] for part in piece]
            for name in layers_of(stage):
                layer, conv = self.layers[name], self.model.get_submodule(name)
                if len(layer.rounded.numbers) < len(layer.weight):  # only a sample is rounded
                    layer.round(price)
                with restored(conv.weight, conv.bias):
                    _replace(conv, layer)
                    moved = torch.cat([run_stage(rest, x).flatten(1) for x in batches])
                moved = moved.log_softmax(1)
                distance = float(F.kl_div(moved, wanted, reduction="batchmean", log_target=True))
                if layer.rounded.error > 0:
                    layer.matters = max(distance, 1e-9) / layer.rounded.error
            batches = [run_stage(stage, x) for x in batches]

    def within(self, target_bytes: int, price: float) -> Squeezed:
        """Round in sequence until the file fits and is hardly smaller than it may be.

        Rounded in sequence, layers take a little more than each by itself. The goal is changed by
        the factor by which the file missed it.
        """
        goal, best, smallest = target_bytes * (1 - NEAR), None, target_bytes * 1_000
        for _ in range(TRIES):
            price = self.price_for(goal, price)
            model, facts = self._in_sequence(price)
            grids = {f"{row['layer']}.weight": torch.tensor([row["step"]]) for row in facts}
            data, parts = container.encode_sqz(model, self.coder, grids)
            smallest = min(smallest, len(data))
            if len(data) <= target_bytes and (best is None or len(data) > len(best.data)):
                best = Squeezed(model, data, parts, facts, price, grids)
            if target_bytes * (1 - 2 * NEAR) <= len(data) <= target_bytes:
                break
            goal *= target_bytes * (1 - NEAR) / len(data)
        if best is None:
            reached = f"{smallest:,} is the least that was found"
            raise ValueError(f"{target_bytes:,} bytes cannot be reached: {reached}")
        return best

    def _in_sequence(self, price: float) -> tuple[nn.Module, list[dict[str, float | str]]]:
        """Round layer by layer, each on the inputs that the rounded layers before it give."""
        model = deepcopy(self.model)
        facts: list[dict[str, float | str]] = []
        batches = list(self.images.split(BATCH))
        for stage in stages(model):
            for name in layers_of(stage):
                layer, conv = self.layers[name], model.get_submodule(name)
                moments = layer.compared(conv, [input_of(stage, name, x) for x in batches])
                wanted, bit = moments.corrected(layer.weight), price / layer.matters
                rounded = round_layer(wanted, Columns.of(moments.covariance), bit)
                mean, mean_original = moments.means
                outputs = layer.weight @ mean_original - rounded.weight @ mean
                conv.weight.data = rounded.weight.view_as(conv.weight)
                conv.bias.data = round_bias(conv.bias + outputs, bit)
                facts.append(_facts(name, layer, rounded))
            batches = [run_stage(stage, x) for x in batches]
        return model, facts


def _replace(conv: Layer, layer: Learned) -> None:
    """Give a layer its rounded weights, and a bias that keeps the mean output."""
    mean, _ = layer.moments.means
    rounded = layer.rounded.weight
    conv.weight.data = rounded.view_as(conv.weight)
    conv.bias.data = conv.bias + (layer.weight - rounded) @ mean


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
