"""The part of a detector or segmenter that makes maps: SqueezeNet's features, or plain VGG's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from torch import Tensor, nn

from squeeze_utils.base.checks import choose, real_number, whole_number
from squeeze_utils.models.baselines import conv_norm
from squeeze_utils.models.fire import Fire
from squeeze_utils.models.layers import pooling
from squeeze_utils.models.squeezenet import SqueezeNet
from squeeze_utils.models.squeezenet_config import SMALL, V1_1

# The widths of a VGG of 3x3 convolutions as large as SqueezeNet 1.1's features (3 % more weights).
VGG_STAGES = ((32,), (64, 64), (96, 96), (128, 128, 128, 128))
BACKBONES: tuple[str, ...] = ("squeezenet1_1", "squeezenet_small", "vgg")
POOL_AFTER = (1, 3, 5)  # layers of both SqueezeNets, and how a VGG's stages end


class Backbone(nn.Module):
    """Maps at falling resolution: what comes before each pooling layer, and the last map.

    `features` are the layers in a row; a SqueezeNet's have the names that torchvision gives them,
    so its weights fit. `channels` are those of the maps, `forward` returns the maps, finest first.
    `pools` of the three pooling layers are kept: a backbone that pools less has finer maps.
    """

    def __init__(
        self,
        kind: str,
        in_channels: int = 3,
        *,
        width: float = 1.0,
        normalisation: str = "batch",
        pools: int = 3,
    ) -> None:
        super().__init__()
        choose("backbone", kind, BACKBONES)
        real_number("width", width, above=0)
        whole_number("pools", pools, 1, 3)
        make = _vgg if kind == "vgg" else _squeezenet
        self.features = make(kind, in_channels, width, normalisation, POOL_AFTER[:pools])
        self.channels = tuple(_channels(self.features))

    def forward(self, x: Tensor) -> list[Tensor]:
        """The maps of images (N, C, H, W): one before each pooling, and the last, coarsest one."""
        maps = []
        for layer in self.features:
            if isinstance(layer, nn.MaxPool2d):
                maps.append(x)
            x = layer(x)
        return [*maps, x]


def _squeezenet(
    kind: str, in_channels: int, width: float, normalisation: str, pool_after: tuple[int, ...]
) -> nn.Sequential:
    config = replace(
        V1_1 if kind == "squeezenet1_1" else SMALL,
        in_channels=in_channels,
        num_classes=1,
        width=width,
        norm=normalisation,
        pool_after=pool_after,
        first_padding=1,
    )
    return SqueezeNet(config).features


def _vgg(
    kind: str, in_channels: int, width: float, normalisation: str, pool_after: tuple[int, ...]
) -> nn.Sequential:
    """Stages of 3x3 convolutions, the first with stride 2; pooling between them."""
    layers: list[nn.Module] = []
    channels = in_channels
    for number, stage in enumerate(VGG_STAGES):
        for outputs in (max(1, round(width * wide)) for wide in stage):
            layers += conv_norm(channels, outputs, 3, normalisation, padding=1)
            channels = outputs
        if number < len(pool_after):
            layers.append(pooling("max", channels))
    layers[0].stride = (2, 2)
    return nn.Sequential(*layers)


def _channels(features: nn.Sequential) -> Iterator[int]:
    channels = 0
    for layer in features:
        if isinstance(layer, nn.MaxPool2d):
            yield channels
        channels = getattr(layer, "out_channels", channels)
    yield channels


def image_shape(in_channels: int, image_size: object) -> tuple[int, int, int]:
    """(channels, height, width) where `image_size` is a side, or (height, width)."""
    is_pair = isinstance(image_size, list | tuple)
    sides = tuple(image_size) if is_pair else (image_size, image_size)
    if len(sides) != 2 or not all(type(side) is int and side >= 32 for side in sides):
        raise ValueError(f"image_size is a side or (height, width) from 32, got {image_size!r}")
    return in_channels, *sides


def flat_layers(*parts: nn.Module) -> list[nn.Module]:
    """The layers of nested sequences in a row, Fire modules whole: what folding walks along."""
    found: list[nn.Module] = []
    for part in parts:
        nested = isinstance(part, nn.Sequential | nn.ModuleList)
        if not nested:
            found.append(part)
        else:
            found += flat_layers(*part)
    return found


Place = tuple[nn.Conv2d, nn.BatchNorm2d | None, int]


def convolutions_with_norms(layers: Iterable[nn.Module]) -> Iterator[Place]:
    """Each convolution of layers in a row, what normalises its output, and its place in that.

    A Fire module normalises its two expand layers together: the second one begins behind the
    channels of the first. Depthwise convolutions are left out: no normalisation follows them.
    """
    row = list(layers)
    for layer, after in zip(row, [*row[1:], None], strict=True):
        if isinstance(layer, nn.Conv2d) and layer.groups == 1:
            yield layer, _norm(after), 0
        elif isinstance(layer, Fire):
            yield from _of_fire(layer)


def _of_fire(fire: Fire) -> Iterator[Place]:
    yield fire.squeeze, _norm(fire.squeeze_norm), 0
    yield fire.expand1x1, _norm(fire.expand_norm), 0
    last = fire.expand3x3[-1] if isinstance(fire.expand3x3, nn.Sequential) else fire.expand3x3
    yield last, _norm(fire.expand_norm), fire.expand1x1.out_channels
    if isinstance(fire.bypass, nn.Sequential):
        yield fire.bypass[0], _norm(fire.bypass[1]), 0
    elif fire.bypass is not None:
        yield fire.bypass, None, 0


def _norm(module: nn.Module | None) -> nn.BatchNorm2d | None:
    return module if isinstance(module, nn.BatchNorm2d) else None
