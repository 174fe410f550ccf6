"""Bits for each layer: what rounding it alone does to the outputs, and a budget of bytes."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from squeeze_utils.base.checks import choose, whole_number
from squeeze_utils.compress.pruning.scores import each_layer, prunable
from squeeze_utils.compress.pruning.sensitivity import lower_hull
from squeeze_utils.compress.quantizing.after_training import QuantizeWeights, training_images
from squeeze_utils.compress.quantizing.grids import check_rounding, quantized_weight, weight_scale
from squeeze_utils.compress.replacing import restored
from squeeze_utils.compress.sqz import forms
from squeeze_utils.training.evaluation import evaluating
from squeeze_utils.training.step import State, Step, check_not_shared
from squeeze_utils.training.tasks import only_classifiers

CHOICES = (2, 3, 4, 6, 8)


class Option(NamedTuple):
    """A layer at some number of bits: its bytes when coded, and what it does to the outputs.

    `damage` is the Kullback-Leibler divergence (nats an image) of the class probabilities from
    those of the network as it was.
    """

    bytes: float
    damage: float


Options = dict[str, dict[int, Option]]


@torch.no_grad()
def options(
    state: State,
    choices: Sequence[int] = CHOICES,
    images: int = 256,
    granularity: str = "channel",
    range_: str = "mse",
) -> Options:
    """Bytes and damage of every layer at every number of bits, each layer rounded alone.

    On training images, without their labels; the model is left as it was. A network whose outputs
    are not the classes of an image is refused.
    """
    only_classifiers(state.model, "class probabilities are compared")
    x = torch.cat(list(training_images(state, images)))
    wanted = _log_probabilities(state.model, x)
    found: Options = {}
    for name, weight in prunable(state.model).items():
        before, found[name] = weight.data, {}
        with restored(weight):
            for bits in choices:
                scale = weight_scale(before, bits, granularity, range_)
                weight.data = quantized_weight(before, scale, bits)
                damage = _divergence(wanted, _log_probabilities(state.model, x))
                coded = forms.smallest(weight, steps=scale)
                found[name][bits] = Option(coded.size, damage)
    return found


def _log_probabilities(model: nn.Module, x: Tensor) -> Tensor:
    with evaluating(model):
        return torch.cat([F.log_softmax(model(part).double(), 1) for part in x.split(128)])


def _divergence(wanted: Tensor, found: Tensor) -> float:
    return float((wanted.exp() * (wanted - found)).sum(1).mean())


def assign(found: Mapping[str, Mapping[int, Option]], budget: float) -> dict[str, int]:
    """Bits for each layer, at most `budget` bytes in all, with little damage in sum.

    Damages are taken to add up. All layers start with the fewest bytes; then the pieces of their
    convex hulls are bought in the order of damage saved per byte, as long as they fit.
    """
    by_bytes = {name: sorted((o, bits) for bits, o in each.items()) for name, each in found.items()}
    chosen = {name: bits[0] for name, bits in by_bytes.items()}
    left = budget - sum(option.bytes for option, _ in chosen.values())
    if left < 0:
        raise ValueError(
            f"a budget of {budget:,.0f} bytes is too small: the least is {budget - left:,.0f}"
        )
    pieces = []
    for name, each in by_bytes.items():
        for a, b in itertools.pairwise(lower_hull([tuple(option) for option, _ in each])):
            price = b[0] - a[0]
            pieces.append(((a[1] - b[1]) / max(price, 1e-12), name, a, b, price))
    for gain, name, a, b, price in sorted(pieces, reverse=True):
        if gain > 0 and price <= left and tuple(chosen[name][0]) == a:
            chosen[name] = next(pair for pair in by_bytes[name] if tuple(pair[0]) == b)
            left -= price
    return {name: bits for name, (_, bits) in chosen.items()}


@dataclass(frozen=True)
class MixedBits(Step):
    """Round each layer to bits of its own, in the bytes that `like` bits for all would take.

    `ends` gives pairs (parameter name, bits) that go before `like` where those bytes are counted.
    """

    like: int = 4
    choices: tuple[int, ...] = CHOICES
    images: int = 256
    granularity: str = "channel"
    range: str = "mse"
    ends: tuple[tuple[str, int], ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "choices", tuple(self.choices))
        object.__setattr__(self, "ends", tuple(dict(self.ends).items()))
        check_rounding(self.choices, self.granularity, self.range)
        for bits in (self.like, *(bits for _, bits in self.ends)):
            choose("number of bits", bits, self.choices)
        whole_number("images", self.images, 1)

    def apply(self, state: State) -> dict[str, Any]:
        """Measure, assign, round; say which layer got how many bits."""
        check_not_shared(state, self)
        found = options(state, self.choices, self.images, self.granularity, self.range)
        like = each_layer(found, self.like, self.ends)
        bits = assign(found, sum(each[like[name]].bytes for name, each in found.items()))
        per_layer = tuple(bits.items())
        rounding = QuantizeWeights(max(self.choices), self.granularity, self.range, per_layer)
        damage = {name: {str(b): o.damage for b, o in each.items()} for name, each in found.items()}
        return {**rounding.apply(state), "bits": bits, "damage": damage}
