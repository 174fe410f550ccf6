"""What is not a weight takes room too: batch normalisation in two numbers, floats of two bytes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from squeeze_utils.training.step import State, Step


@dataclass(frozen=True)
class MergeStatistics(Step):
    """Move batch normalisation's mean and variance into its scale and shift: no more training.

    gamma (x - mean) / sqrt(var + eps) + beta = gamma' x / sqrt(1 + eps) + beta', so every mean
    becomes 0 and every variance 1, which a file stores once for a whole layer.
    """

    @torch.no_grad()
    def apply(self, state: State) -> dict[str, Any]:
        """The same function in evaluation, up to rounding; networks without norms are left."""
        norms = [m for m in state.model.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            norm.bias.sub_(norm.running_mean * scale)
            norm.weight.copy_(scale * (1 + norm.eps) ** 0.5)
            norm.running_mean.zero_()
            norm.running_var.fill_(1.0)
        return {"merged": len(norms)}


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
