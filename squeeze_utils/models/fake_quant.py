"""Rounding to a grid of a few bits, with a gradient: simulated quantization."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from squeeze_utils.base.checks import whole_number

MOST_BITS = 16


def check_bits(name: str, bits: object, least: int = 1) -> int:
    """Return `bits` if it is a whole number from `least` to 16; otherwise raise an error."""
    return whole_number(name, bits, least, MOST_BITS)


def levels(bits: int, signed: bool) -> tuple[int, int]:
    """Lowest and highest whole number of the grid; symmetric (-127 to 127) where it is signed."""
    return (-(2 ** (bits - 1)) + 1, 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)


def rounded(
    x: Tensor, scale: Tensor, low: int, high: int, zero: Tensor | float = 0.0, share: float = 1.0
) -> Tensor:
    """scale * (clamp(round(x / scale) + zero, low, high) - zero), with gradients.

    Rounding passes the gradient on (straight-through, Bengio et al. 2013), clamping stops it.
    So the gradient of `scale` is round(x / scale) - x / scale inside and the bound outside,
    which is LSQ's (Esser et al. 2020, eq. 3); it is multiplied by `share`.
    """
    if not torch.is_grad_enabled():  # the same numbers in a fraction of the time
        return (x / scale).clamp_(low - zero, high - zero).round_().mul_(scale)
    if share != 1.0:
        scale = scale * share + (scale * (1 - share)).detach()
    inside = torch.clamp(x / scale, low - zero, high - zero)
    return scale * (inside + (torch.round(inside) - inside).detach())


class FakeQuant(nn.Module):
    """Rounds what flows through it to `bits` bits; does nothing until it has a scale.

    `scale` (a step of the grid) and `zero` (the number that stands for 0) are one pair for the
    whole map, which is what runtimes do. Observed ranges set them; training may learn `scale`.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = check_bits("activation_bits", bits, 2)
        self.scale = nn.Parameter(torch.zeros(()), requires_grad=False)
        self.register_buffer("zero", torch.zeros(()))

    @torch.no_grad()
    def set_range(self, low: float, high: float) -> None:
        """A grid from `low` to `high`, widened so that zero lies on it exactly."""
        low, high = min(low, 0.0), max(high, 0.0)
        steps = 2**self.bits - 1
        scale = max((high - low) / steps, 1e-12)
        self.scale.fill_(scale)
        self.zero.fill_(round(-low / scale))

    def forward(self, x: Tensor) -> Tensor:
        """The same numbers on the grid; unchanged while there is no scale."""
        if not float(self.scale.detach()) > 0:
            return x
        share = 1.0
        if self.scale.requires_grad:
            share = (x.numel() * (2**self.bits - 1)) ** -0.5
        low, high = levels(self.bits, signed=False)
        return rounded(x, self.scale, low, high, self.zero, share)

    def extra_repr(self) -> str:
        """What `print(model)` shows."""
        return f"bits={self.bits}"


def quantized(module: nn.Module, bits: int) -> nn.Module:
    """`module`, with a FakeQuant behind it where `bits` is not 0."""
    return nn.Sequential(module, FakeQuant(bits)) if bits else module
