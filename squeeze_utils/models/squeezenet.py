"""SqueezeNet (arXiv 1602.07360), and every variation of it as one frozen config."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from torch import Tensor, nn

from squeeze_utils.base.checks import choose, real_number, whole_number
from squeeze_utils.models.fake_quant import FakeQuant, check_bits, quantized
from squeeze_utils.models.fire import BYPASSES, EXPANDS, Fire
from squeeze_utils.models.fused import Features, PointwiseConv2d
from squeeze_utils.models.layers import (
    ACTIVATIONS,
    NORMS,
    POOLINGS,
    SAME_WINDOW_POOLINGS,
    activation,
    gain,
    norm,
    pooling,
)

HEADS: tuple[str, ...] = ("average", "dense")
INITS: tuple[str, ...] = ("kaiming", "matched")
GRID = 4  # a dense head sees the last map at GRID x GRID positions
FIRES = range(2, 10)  # the numbers of the Fire modules in the paper
MOST_REPEATS = 8  # a .sqz file from anywhere names these: no more layers than can be built

_CHOICES = {
    "activation": ACTIVATIONS,
    "pooling": (*POOLINGS, *SAME_WINDOW_POOLINGS),
    "bypass": BYPASSES,
    "expand": EXPANDS,
    "head": HEADS,
    "init": INITS,
}
_LEAST = {
    **dict.fromkeys(("num_classes", "in_channels", "first_channels"), 1),
    **dict.fromkeys(("first_kernel", "first_stride"), 1),
    **dict.fromkeys(("first_padding", "step_expand", "last_padding"), 0),
    "base_expand": 2,
}


@dataclass(frozen=True)
class SqueezeNetConfig:
    """All that distinguishes one SqueezeNet from another.

    The names follow section 5.1 of the paper: Fire module i = 2..9 has
    e_i = `base_expand` + `step_expand` * floor((i - 2) / 2) expand filters, a share `pct3x3` of
    them 3x3, and s_i = `squeeze_ratio` * e_i squeeze filters; `width` multiplies every layer.
    `pool_after` lists the layers that a pooling layer follows: 1 is the first convolution,
    2..9 the Fire modules. `first_repeat` stacks that many first convolutions, 1 to MOST_REPEATS
    (the others with stride 1). `head` is the paper's conv10 and global average, or a dense layer on
    the last map. `linear_squeeze` leaves the activation behind the squeeze layers out.
    `init` is Kaiming's for ReLU, or the same with the gain of the activation at hand.
    `fires` gives (s, e1, e3) of all eight Fire modules outright, as filter pruning leaves them.
    `last_padding` is 1 in the networks that the authors released, 0 in torchvision's.
    `activation_bits` puts a FakeQuant behind the input and every activation (0: none).
    """

    num_classes: int = 1000
    in_channels: int = 3
    first_channels: int = 96
    first_kernel: int = 7
    first_stride: int = 2
    first_padding: int = 0
    first_repeat: int = 1
    base_expand: int = 128
    step_expand: int = 128
    squeeze_ratio: float = 0.125
    pct3x3: float = 0.5
    width: float = 1.0
    activation: str = "relu"
    linear_squeeze: bool = False
    pooling: str = "max"
    pool_after: tuple[int, ...] = (1, 4, 8)
    norm: str = "none"
    bypass: str = "none"
    expand: str = "plain"
    head: str = "average"
    init: str = "kaiming"
    fires: tuple[tuple[int, int, int], ...] = ()
    activation_bits: int = 0
    last_padding: int = 0
    dropout: float = 0.5
    final_relu: bool = True

    def __post_init__(self) -> None:
        if not isinstance(self.pool_after, list | tuple):
            raise ValueError(f"pool_after takes a tuple of layers, got {self.pool_after!r}")
        object.__setattr__(self, "pool_after", tuple(self.pool_after))
        is_table = isinstance(self.fires, list | tuple)
        if not is_table or not all(isinstance(fire, list | tuple) for fire in self.fires):
            raise ValueError(f"fires takes {len(FIRES)} triples (s, e1, e3), got {self.fires!r}")
        object.__setattr__(self, "fires", tuple(map(tuple, self.fires)))
        choose("normalisation", self.norm, NORMS)
        for name, accepted in _CHOICES.items():
            choose(name, getattr(self, name), accepted)
        for name, least in _LEAST.items():
            whole_number(name, getattr(self, name), least)
        whole_number("first_repeat", self.first_repeat, 1, MOST_REPEATS)
        for name in ("linear_squeeze", "final_relu"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} must be True or False, got {getattr(self, name)!r}")
        real_number("squeeze_ratio", self.squeeze_ratio, above=0)
        real_number("width", self.width, above=0)
        real_number("pct3x3", self.pct3x3, above=0, below=1)
        real_number("dropout", self.dropout, least=0, below=1)
        if self.activation_bits:
            check_bits("activation_bits", self.activation_bits, 2)
        if self.fires and [len(numbers) for numbers in self.fires] != [3] * len(FIRES):
            raise ValueError(f"fires takes {len(FIRES)} triples (s, e1, e3), got {self.fires}")
        for number in itertools.chain(*self.fires):
            whole_number("a number of filters", number, 1)
        if not set(self.pool_after) <= {1, *FIRES}:
            raise ValueError(f"pool_after accepts layers 1 to 9, got {self.pool_after}")
        if self.scaled(self.base_expand) < 2:
            raise ValueError(f"width {self.width} leaves a Fire module fewer than 2 expand filters")

    def scaled(self, channels: float) -> int:
        """`channels` times the width factor, at least 1."""
        return max(1, round(channels * self.width))

    def fire(self, index: int) -> tuple[int, int, int]:
        """Squeeze, expand 1x1 and expand 3x3 filters (s, e1, e3) of Fire module `index` (2..9)."""
        if self.fires:
            return self.fires[index - FIRES.start]
        expand = self.base_expand + self.step_expand * ((index - 2) // 2)
        total = self.scaled(expand)
        e3 = min(total - 1, max(1, round(total * self.pct3x3)))
        return self.scaled(expand * self.squeeze_ratio), total - e3, e3


class SqueezeNet(nn.Module):
    """A convolution, eight Fire modules with pooling between them, a convolution, an average.

    The layers of version 1.0 (the paper's, for 224 pixels) and of the series' small one (for 32),
    the filters of each Fire module, and the shape (channels, height, width) of each output:

        layer    (s, e1, e3)     squeezenet1_0   squeezenet_small
        conv1                    96 109 109      64 32 32
        maxpool1                 96 54 54        64 16 16
        fire2    (16, 64, 64)    128 54 54       128 16 16
        fire3    (16, 64, 64)    128 54 54       128 16 16
        maxpool3                 -               128 8 8
        fire4    (32, 128, 128)  256 54 54       256 8 8
        maxpool4                 256 27 27       -
        fire5    (32, 128, 128)  256 27 27       256 8 8
        maxpool5                 -               256 4 4
        fire6    (48, 192, 192)  384 27 27       384 4 4
        fire7    (48, 192, 192)  384 27 27       384 4 4
        fire8    (64, 256, 256)  512 27 27       512 4 4
        maxpool8                 512 13 13       -
        fire9    (64, 256, 256)  512 13 13       512 4 4
        conv10                   1000 13 13      10 4 4
        avgpool10                1000 1 1        10 1 1

    An activation follows conv1, with batch normalisation before it in the small one, and dropout
    comes before conv10. `features` holds all up to fire9, `classifier` the rest. Without
    normalisation and bypass the parameter names are torchvision's, so its state dicts load
    strictly.
    """

    def __init__(self, config: SqueezeNetConfig) -> None:
        super().__init__()
        self.config = config
        channels = config.scaled(config.first_channels)
        layers = [*self._first(channels), *self._pooling_after(1, channels)]
        for index in FIRES:
            fire = self._fire(index, channels)
            channels = fire.out_channels
            layers += [fire, *self._pooling_after(index, channels)]
        self.features = Features(*layers)
        self.classifier = nn.Sequential(nn.Dropout(config.dropout), *self._head(channels))
        last = next(m for m in self.classifier if isinstance(m, nn.Conv2d | nn.Linear))
        matched = config.init == "matched"
        initialise(self, last, gain(config.activation) if matched else 2**0.5)

    def _first(self, channels: int) -> list[nn.Module]:
        """conv1 and what follows it: `first_repeat` times, all but the first with stride 1."""
        config = self.config
        bits, plain = config.activation_bits, config.norm == "none"
        layers: list[nn.Module] = [FakeQuant(bits)] if bits else []
        before, stride = config.in_channels, config.first_stride
        for _ in range(config.first_repeat):
            kernel, padding = config.first_kernel, config.first_padding
            layers.append(nn.Conv2d(before, channels, kernel, stride, padding, bias=plain))
            if not plain:
                layers.append(norm(config.norm, channels))
            layers.append(quantized(activation(config.activation), bits))
            before, stride = channels, 1
        return layers

    def _fire(self, index: int, channels: int) -> Fire:
        """Fire module `index` (2 to 9) on `channels` channels."""
        config = self.config
        return Fire(
            channels,
            *config.fire(index),
            act=config.activation,
            linear_squeeze=config.linear_squeeze,
            normalisation=config.norm,
            bypass=config.bypass,
            expand=config.expand,
            activation_bits=config.activation_bits,
        )

    def _pooling_after(self, index: int, channels: int) -> list[nn.Module]:
        """The pooling layer behind conv1 (index 1) or Fire module `index`, if there is one."""
        config = self.config
        return [pooling(config.pooling, channels)] if index in config.pool_after else []

    def _head(self, channels: int) -> list[nn.Module]:
        """conv10 and the global average, or a dense layer on the last map."""
        config = self.config
        relu = nn.ReLU() if config.final_relu else nn.Identity()
        if config.head == "dense":
            dense = nn.Linear(channels * GRID**2, config.num_classes)
            return [nn.AdaptiveAvgPool2d(GRID), nn.Flatten(), dense, relu]
        last = PointwiseConv2d(channels, config.num_classes, padding=config.last_padding)
        return [last, relu, nn.AdaptiveAvgPool2d(1)]

    @property
    def first(self) -> nn.Conv2d:
        """The first convolution."""
        return next(layer for layer in self.features if isinstance(layer, nn.Conv2d))

    def fires(self) -> dict[int, Fire]:
        """The Fire modules by their number in the paper, 2 to 9."""
        fires = [layer for layer in self.features if isinstance(layer, Fire)]
        return dict(zip(FIRES, fires, strict=True))

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, num_classes) of images (N, C, H, W)."""
        return self.classifier(self.features(x)).flatten(1)


def initialise(model: nn.Module, last: nn.Module | None, gain: float = 2**0.5) -> None:
    """Convolutions uniform with deviation gain / sqrt(fan in), zero biases; `last` with 0.01."""
    if any(p.is_meta for p in model.parameters()):  # has no memory to fill
        return
    for module in model.modules():
        if module is last:
            nn.init.normal_(module.weight, std=0.01)
        elif isinstance(module, nn.Conv2d):
            bound = gain * (3 / module.weight[0].numel()) ** 0.5
            nn.init.uniform_(module.weight, -bound, bound)
        else:
            continue
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
