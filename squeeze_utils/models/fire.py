"""The Fire module: squeeze by 1x1, expand by 1x1 and 3x3 side by side."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from squeeze_utils.base.checks import choose
from squeeze_utils.models.fake_quant import quantized
from squeeze_utils.models.fused import PointwiseConv2d, fusible, norm_relu_pool, watched
from squeeze_utils.models.layers import activation, norm
from squeeze_utils.models.small_map_conv import SmallMapConv2d

BYPASSES: tuple[str, ...] = ("none", "simple", "complex")
EXPANDS: tuple[str, ...] = ("plain", "depthwise", "dilated")


def expand_3x3(kind: str, s: int, e3: int, bias: bool) -> nn.Module:
    """The 3x3 part of an expand layer, from `s` to `e3` channels at the same height and width."""
    choose("expand", kind, EXPANDS)
    if kind == "depthwise":
        within = nn.Conv2d(s, s, 3, padding=1, groups=s, bias=False)
        return nn.Sequential(within, nn.Conv2d(s, e3, 1, bias=bias))
    if kind == "plain" and not bias:
        return SmallMapConv2d(s, e3)
    dilation = 2 if kind == "dilated" else 1
    return nn.Conv2d(s, e3, 3, padding=dilation, dilation=dilation, bias=bias)


class Fire(nn.Module):
    """Squeeze to `s` channels by 1x1, expand by 1x1 and 3x3 side by side, concatenate.

    With `linear_squeeze` no activation follows the squeeze layer.
    `expand` says what stands for the 3x3: the plain one, a depthwise-separable one (3x3 within
    each channel, then 1x1 across them), or one with holes (dilation 2: a 5x5 window).
    With `bypass="simple"` the input is added to the output (shapes must agree); with
    `"complex"` a simple bypass where they agree, and a 1x1 convolution on the bypass elsewhere,
    normalised if the rest is. With `activation_bits` every map it makes can be rounded.

    >>> import torch
    >>> import squeeze_utils as sq
    >>> sq.Fire(96, 16, 64, 64)(torch.zeros(1, 96, 55, 55)).shape
    torch.Size([1, 128, 55, 55])
    """

    def __init__(
        self,
        in_channels: int,
        s: int,
        e1: int,
        e3: int,
        *,
        act: str = "relu",
        linear_squeeze: bool = False,
        normalisation: str = "none",
        bypass: str = "none",
        expand: str = "plain",
        activation_bits: int = 0,
    ) -> None:
        super().__init__()
        bias = normalisation == "none"
        self.squeeze = PointwiseConv2d(in_channels, s, bias=bias)
        self.squeeze_norm = norm(normalisation, s)
        squeezed = nn.Identity() if linear_squeeze else activation(act)
        self.squeeze_activation = quantized(squeezed, activation_bits)
        self.expand1x1 = PointwiseConv2d(s, e1, bias=bias)
        self.expand3x3 = expand_3x3(expand, s, e3, bias)
        self.expand_norm = norm(normalisation, e1 + e3)
        self.expand_activation = quantized(activation(act), activation_bits)
        self.adds_input = False
        self.bypass: nn.Module | None = None
        if choose("bypass", bypass, BYPASSES) != "none":
            self.adds_input = in_channels == e1 + e3
            if bypass == "complex" and not self.adds_input:
                projection = nn.Conv2d(in_channels, e1 + e3, 1, bias=bias)
                self.bypass = (
                    projection if bias else nn.Sequential(projection, norm(normalisation, e1 + e3))
                )
        adds = self.adds_input or self.bypass is not None
        self.sum_quant = quantized(nn.Identity(), activation_bits if adds else 0)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Squeeze, expand 1x1 and expand 3x3 filters (s, e1, e3)."""
        last = self.expand3x3[-1] if isinstance(self.expand3x3, nn.Sequential) else self.expand3x3
        return self.squeeze.out_channels, self.expand1x1.out_channels, last.out_channels

    @property
    def out_channels(self) -> int:
        """Channels of the concatenated output."""
        return sum(self.shape[1:])

    def poolable(self, x: Tensor, pool: nn.Module) -> bool:
        """True if `pooled` gives what `pool` would make of the output, with nobody watching."""
        adds = self.adds_input or self.bypass is not None
        simple = not adds and type(self.sum_quant) is nn.Identity and not watched(self)
        return simple and fusible(x, self.expand_norm, self.expand_activation, pool)

    def pooled(self, x: Tensor, pool: nn.MaxPool2d) -> Tensor:
        """The output after `pool`, in training."""
        return norm_relu_pool(self._expanded(x), self.expand_norm, pool)

    def _expanded(self, x: Tensor) -> Tensor:
        squeezed = self.squeeze_activation(self.squeeze_norm(self.squeeze(x)))
        return torch.cat((self.expand1x1(squeezed), self.expand3x3(squeezed)), dim=1)

    def forward(self, x: Tensor) -> Tensor:
        """A map (N, e1 + e3, H, W) of a map (N, channels, H, W), with the bypass, if any, added."""
        out = self.expand_activation(self.expand_norm(self._expanded(x)))
        if self.adds_input:
            return self.sum_quant(out + x)
        return out if self.bypass is None else self.sum_quant(out + self.bypass(x))
