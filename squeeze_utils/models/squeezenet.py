"""SqueezeNet (arXiv 1602.07360) as its config describes it."""

from __future__ import annotations

from torch import Tensor, nn

from squeeze_utils.models.fake_quant import FakeQuant, quantized
from squeeze_utils.models.fire import Fire
from squeeze_utils.models.fused import Features, PointwiseConv2d
from squeeze_utils.models.layers import activation, gain, norm, pooling
from squeeze_utils.models.squeezenet_config import FIRES, GRID, SqueezeNetConfig


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
