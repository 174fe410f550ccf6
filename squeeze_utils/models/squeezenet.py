"""SqueezeNet (arXiv 1602.07360): the Fire module, and every variation as one frozen config."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from .layers import ACTIVATIONS, NORMS, POOLINGS, activation, choose, norm, pooling, whole_number

BYPASSES: tuple[str, ...] = ("none", "simple", "complex")
FIRES = range(2, 10)


@dataclass(frozen=True)
class SqueezeNetConfig:
    """All that distinguishes one SqueezeNet from another.

    The names follow section 5.1 of the paper: Fire module i = 2..9 has
    e_i = `base_expand` + `step_expand` * floor((i - 2) / 2) expand filters, a share `pct3x3` of
    them 3x3, and s_i = `squeeze_ratio` * e_i squeeze filters; `width` multiplies every layer.
    `pool_after` lists the layers that a pooling layer follows: 1 is the first convolution,
    2..9 the Fire modules.
    """

    num_classes: int = 1000
    in_channels: int = 3
    first_channels: int = 96
    first_kernel: int = 7
    first_stride: int = 2
    first_padding: int = 0
    base_expand: int = 128
    step_expand: int = 128
    squeeze_ratio: float = 0.125
    pct3x3: float = 0.5
    width: float = 1.0
    activation: str = "relu"
    pooling: str = "max"
    pool_after: tuple[int, ...] = (1, 4, 8)
    norm: str = "none"
    bypass: str = "none"
    dropout: float = 0.5
    final_relu: bool = True

    def __post_init__(self) -> None:
        choose("activation", self.activation, ACTIVATIONS)
        choose("pooling", self.pooling, POOLINGS)
        choose("normalisation", self.norm, NORMS)
        choose("bypass", self.bypass, BYPASSES)
        for name in (
            "num_classes",
            "in_channels",
            "first_channels",
            "first_kernel",
            "first_stride",
        ):
            whole_number(name, getattr(self, name), 1)
        for name in ("first_padding", "step_expand"):
            whole_number(name, getattr(self, name), 0)
        whole_number("base_expand", self.base_expand, 2)
        for name in ("squeeze_ratio", "width"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} must be positive, got {getattr(self, name)}")
        if not 0 < self.pct3x3 < 1:
            raise ValueError(f"pct3x3 must lie between 0 and 1 (exclusive), got {self.pct3x3}")
        if not 0 <= self.dropout < 1:
            raise ValueError(f"dropout must lie in [0, 1), got {self.dropout}")
        object.__setattr__(self, "pool_after", tuple(self.pool_after))
        if not set(self.pool_after) <= {1, *FIRES}:
            raise ValueError(f"pool_after accepts layers 1 to 9, got {self.pool_after}")
        if self.scaled(self.base_expand) < 2:
            raise ValueError(f"width {self.width} leaves a Fire module fewer than 2 expand filters")

    def scaled(self, channels: float) -> int:
        """`channels` times the width factor, at least 1."""
        return max(1, round(channels * self.width))

    def fire(self, index: int) -> tuple[int, int, int]:
        """Squeeze, expand 1x1 and expand 3x3 filters (s, e1, e3) of Fire module `index` (2..9)."""
        expand = self.base_expand + self.step_expand * ((index - 2) // 2)
        total = self.scaled(expand)
        e3 = min(total - 1, max(1, round(total * self.pct3x3)))
        return self.scaled(expand * self.squeeze_ratio), total - e3, e3


class Fire(nn.Module):
    """Squeeze to `s` channels by 1x1, expand by 1x1 and 3x3 side by side, concatenate.

    With `bypass="simple"` the input is added to the output (shapes must agree); with
    `"complex"` a simple bypass where they agree, and a 1x1 convolution on the bypass elsewhere.
    """

    def __init__(
        self,
        in_channels: int,
        s: int,
        e1: int,
        e3: int,
        *,
        act: str = "relu",
        normalisation: str = "none",
        bypass: str = "none",
    ) -> None:
        super().__init__()
        bias = normalisation == "none"
        self.squeeze = nn.Conv2d(in_channels, s, 1, bias=bias)
        self.squeeze_norm = norm(normalisation, s)
        self.squeeze_activation = activation(act)
        self.expand1x1 = nn.Conv2d(s, e1, 1, bias=bias)
        self.expand3x3 = nn.Conv2d(s, e3, 3, padding=1, bias=bias)
        self.expand_norm = norm(normalisation, e1 + e3)
        self.expand_activation = activation(act)
        self.adds_input = False
        self.bypass: nn.Module | None = None
        if choose("bypass", bypass, BYPASSES) != "none":
            self.adds_input = in_channels == e1 + e3
            if bypass == "complex" and not self.adds_input:
                self.bypass = nn.Conv2d(in_channels, e1 + e3, 1)

    @property
    def out_channels(self) -> int:
        """Channels of the concatenated output."""
        return self.expand1x1.out_channels + self.expand3x3.out_channels

    def forward(self, x: Tensor) -> Tensor:
        squeezed = self.squeeze_activation(self.squeeze_norm(self.squeeze(x)))
        expanded = torch.cat((self.expand1x1(squeezed), self.expand3x3(squeezed)), dim=1)
        out = self.expand_activation(self.expand_norm(expanded))
        if self.adds_input:
            return out + x
        return out if self.bypass is None else out + self.bypass(x)


class SqueezeNet(nn.Module):
    """conv1, Fire modules 2 to 9 with pooling between them, conv10, global average pooling.

    Without normalisation and bypass the parameter names are torchvision's, so its state
    dicts load strictly.
    """

    def __init__(self, config: SqueezeNetConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.scaled(config.first_channels)
        self.features = nn.Sequential(*self._first(channels))
        for index in FIRES:
            fire = Fire(
                channels,
                *config.fire(index),
                act=config.activation,
                normalisation=config.norm,
                bypass=config.bypass,
            )
            channels = fire.out_channels
            self.features.append(fire)
            if index in config.pool_after:
                self.features.append(pooling(config.pooling, channels))
        self.classifier = nn.Sequential(
            nn.Dropout(config.dropout),
            nn.Conv2d(channels, config.num_classes, 1),
            nn.ReLU() if config.final_relu else nn.Identity(),
            nn.AdaptiveAvgPool2d(1),
        )
        initialise(self, last=self.classifier[1])

    def _first(self, channels: int) -> list[nn.Module]:
        config = self.config
        conv = nn.Conv2d(
            config.in_channels,
            channels,
            config.first_kernel,
            stride=config.first_stride,
            padding=config.first_padding,
            bias=config.norm == "none",
        )
        layers: list[nn.Module] = [conv]
        if config.norm != "none":
            layers.append(norm(config.norm, channels))
        layers.append(activation(config.activation))
        if 1 in config.pool_after:
            layers.append(pooling(config.pooling, channels))
        return layers

    def fires(self) -> dict[int, Fire]:
        """The Fire modules by their number in the paper, 2 to 9."""
        found = [layer for layer in self.features if isinstance(layer, Fire)]
        return dict(zip(FIRES, found, strict=True))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x)).flatten(1)


def initialise(model: nn.Module, last: nn.Module) -> None:
    """Kaiming-uniform convolutions with zero biases; the `last` layer normal with sd 0.01."""
    for module in model.modules():
        if isinstance(module, nn.Conv2d):
            if module is last:
                nn.init.normal_(module.weight, std=0.01)
            else:
                nn.init.kaiming_uniform_(module.weight)
            if module.bias is not None:
                nn.init.zeros_(module.bias)


V1_0 = SqueezeNetConfig()
V1_1 = SqueezeNetConfig(first_channels=64, first_kernel=3, pool_after=(1, 3, 5))
SMALL = SqueezeNetConfig(
    num_classes=10,
    first_channels=64,
    first_kernel=3,
    first_stride=1,
    first_padding=1,
    pool_after=(1, 3, 5),
    norm="batch",
    dropout=0.0,
    final_relu=False,
)
