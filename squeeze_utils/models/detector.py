"""A detector: a backbone, a Fire module, and a convolution that gives each cell a box."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from squeeze_utils.models.backbones import Backbone, flat_layers, image_shape
from squeeze_utils.models.fire import Fire
from squeeze_utils.models.squeezenet import initialise

BOX = 5  # numbers of a cell beside its classes: is there an object, and where is its box
RARE = 0.02  # the share of cells that hold an object, as an untrained network assumes


class Detector(nn.Module):
    """For each cell of the backbone's last map: an object?, its box, its class.

    The output is (b, 5 + num_classes, h, w): the logit that the cell holds an object, four numbers
    that move and stretch the cell's anchor to a box (`training.boxes.decoded`), and the logits of
    the classes. The head is a convolution, as in SqueezeDet (Wu et al. 2017): it has few weights
    and takes images of any size.

    >>> import torch
    >>> import squeeze_utils as sq
    >>> model = sq.build("detector", num_classes=3, image_size=(240, 320))
    >>> model(torch.zeros(1, 3, 240, 320)).shape
    torch.Size([1, 8, 15, 20])
    """

    task = "detection"

    def __init__(
        self,
        num_classes: int = 3,
        *,
        in_channels: int = 3,
        image_size: int | tuple[int, int] = 224,
        backbone: str = "squeezenet1_1",
        width: float = 1.0,
        norm: str = "batch",
        pools: int = 3,
    ) -> None:
        super().__init__()
        self.num_classes, self.input_shape = num_classes, image_shape(in_channels, image_size)
        self.backbone = Backbone(
            backbone, in_channels, width=width, normalisation=norm, pools=pools
        )
        wide = max(2, round(64 * width))
        self.neck = Fire(self.backbone.channels[-1], wide, wide, wide, normalisation=norm)
        self.predict = nn.Conv2d(2 * wide, BOX + num_classes, 3, padding=1)
        initialise(self, self.predict)
        self._begin_rare()

    @torch.no_grad()
    def _begin_rare(self) -> None:
        """Nearly all cells are empty: begin with that answer, or their loss drowns the others."""
        if not self.predict.bias.is_meta:
            self.predict.bias[0] = math.log(RARE / (1 - RARE))

    def layers(self) -> list[nn.Module]:
        """All layers in a row, Fire modules whole."""
        return flat_layers(self.backbone.features, self.neck, self.predict)

    def forward(self, x: Tensor) -> Tensor:
        """What is predicted for each cell, (N, BOX + num_classes, rows, columns), of images."""
        return self.predict(self.neck(self.backbone.features(x)))
