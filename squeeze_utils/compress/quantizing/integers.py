"""A Fire module with whole numbers only, as a processor without floating point computes it.

Jacob et al. 2018: weights are 8-bit numbers n with steps s_w, maps are 8-bit numbers q with one
step s. A layer sums n (q - zero) and a bias in 32 bits; the sum times s_x s_w / s_y, rounded, is
the next map. That factor is a 31-bit number and a shift: no floating point is left.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from squeeze_utils.compress.quantizing.grids import weight_scale
from squeeze_utils.models import Fire
from squeeze_utils.models.fake_quant import FakeQuant, levels

WORD = 31  # bits of the multiplier
LONGEST = 62  # bits by which a product of two words is shifted at most


def fixed_point(factor: Tensor) -> tuple[Tensor, Tensor]:
    """Whole numbers M in [2^30, 2^31) and shifts k so that M / 2^k is `factor`, to 31 bits."""
    if not bool((factor > 0).all() & torch.isfinite(factor).all()):
        raise ValueError("only positive factors can be written as a multiplier and a shift")
    mantissa, exponent = torch.frexp(factor.double())
    multiplier = (mantissa * 2.0**WORD).round().long()
    full = multiplier == 2**WORD  # 0.99999... rounded up to 1
    shift = WORD - exponent.long() - full.long()
    if not bool(((shift >= 0) & (shift <= LONGEST)).all()):
        raise ValueError(f"a factor of {float(factor.min()):g} needs a shift beyond 0 to {LONGEST}")
    return torch.where(full, multiplier // 2, multiplier), shift


def shifted(product: Tensor, shift: Tensor) -> Tensor:
    """product / 2^shift rounded to the nearest whole number, halves to the even one: as torch."""
    floor = product >> shift
    twice_rest = (product - (floor << shift)) << 1
    one = torch.ones_like(product) << shift
    up = (twice_rest > one) | ((twice_rest == one) & (floor & 1).bool())
    return floor + up.long()


@dataclass(frozen=True)
class IntegerConv:
    """A convolution on whole numbers and the way to its output's grid, ReLU included.

    `weight` (out, in, k, k) and `bias` (out,) are int32, `multiplier` and `shift` int64 (out,).
    """

    weight: Tensor
    bias: Tensor
    multiplier: Tensor
    shift: Tensor
    zero: int
    highest: int

    def sums(self, q: Tensor) -> Tensor:
        """The 32-bit sums (N, out, H, W) of a map of numbers q (N, in, H, W)."""
        side = self.weight.shape[-1]
        x = F.pad(q.int() - self.zero, (side // 2,) * 4)
        windows = x.unfold(2, side, 1).unfold(3, side, 1)
        sums = torch.tensordot(windows, self.weight, dims=([1, 4, 5], [1, 2, 3]))
        return sums.permute(0, 3, 1, 2) + self.bias[:, None, None]

    def __call__(self, q: Tensor) -> Tensor:
        """The numbers of the output map; clamping them at zero is the ReLU."""
        product = self.sums(q).long() * self.multiplier[:, None, None]
        numbers = shifted(product, self.shift[:, None, None])
        return numbers.clamp(0, self.highest).int()


@dataclass(frozen=True)
class IntegerFire:
    """Squeeze, both expands and the concatenation on whole numbers."""

    squeeze: IntegerConv
    expand1x1: IntegerConv
    expand3x3: IntegerConv

    def __call__(self, q: Tensor) -> Tensor:
        """Numbers of the output map (N, e1 + e3, H, W) from those of the input (N, in, H, W)."""
        squeezed = self.squeeze(q)
        return torch.cat((self.expand1x1(squeezed), self.expand3x3(squeezed)), dim=1)


@torch.no_grad()
def integer_fire(fire: Fire, source: FakeQuant, bits: int = 8) -> tuple[IntegerFire, Fire]:
    """`fire` on whole numbers, and the same function simulated in float64.

    `source` is the calibrated FakeQuant of the map that goes in. The Fire module must be folded
    and calibrated. Its biases become multiples of s_x s_w, its steps s_w are changed in the
    tenth digit, so that the factors have 31 bits: the simulated module has these numbers too.
    """
    _check(fire, source)
    simulated = copy.deepcopy(fire).double().eval()
    middle, last = (point_behind(a) for a in (fire.squeeze_activation, fire.expand_activation))
    layers = {
        name: integer_conv(getattr(simulated, name), before, after.scale, 2**after.bits - 1, bits)
        for name, before, after in (
            ("squeeze", source, middle),
            ("expand1x1", middle, last),
            ("expand3x3", middle, last),
        )
    }
    return IntegerFire(**layers), simulated


def _check(fire: Fire, source: FakeQuant) -> None:
    if isinstance(fire.squeeze_norm, nn.BatchNorm2d):
        raise ValueError("fold batch normalisation first: whole numbers know none")
    if not isinstance(fire.expand3x3, nn.Conv2d) or fire.expand3x3.dilation != (1, 1):
        raise ValueError("only plain Fire modules are written with whole numbers")
    if fire.adds_input or fire.bypass is not None:
        raise ValueError("only Fire modules without a bypass are written with whole numbers")
    behind = (point_behind(a) for a in (fire.squeeze_activation, fire.expand_activation))
    for point in (source, *behind):
        if not float(point.scale) > 0:
            raise ValueError("the ranges of the maps are unknown: calibrate first")


def point_behind(activation: nn.Module) -> FakeQuant:
    """The FakeQuant behind a ReLU; its zero must be 0, so that its clamp is the ReLU."""
    relu, point = list(activation) if isinstance(activation, nn.Sequential) else (activation, None)
    if not isinstance(relu, nn.ReLU) or not isinstance(point, FakeQuant) or float(point.zero):
        raise ValueError("whole numbers need a ReLU and a FakeQuant behind it whose zero is 0")
    return point


@torch.no_grad()
def integer_conv(
    conv: nn.Conv2d, before: FakeQuant, step: Tensor, highest: int, bits: int
) -> IntegerConv:
    """`conv` in whole numbers, from the grid `before` to one of this step from 0 to `highest`.

    Its own weights and biases become what the whole numbers stand for.
    """
    low, high = levels(bits, signed=True)
    scale = weight_scale(conv.weight, bits).double()
    numbers = (conv.weight / scale).round().clamp(low, high)
    own, target = before.scale.detach().double(), step.detach().double()
    silent = (conv.weight == 0).flatten(1).all(1)  # its bias alone is left: any step will do
    scale = torch.where(silent.view_as(scale), target / own, scale)
    multiplier, shift = fixed_point(scale.flatten() * own / target)
    exact = multiplier.double() / 2.0**shift * target  # s_x s_w
    bias = (conv.bias / exact).round()
    most = numbers.abs().flatten(1).sum(1) * (2**before.bits - 1) + bias.abs()
    if float(most.max()) >= 2**31:
        raise ValueError("the sums of this layer may not fit into 32 bits")
    conv.weight.copy_(numbers * (exact / own)[:, None, None, None])
    conv.bias.copy_(bias * exact)
    return IntegerConv(numbers.int(), bias.int(), multiplier, shift, int(before.zero), highest)
