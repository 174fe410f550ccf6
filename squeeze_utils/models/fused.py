"""Shorter ways through the layers of a network in training on a CPU, to the same gradients."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable
from torch.nn import functional as F
from torch.nn.modules import module as torch_module

POSITIONS = 64  # of a map, up to which a 1x1 convolution is faster as a product of matrices


class PointwiseConv2d(nn.Conv2d):
    """`nn.Conv2d` of 1x1 and stride 1; on small maps in training one product of matrices.

    A map in channels-last order is a matrix with a row for each position, and the convolution
    Y = X W^T. The processor's library takes twice as long for its gradients under the name of a
    convolution.
    """

    def __init__(self, inputs: int, outputs: int, bias: bool = True, padding: int = 0) -> None:
        super().__init__(inputs, outputs, 1, bias=bias, padding=padding)

    def forward(self, x: Tensor) -> Tensor:
        """A map (N, outputs, H, W) of a map (N, inputs, H, W)."""
        small = x.ndim == 4 and x.shape[2] * x.shape[3] <= POSITIONS
        if not (self.training and x.device.type == "cpu" and small) or self.padding != (0, 0):
            return super().forward(x)
        return F.linear(x.permute(0, 2, 3, 1), self.weight.flatten(1), self.bias).permute(
            0, 3, 1, 2
        )


def fusible(x: Tensor, norm: nn.Module, activation: nn.Module, pool: nn.Module) -> bool:
    """True if `norm_relu_pool` computes what these three modules would, with nobody watching."""
    modules = (norm, activation, pool)
    if [type(module) for module in modules] != [nn.BatchNorm2d, nn.ReLU, nn.MaxPool2d]:
        return False
    ready = norm.training and norm.affine and norm.track_running_stats and norm.momentum is not None
    simple = pool.dilation == 1 and not pool.return_indices
    return ready and simple and x.device.type == "cpu" and not any(map(watched, modules))


def watched(module: nn.Module) -> bool:
    """True if a hook would miss `module` where it is passed over."""
    kinds = ("forward_hooks", "forward_pre_hooks", "backward_hooks", "backward_pre_hooks")
    return any(
        getattr(module, f"_{kind}") or getattr(torch_module, f"_global_{kind}") for kind in kinds
    )


def norm_relu_pool(x: Tensor, norm: nn.BatchNorm2d, pool: nn.MaxPool2d) -> Tensor:
    """`pool(relu(norm(x)))` in training, where pooling comes first.

    Batch normalisation y = a (x - mean) + beta with a = gamma / deviation, and ReLU, do not change
    the order of values (where gamma is negative they turn it round), so that the largest x of a
    window becomes the largest y. Normalising and ReLU are then left with a quarter of the map.
    """
    norm.num_batches_tracked.add_(1)
    return _NormReluPool.apply(
        x, norm.weight, norm.bias, (norm.running_mean, norm.running_var), norm, pool
    )


class _NormReluPool(torch.autograd.Function):
    """With g the gradient behind ReLU, x' = (x - mean) / deviation and N numbers in a channel:

    of beta: sum g;  of gamma: sum g x';  both over the pooled map only, the rest of g is zero;
    of x: a (g put back where it came from  -  sum g / N  -  x' sum(g x') / N).
    """

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running: tuple[Tensor, Tensor],
        norm: nn.BatchNorm2d,
        pool: nn.MaxPool2d,
    ) -> Tensor:
        mean, var = torch.batch_norm_update_stats(x, *running, norm.momentum)
        signs = torch.where(weight < 0, -1.0, 1.0).to(x.dtype)[:, None, None]
        turned = bool((weight < 0).any())
        pooled, where = F.max_pool2d(
            x * signs if turned else x,
            pool.kernel_size,
            pool.stride,
            pool.padding,
            ceil_mode=pool.ceil_mode,
            return_indices=True,
        )
        if turned:
            pooled = pooled * signs
        y = F.batch_norm(pooled, mean, var, weight, bias, eps=norm.eps).relu_()
        ctx.save_for_backward(x, weight, mean, var, pooled, where, y)
        ctx.pool, ctx.eps = pool, norm.eps
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, var, pooled, where, y = ctx.saved_tensors
        aten, pool, eps = torch.ops.aten, ctx.pool, ctx.eps
        inner = aten.threshold_backward(gradient, y, 0)
        scaled, of_weight, of_bias = aten.native_batch_norm_backward(
            inner, pooled, weight, mean, var, None, None, False, eps, [True, True, True]
        )
        count = x.numel() // x.shape[1]
        shift = -weight * (var + eps).rsqrt() * of_bias / count
        slope = -weight / (var + eps) ** 0.5 * of_weight / count
        of_x = F.batch_norm(x, mean, var, slope, shift, eps=eps)
        both = [
            [side, side] if isinstance(side, int) else list(side)
            for side in (pool.kernel_size, pool.stride, pool.padding, pool.dilation)
        ]
        of_x += aten.max_pool2d_with_indices_backward(scaled, x, *both, pool.ceil_mode, where)
        return of_x, of_weight, of_bias, None, None, None


class Features(nn.Sequential):
    """Layers in sequence; in training, pooling comes before normalising where it can."""

    def forward(self, x: Tensor) -> Tensor:
        """What the layers compute one after the other, with fewer passes in training."""
        if not self.training:
            return super().forward(x)
        layers = list(self)
        while layers:
            layer, *layers = layers
            if len(layers) >= 2 and fusible(x, layer, *layers[:2]):
                x = norm_relu_pool(x, layer, layers[1])
                layers = layers[2:]
            elif layers and hasattr(layer, "pooled") and layer.poolable(x, layers[0]):
                x = layer.pooled(x, layers[0])
                layers = layers[1:]
            else:
                x = layer(x)
        return x
