"""A 3x3 convolution of many channels on a small map, whose weights' gradient is one product."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F

LARGEST = 64  # positions of a map; with more, or more than it has channels, conv2d is faster


class SmallMapConv2d(nn.Conv2d):
    """`nn.Conv2d` of 3x3, stride 1 and padding 1 without a bias, faster to train on a CPU.

    Where there are more channels than positions, the processor's library is slowest at the
    gradient of the weights: on maps of 2x2 it takes eight times as long as the forward pass.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """The convolution of a map (N, C, H, W); its gradient is computed the faster way."""
        if self.training and x.device.type == "cpu" and x.ndim == 4:
            positions = x.shape[2] * x.shape[3]
            if positions <= min(LARGEST, x.shape[1]):
                return _Convolve.apply(x, self.weight.to(x.dtype))
        return super().forward(x)


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        ctx.save_for_backward(x, weight)
        return F.conv2d(x, weight, padding=1)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, Tensor | None]:
        x, weight = ctx.saved_tensors
        wanted = ctx.needs_input_grad
        of_x = nn.grad.conv2d_input(x.shape, weight, gradient, padding=1) if wanted[0] else None
        return of_x, weights_gradient(x, gradient) if wanted[1] else None


def weights_gradient(x: Tensor, gradient: Tensor) -> Tensor:
    """The gradient of a 3x3 convolution's weights, each position of the maps a row.

    A row of one matrix holds the nine pixels that a position sees, in all channels.
    """
    _, channels, height, width = x.shape
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1))
    shifts = [padded[:, i : i + height, j : j + width] for i in range(3) for j in range(3)]
    seen = torch.cat(shifts, dim=-1).flatten(0, 2)
    found = gradient.permute(0, 2, 3, 1).flatten(0, 2).T @ seen
    return found.view(-1, 3, 3, channels).permute(0, 3, 1, 2)
