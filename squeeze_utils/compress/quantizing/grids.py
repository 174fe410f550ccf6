"""Numbers to few bits: ranges of a tensor, rounding, and how much signal is left."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
from torch import Tensor

from squeeze_utils.base.checks import choose
from squeeze_utils.models.fake_quant import check_bits, levels, rounded

PERCENTILE = 99.9
AT_ONCE = 500_000  # numbers rounded at a time where many grids are tried
GRANULARITIES: tuple[str, ...] = ("tensor", "channel")
Limits = Callable[[Tensor, int], Tensor]


def _largest(rows: Tensor, bits: int) -> Tensor:
    return rows.abs().amax(1)


def _percentile(rows: Tensor, bits: int) -> Tensor:
    count = max(1, round(rows.shape[1] * PERCENTILE / 100))
    return rows.abs().kthvalue(count, 1).values


@torch.no_grad()
def _least_squares(rows: Tensor, bits: int, tried: int = 60) -> Tensor:
    """The limit with the smallest squared error among `tried` shares of the largest value."""
    low, high = levels(bits, signed=True)
    largest = rows.abs().amax(1)
    best, limit = torch.full_like(largest, torch.inf), largest.clone()
    shares = torch.linspace(1.0, 0.2 if bits > 2 else 0.05, tried, device=rows.device)
    for several in shares.split(max(1, AT_ONCE // rows.numel())):
        limits = several[:, None] * largest
        scales = (limits / max(1, high)).clamp_min(1e-12)[:, :, None]
        error, at = (rounded(rows, scales, low, high) - rows).square().sum(2).min(0)
        better = error < best
        best = torch.where(better, error, best)
        limit = torch.where(better, limits.gather(0, at[None])[0], limit)
    return limit


RANGES: dict[str, Limits] = {
    "minmax": _largest,
    "percentile": _percentile,
    "mse": _least_squares,
}


def check_rounding(bits: Iterable[int], granularity: str, range_: str = "mse") -> None:
    """Refuse numbers of bits, and names, that weights cannot be rounded by."""
    for number in bits:
        check_bits("bits", number, 2)
    choose("granularity", granularity, GRANULARITIES)
    choose("range", range_, RANGES)


def weight_scale(
    weight: Tensor, bits: int, granularity: str = "channel", range_: str = "mse"
) -> Tensor:
    """Steps of symmetric grids for a weight (out, ...): (out, 1, ...), or of one for all of it."""
    check_rounding([bits], granularity, range_)
    rows = weight.detach().reshape(len(weight) if granularity == "channel" else 1, -1).float()
    limit = RANGES[range_](rows, bits)
    scale = (limit / levels(bits, signed=True)[1]).clamp_min(1e-12)
    shape = [len(scale)] + [1] * (weight.ndim - 1)
    return scale.view(shape)


def quantized_weight(weight: Tensor, scale: Tensor, bits: int) -> Tensor:
    """`weight` rounded to its grid."""
    low, high = levels(bits, signed=True)
    return rounded(weight.detach(), scale, low, high)


def sqnr(signal: Tensor, rounded_signal: Tensor) -> float:
    """Signal to quantization noise in decibels: 10 log10 of the ratio of mean squares."""
    noise = (signal - rounded_signal).double().square().mean()
    return float(10 * torch.log10(signal.double().square().mean() / noise.clamp_min(1e-300)))
