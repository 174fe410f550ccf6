"""A segmenter: a backbone that halves its maps, and Fire modules that double them again."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from squeeze_utils.base.checks import true_or_false
from squeeze_utils.models.backbones import Backbone, flat_layers, image_shape
from squeeze_utils.models.fire import Fire
from squeeze_utils.models.squeezenet import initialise

DECODED = (128, 96, 64)  # channels behind each Fire module of the decoder, coarse to fine
SQUEEZED = 4  # times fewer in its squeeze layer


class Segmenter(nn.Module):
    """A class for each pixel: encoder and decoder with skips, as SqueezeSeg and U-Net.

    The output is (b, num_classes, height, width). The decoder takes the coarsest map, brings it
    to the size of the next finer one by repeating pixels, concatenates both (the *skip*) and
    lets a Fire module mix them; at the finest map a 1x1 convolution gives the classes, and these
    are interpolated to the size of the image.

    >>> import torch
    >>> import squeeze_utils as sq
    >>> sq.build("segmenter", num_classes=11)(torch.zeros(1, 3, 180, 240)).shape
    torch.Size([1, 11, 180, 240])
    """

    task = "segmentation"

    def __init__(
        self,
        num_classes: int = 11,
        *,
        in_channels: int = 3,
        image_size: int | tuple[int, int] = 224,
        backbone: str = "squeezenet1_1",
        width: float = 1.0,
        norm: str = "batch",
        skips: bool = True,
    ) -> None:
        super().__init__()
        self.num_classes, self.input_shape = num_classes, image_shape(in_channels, image_size)
        self.skips = true_or_false("skips", skips)
        self.backbone = Backbone(backbone, in_channels, width=width, normalisation=norm)
        *finer, channels = self.backbone.channels
        self.decoder = nn.ModuleList()
        for skip, wide in zip(reversed(finer), DECODED, strict=True):
            half = max(2, round(wide * width / 2))
            squeezed = max(2, round(wide * width / SQUEEZED))
            inputs = channels + (skip if skips else 0)
            self.decoder.append(Fire(inputs, squeezed, half, half, normalisation=norm))
            channels = 2 * half
        self.predict = nn.Conv2d(channels, num_classes, 1)
        initialise(self, self.predict)

    def layers(self) -> list[nn.Module]:
        """All layers in a row, Fire modules whole."""
        return flat_layers(self.backbone.features, self.decoder, self.predict)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, num_classes, H, W) of images (N, C, H, W)."""
        size = x.shape[2:]
        *finer, x = self.backbone(x)
        for skip, fire in zip(reversed(finer), self.decoder, strict=True):
            x = F.interpolate(x, size=skip.shape[2:], mode="nearest")
            x = fire(torch.cat((x, skip), dim=1) if self.skips else x)
        scores = self.predict(x)
        if scores.shape[2:] == size:
            return scores
        return F.interpolate(scores, size=size, mode="bilinear", align_corners=False)
