"""A small network for greyscale images of 16 pixels whose biases are not zero, and such images."""

from __future__ import annotations

import torch
from torch import nn

from squeeze_utils.models import build


def biased_network(width: float) -> nn.Module:
    """A SqueezeNet without normalisation, always the same for a width."""
    torch.manual_seed(0)
    options = {"num_classes": 10, "in_channels": 1, "width": width, "norm": "none"}
    network = build("squeezenet_small", **options).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.normal_(std=0.1)
    return network


def grey_images() -> torch.Tensor:
    """Twelve of them, random but always the same."""
    return torch.randn(12, 1, 16, 16, generator=torch.Generator().manual_seed(1))
