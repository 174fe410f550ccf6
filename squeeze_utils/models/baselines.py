"""The networks that SqueezeNet is compared with: AlexNet, VGG, ResNet-20 and two LeNets."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from squeeze_utils.base.checks import choose, real_number, whole_number
from squeeze_utils.models.fire import Fire
from squeeze_utils.models.layers import norm
from squeeze_utils.models.small_map_conv import SmallMapConv2d

VGG_PLANS: dict[int, tuple[tuple[int, ...], ...]] = {
    11: ((64,), (128,), (256, 256), (512, 512), (512, 512)),
    16: ((64, 64), (128, 128), (256, 256, 256), (512, 512, 512), (512, 512, 512)),
}
MANY = 256  # output channels from which a VGG's convolution is a SmallMapConv2d
IMAGE_SIZES: tuple[int, ...] = (32, 224)


class Classifier(nn.Module):
    """A convolutional part, flattened, then a dense part."""

    def __init__(self, features: nn.Module, classifier: nn.Module) -> None:
        super().__init__()
        self.features = features
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, classes) of images (N, C, H, W)."""
        return self.classifier(self.features(x).flatten(1))


def _dense_head(inputs: int, hidden: int, classes: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        nn.Dropout(dropout),
        nn.Linear(inputs, hidden),
        nn.ReLU(inplace=True),
        nn.Dropout(dropout),
        nn.Linear(hidden, hidden),
        nn.ReLU(inplace=True),
        nn.Linear(hidden, classes),
    )


def conv_norm(inputs: int, outputs: int, kernel: int, normalisation: str, **where: int) -> list:
    """A convolution, its normalisation and a ReLU; `where` is its padding and stride."""
    bias = normalisation == "none"
    return _normalised(nn.Conv2d(inputs, outputs, kernel, bias=bias, **where), normalisation)


def _normalised(conv: nn.Conv2d, normalisation: str) -> list[nn.Module]:
    layers: list[nn.Module] = [conv]
    if normalisation != "none":
        layers.append(norm(normalisation, conv.out_channels))
    return [*layers, nn.ReLU(inplace=True)]


def alexnet(
    num_classes: int = 1000,
    *,
    image_size: int = 224,
    in_channels: int = 3,
    normalisation: str = "none",
    dropout: float = 0.5,
) -> nn.Module:
    """AlexNet: five convolutions and three dense layers (torchvision's single-tower form at 224).

    The 32-pixel form keeps the channels and shrinks kernels and strides; its dense layers have
    1,024 units instead of 4,096, as they see a map of 2x2 instead of 6x6.
    """
    choose("image_size", image_size, IMAGE_SIZES)
    n = normalisation
    if image_size == 224:
        first = dict(kernel=11, stride=4, padding=2)
        second, side = dict(kernel=5, padding=2), 6
        pool = lambda: nn.MaxPool2d(3, stride=2)  # noqa: E731
    else:
        first = dict(kernel=5, stride=2, padding=2)
        second, side = dict(kernel=3, padding=1), 2
        pool = lambda: nn.MaxPool2d(3, stride=2, ceil_mode=True)  # noqa: E731
    layers = [
        *conv_norm(in_channels, 64, normalisation=n, **first),
        pool(),
        *conv_norm(64, 192, normalisation=n, **second),
        pool(),
        *conv_norm(192, 384, 3, n, padding=1),
        *conv_norm(384, 256, 3, n, padding=1),
        *conv_norm(256, 256, 3, n, padding=1),
        pool(),
        nn.AdaptiveAvgPool2d(side),
    ]
    units = 4096 if image_size == 224 else 1024
    head = _dense_head(256 * side * side, units, num_classes, dropout)
    return Classifier(nn.Sequential(*layers), head)


def vgg(
    num_classes: int = 1000,
    *,
    depth: int = 16,
    image_size: int = 224,
    in_channels: int = 3,
    normalisation: str | None = None,
    fire: bool = False,
) -> nn.Module:
    """VGG with `depth` 11 or 16.

    At 224 pixels: the published network with its dense head (no normalisation unless asked). At
    32 pixels: batch normalisation and one dense layer, as is usual on CIFAR. With `fire=True`
    every convolution after the first becomes a Fire module with as many output channels.
    """
    choose("depth", depth, VGG_PLANS)
    choose("image_size", image_size, IMAGE_SIZES)
    n = normalisation or ("none" if image_size == 224 else "batch")
    layers: list[nn.Module] = []
    channels = in_channels
    for stage in VGG_PLANS[depth]:
        for width in stage:
            if fire and layers:
                layers.append(Fire(channels, width // 8, width // 2, width // 2, normalisation=n))
            elif width >= MANY and n == "batch":
                layers += _normalised(SmallMapConv2d(channels, width), n)
            else:
                layers += conv_norm(channels, width, 3, n, padding=1)
            channels = width
        layers.append(nn.MaxPool2d(2))
    if image_size == 224:
        layers.append(nn.AdaptiveAvgPool2d(7))
        head: nn.Module = nn.Sequential(*_dense_head(512 * 49, 4096, num_classes, 0.5))
    else:
        head = nn.Linear(512, num_classes)
    return Classifier(nn.Sequential(*layers), head)


class ResidualBlock(nn.Module):
    """Two 3x3 convolutions, and the input added before the last ReLU (He et al. 2016).

    Where the map is halved the input is too, by leaving out every other pixel, and the new
    channels get zeros: a shortcut without parameters.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.stride, self.added = (1, 0) if inputs == outputs else (2, outputs - inputs)
        first = nn.Conv2d(inputs, outputs, 3, self.stride, padding=1, bias=False)
        second = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.path = nn.Sequential(*_normalised(first, "batch"), second, norm("batch", outputs))
        self.activation = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        """A map (N, outputs, H, W) of a map (N, inputs, H, W), or one half as high and wide."""
        shortcut = x[:, :, :: self.stride, :: self.stride]
        if self.added:
            shortcut = F.pad(shortcut, (0, 0, 0, 0, 0, self.added))
        return self.activation(self.path(x) + shortcut)


def resnet20(
    num_classes: int = 10, *, image_size: int = 32, in_channels: int = 3, width: float = 1.0
) -> nn.Module:
    """ResNet-20 for CIFAR-10: 19 convolutions and a dense layer, 269,722 parameters.

    Its stages have 16, 32 and 64 channels, times `width`.
    """
    real_number("width", width, above=0)
    narrow, middle, wide = (max(1, round(width * channels)) for channels in (16, 32, 64))
    layers = conv_norm(in_channels, narrow, 3, "batch", padding=1)
    for inputs, outputs in ((narrow, narrow), (narrow, middle), (middle, wide)):
        layers += [ResidualBlock(before, outputs) for before in (inputs, outputs, outputs)]
    head = nn.Linear(wide, num_classes)
    return Classifier(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1)), head)


def lenet_300_100(
    num_classes: int = 10,
    *,
    image_size: int = 28,
    in_channels: int = 1,
    hidden: tuple[int, int] = (300, 100),
) -> nn.Module:
    """Two hidden dense layers of 300 and 100 units (266,610 parameters on 28x28 grey images)."""
    first, second = _widths("hidden", hidden, 2)
    head = nn.Sequential(
        nn.Linear(in_channels * image_size**2, first),
        nn.ReLU(inplace=True),
        nn.Linear(first, second),
        nn.ReLU(inplace=True),
        nn.Linear(second, num_classes),
    )
    return Classifier(nn.Identity(), head)


def _widths(name: str, widths: tuple[int, ...], count: int) -> tuple[int, ...]:
    if not isinstance(widths, list | tuple) or len(widths) != count:
        raise ValueError(f"{name} takes {count} whole numbers, got {widths}")
    return tuple(whole_number(name, width, 1) for width in widths)


def lenet5(
    num_classes: int = 10,
    *,
    image_size: int = 28,
    in_channels: int = 1,
    fire: bool = False,
    channels: tuple[int, int] = (20, 50),
    hidden: int = 500,
) -> nn.Module:
    """LeNet-5 in Caffe's form: 431,080 parameters on 28x28 grey images.

    `channels` are those of the two convolutions, `hidden` the units of the dense layer. With
    `fire=True` the two 5x5 convolutions become a 3x3 stem and two Fire modules with as many
    outputs (20 and 50). Their maps are larger than those of unpadded 5x5 convolutions; average
    pooling brings the last one to the original's side, so the dense part is the same.
    """
    side = ((image_size - 4) // 2 - 4) // 2
    if side < 1:
        raise ValueError(f"lenet5 needs images of at least 16 pixels, got {image_size}")
    first, second = _widths("channels", channels, 2)
    if fire:
        if (first, second) != (20, 50):
            raise ValueError("with Fire modules lenet5 has 20 and 50 channels")
        layers: list[nn.Module] = [
            *conv_norm(in_channels, 16, 3, "none"),
            Fire(16, 8, 10, 10),
            nn.MaxPool2d(2),
            Fire(20, 8, 25, 25),
            nn.MaxPool2d(2),
            nn.AdaptiveAvgPool2d(side),
        ]
    else:
        layers = [
            nn.Conv2d(in_channels, first, 5),
            nn.MaxPool2d(2),
            nn.Conv2d(first, second, 5),
            nn.MaxPool2d(2),
        ]
    units = whole_number("hidden", hidden, 1)
    head = nn.Sequential(
        nn.Linear(second * side * side, units), nn.ReLU(inplace=True), nn.Linear(units, num_classes)
    )
    return Classifier(nn.Sequential(*layers), head)
