"""The small parts that every network of the series is made of: activations, norms, pooling."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from squeeze_utils.base.checks import choose

# The one place where a new activation has to be entered.
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": lambda: nn.ReLU(inplace=True),
    "leaky_relu": lambda: nn.LeakyReLU(0.1, inplace=True),
    "prelu": nn.PReLU,
    "tanh": nn.Tanh,
    "elu": lambda: nn.ELU(inplace=True),
    "gelu": nn.GELU,
    "silu": lambda: nn.SiLU(inplace=True),
    "mish": lambda: nn.Mish(inplace=True),
    "hardswish": lambda: nn.Hardswish(inplace=True),
}
NORMS: tuple[str, ...] = ("none", "batch")
POOLINGS: tuple[str, ...] = ("max", "average", "stride", "blur", "mixed")
# Of the long study: a blur with the 3x3 window of "max", and a strided convolution with batch
# normalisation and ReLU.
LONG_STUDY_POOLINGS: tuple[str, ...] = ("blur of 3x3", "strided block")


def activation(name: str) -> nn.Module:
    """A fresh activation module by name."""
    return ACTIVATIONS[choose("activation", name, ACTIVATIONS)]()


def _values(name: str, z: Tensor) -> Tensor:
    """What a fresh activation module makes of `z`, which stays as it is."""
    module = activation(name).requires_grad_(False).to(z)
    module.inplace = False
    return module(z)


# The activations as functions of a tensor, for what is computed about them.
FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    name: partial(_values, name) for name in ACTIVATIONS
}


def gain(name: str) -> float:
    """The factor g that keeps the mean square of a signal: g^2 E[f(z)^2] = 1 for normal z.

    The expectation is an integral, here a sum over the density; sqrt(2) for ReLU.
    """
    with torch.device("cpu"):  # also for a network that is built on the meta device
        z = torch.linspace(-10, 10, 20_001, dtype=torch.float64)
        density = torch.exp(-z.square() / 2) / (2 * torch.pi) ** 0.5
        return float(torch.trapezoid(_values(name, z).square() * density, z)) ** -0.5


def norm(name: str, channels: int) -> nn.Module:
    """Batch normalisation over `channels`, or the identity."""
    choose("normalisation", name, NORMS)
    return nn.BatchNorm2d(channels) if name == "batch" else nn.Identity()


def _blurred(dense: Tensor) -> Tensor:
    """The binomial filter with stride 2; edges repeated."""
    padded = F.pad(dense, (1, 1, 1, 1), mode="replicate")
    return F.avg_pool2d(F.avg_pool2d(padded, 2, stride=1), 2, stride=2)


class BlurPool(nn.Module):
    """Max over a dense 2x2 window, then the binomial 3x3 low-pass filter with stride 2.

    The filter (1, 2, 1) x (1, 2, 1) / 16 is the 2x2 average taken twice: nothing is learned.
    """

    def forward(self, x: Tensor) -> Tensor:
        """A map of half the height and width."""
        return _blurred(F.max_pool2d(F.pad(x, (0, 1, 0, 1), mode="replicate"), 2, stride=1))


class WideBlurPool(nn.Module):
    """Max over a dense 3x3 window, the one of max pooling, then `BlurPool`'s filter."""

    def forward(self, x: Tensor) -> Tensor:
        """A map of half the height and width."""
        return _blurred(F.max_pool2d(x, 3, stride=1, padding=1))


class MixedPool(nn.Module):
    """A learned blend of max and average pooling, one weight for the layer (Lee et al. 2016)."""

    def __init__(self) -> None:
        super().__init__()
        self.blend = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        """A map of half the height and width, rounded down."""
        share = torch.sigmoid(self.blend).to(x.dtype)
        maximum = F.max_pool2d(x, 3, stride=2, ceil_mode=True)
        return share * maximum + (1 - share) * F.avg_pool2d(x, 3, stride=2, ceil_mode=True)


def pooling(name: str, channels: int) -> nn.Module:
    """A layer that halves height and width of a map with `channels` channels."""
    choose("pooling", name, (*POOLINGS, *LONG_STUDY_POOLINGS))
    if name == "max":
        return nn.MaxPool2d(3, stride=2, ceil_mode=True)
    if name == "average":
        return nn.AvgPool2d(3, stride=2, ceil_mode=True)
    if name == "stride":
        return nn.Conv2d(channels, channels, 3, stride=2, padding=1, groups=channels)
    if name == "blur of 3x3":
        return WideBlurPool()
    if name == "strided block":
        conv = nn.Conv2d(channels, channels, 3, 2, padding=1, groups=channels, bias=False)
        return nn.Sequential(conv, norm("batch", channels), nn.ReLU(inplace=True))
    return BlurPool() if name == "blur" else MixedPool()
