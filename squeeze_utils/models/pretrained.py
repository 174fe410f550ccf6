"""The weights of torchvision's SqueezeNet 1.1, trained on ImageNet."""

from __future__ import annotations

import torch
from torch import Tensor, nn

NAME = "squeezenet1_1"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # that its pictures are normalised by


def imagenet_weights() -> dict[str, Tensor]:
    """The published state dict; it is downloaded once (5 MB), and torch keeps it."""
    from torchvision.models import SqueezeNet1_1_Weights

    try:
        return dict(SqueezeNet1_1_Weights.IMAGENET1K_V1.get_state_dict(progress=False))
    except OSError as error:
        raise ValueError(
            f"the weights of {NAME} (5 MB) could not be fetched ({error}); without a "
            "network, place torchvision's file in TORCH_HOME/hub/checkpoints"
        ) from error


@torch.no_grad()
def renormalise(
    conv: nn.Conv2d,
    old: tuple[tuple[float, ...], tuple[float, ...]],
    new: tuple[tuple[float, ...], tuple[float, ...]],
) -> None:
    """Change a first layer that takes x = (p - m) / s so that it takes x' = (p - m') / s' instead.

    `old` is (m, s), `new` is (m', s'). Since x = (s' x' + m' - m) / s,

        w'_c = w_c s'_c / s_c,    b' = b + sum over c and window of w_c (m'_c - m_c) / s_c.

    Exact where the layer has no padding: padded zeros stand for another colour.
    """
    (mean, std), (mean_new, std_new) = (
        [torch.tensor(values, dtype=torch.float64) for values in pair] for pair in (old, new)
    )
    weight = conv.weight.double()
    moved = (mean_new - mean) / std
    bias = conv.bias.double() + (weight * moved[None, :, None, None]).sum((1, 2, 3))
    conv.weight.copy_(weight * (std_new / std)[None, :, None, None])
    conv.bias.copy_(bias)
