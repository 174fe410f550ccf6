"""A whole SqueezeNet with whole numbers only: from the bytes of a picture to a score a class.

Between the layers that `integers` writes stand three things. The input's grid is a table with an
entry for each of the 256 values of a byte. Max pooling picks a number and leaves the grid as it
is. The scores are sums over all places of conv10, brought to one grid for all classes.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from squeeze_utils.compress.quantizing.integers import (
    IntegerConv,
    integer_conv,
    integer_fire,
    point_behind,
    shifted,
)
from squeeze_utils.data import ImageSet, normalise
from squeeze_utils.models import Fire, SqueezeNet
from squeeze_utils.models.fake_quant import FakeQuant

SCORE_STEP = 2.0**-12  # of the grid of the scores; a power of two, so that no sum of them rounds
BYTES = 256


class ScoreGrid(nn.Module):
    """Rounds scores to multiples of SCORE_STEP: what the simulation has in place of whole scores.

    >>> ScoreGrid()(torch.tensor([0.25, 1e-5]))
    tensor([0.2500, 0.0000])
    """

    def forward(self, x: Tensor) -> Tensor:
        """Scores of any shape, rounded."""
        return torch.round(x / SCORE_STEP) * SCORE_STEP


@dataclass(frozen=True)
class IntegerNetwork:
    """Pictures as bytes (N, C, H, W) to scores (N, classes), without a floating-point number.

    `table` (C, 256) holds the number of the input map for each byte. `step` times a score is the
    real one, the logit.
    """

    table: Tensor
    layers: tuple[Callable[[Tensor], Tensor], ...]
    last: IntegerConv
    step: float = SCORE_STEP

    def __call__(self, pictures: Tensor) -> Tensor:
        """The scores, int32; the class with the highest is the answer."""
        q = self.numbers(pictures)
        for layer in self.layers:
            q = layer(q)
        totals = self.last.sums(q).long().sum((2, 3))
        return shifted(totals * self.last.multiplier, self.last.shift).int()

    def numbers(self, pictures: Tensor) -> Tensor:
        """The numbers of the input map (N, C, H, W): each byte looked up in its channel's row."""
        channels = torch.arange(len(self.table))[:, None, None]
        return self.table[channels, pictures.long()]


def pool(q: Tensor) -> Tensor:
    """Max pooling as in the network: 3 by 3, stride 2, the last window may stand over the edge."""
    return F.max_pool2d(q, 3, stride=2, ceil_mode=True)


@torch.no_grad()
def integer_network(
    model: SqueezeNet, data: ImageSet, bits: int = 8
) -> tuple[IntegerNetwork, SqueezeNet]:
    """`model` on whole numbers for pictures like those of `data`, and the same function simulated.

    The model must be folded and calibrated. The simulation is a copy in float64 with the same
    FakeQuants; it differs from the model in what `integer_fire` says, and rounds the scores.

    >>> import squeeze_utils as sq
    >>> digits = sq.load_images("digits", size=16)
    >>> state = sq.State(sq.build("squeezenet_small", width=0.25, in_channels=1), digits)
    >>> for step in (sq.FoldBatchNorm(), sq.Calibrate(bits=8)):
    ...     _ = step.apply(state)
    >>> whole, simulated = integer_network(state.model, digits)
    >>> x = sq.normalise(digits.test.images[:9], digits.mean, digits.std).double()
    >>> with torch.no_grad():
    ...     torch.equal(whole(digits.test.images[:9]) * whole.step, simulated(x))
    True
    """
    _check(model)
    simulated = copy.deepcopy(model).double().eval()
    source, *rest = list(simulated.features)
    table = _table(source, data)
    layers: list[Callable[[Tensor], Tensor]] = []
    for part in _parts(rest):
        if isinstance(part, nn.MaxPool2d):
            layers.append(pool)
        elif isinstance(part, Fire):
            layer, exact = integer_fire(part, source, bits)
            part.load_state_dict(exact.state_dict())
            layers.append(layer)
            source = point_behind(part.expand_activation)
        else:
            conv, after = part
            layers.append(integer_conv(conv, source, after.scale, 2**after.bits - 1, bits))
            source = after
    last = _last(simulated, source, data, bits)
    return IntegerNetwork(table, tuple(layers), last), simulated


def _last(simulated: SqueezeNet, source: FakeQuant, data: ImageSet, bits: int) -> IntegerConv:
    """conv10; its factor divides by the number of places too, so that a sum becomes a mean."""
    blank = torch.zeros(1, *data.test.images.shape[1:], dtype=torch.double)
    places = simulated.features(blank).shape[2:].numel()
    step = torch.tensor(SCORE_STEP * places)
    last = integer_conv(simulated.classifier[1], source, step, 0, bits)
    most = last.weight.abs().flatten(1).sum(1).long() * (2**source.bits - 1) + last.bias.abs()
    if int(most.max()) * places >= 2**31:
        raise ValueError("the sums over all places may not fit into 32 bits")
    simulated.classifier[3] = nn.Sequential(simulated.classifier[3], ScoreGrid())
    return last


def _check(model: nn.Module) -> None:
    if not isinstance(model, SqueezeNet) or not model.config.activation_bits:
        raise ValueError("only a SqueezeNet whose maps are rounded: fold it, then calibrate it")
    config = model.config
    plain = config.pooling == "max" and config.head == "average" and config.first_stride == 1
    same = config.first_padding == config.first_kernel // 2 and config.last_padding == 0
    if not plain or not same or config.final_relu or config.first_repeat != 1:
        raise ValueError("only networks shaped like squeezenet_small are written in whole numbers")
    if config.norm != "none":
        raise ValueError("fold batch normalisation first: whole numbers know none")


def _parts(layers: list[nn.Module]) -> Iterator[nn.Module | tuple[nn.Conv2d, FakeQuant]]:
    """Fire modules and poolings as they are, the first convolution with the grid behind it."""
    for at, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d):
            yield layer, point_behind(layers[at + 1])
        elif isinstance(layer, Fire | nn.MaxPool2d):
            yield layer


def _table(source: FakeQuant, data: ImageSet) -> Tensor:
    """The number (C, 256) that normalising and rounding make of each byte of each channel."""
    if not float(source.scale) > 0:
        raise ValueError("the ranges of the maps are unknown: calibrate first")
    each = torch.arange(BYTES, dtype=torch.uint8).view(BYTES, 1, 1, 1)
    x = normalise(each.expand(-1, data.channels, -1, -1), data.mean, data.std).double()
    return torch.round(source(x) / source.scale + source.zero).int().flatten(1).T.contiguous()
