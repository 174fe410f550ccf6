"""Class activation maps: where in a picture SqueezeNet sees a class. Exact for its head."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from squeeze_utils.models import SqueezeNet
from squeeze_utils.training.evaluation import evaluating


@torch.no_grad()
def class_maps(model: nn.Module, x: Tensor) -> Tensor:
    """The maps (n, classes, h, w) whose means over positions are the scores of `x`.

    The head is conv10, an activation or none, and a mean. So score_c = mean over p of m_c(p) with
    m_c(p) = act(w_c . f(p) + b_c): each map shows how much each place adds to its class.

    >>> import squeeze_utils as sq
    >>> from squeeze_utils.anatomy.class_maps import class_maps
    >>> model = sq.build("squeezenet_small", num_classes=10).eval()
    >>> x = torch.randn(2, 3, 32, 32)
    >>> torch.allclose(class_maps(model, x).mean((2, 3)), model(x), atol=1e-5)
    True
    """
    if not isinstance(model, SqueezeNet) or model.config.head != "average":
        raise ValueError(
            "class maps need a SqueezeNet with the paper's head: a mean over positions"
        )
    *head, average = model.classifier
    assert isinstance(average, nn.AdaptiveAvgPool2d)
    with evaluating(model):
        maps = model.features(x)
        for layer in head:
            maps = layer(maps)
    return maps


def over_picture(maps: Tensor, side: int) -> Tensor:
    """Maps (n, h, w) enlarged to pictures of `side` pixels, to be laid over them."""
    return F.interpolate(maps[:, None], (side, side), mode="bilinear", align_corners=False)[:, 0]
