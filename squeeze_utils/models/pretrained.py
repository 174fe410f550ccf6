"""The weights of torchvision's SqueezeNet 1.1, trained on ImageNet."""

from __future__ import annotations

import pickle
from collections.abc import Sequence

import torch
from torch import Tensor

from squeeze_utils.base.downloads import socket_timeout

NAME = "squeezenet1_1"
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # that its pictures are normalised by
FEATURES = "features."


def imagenet_weights() -> dict[str, Tensor]:
    """The published state dict; it is downloaded once (5 MB), and torch keeps it.

    What is downloaded must have the published checksum; a file that is there already is not
    compared with it. Nothing but tensors is unpickled.
    """
    from torchvision.models import SqueezeNet1_1_Weights

    how = {"progress": True, "check_hash": True, "weights_only": True}
    try:
        with socket_timeout():
            return dict(SqueezeNet1_1_Weights.IMAGENET1K_V1.get_state_dict(**how))
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise ValueError(
            f"the weights of {NAME} (5 MB) could not be fetched or read ({type(error).__name__}: "
            f"{error}). They belong in {torch.hub.get_dir()}/checkpoints: delete a damaged file "
            "there, or, without a network, place torchvision's file there"
        ) from error


def feature_weights() -> dict[str, Tensor]:
    """All but the last layer of it: tensors in network order, each weight before its bias."""
    return {
        name.removeprefix(FEATURES): tensor
        for name, tensor in imagenet_weights().items()
        if name.startswith(FEATURES)
    }


def renormalised(
    weight: Tensor,
    bias: Tensor,
    old: tuple[Sequence[float], Sequence[float]],
    new: tuple[Sequence[float], Sequence[float]],
) -> tuple[Tensor, Tensor]:
    """A first layer that takes x = (p - m) / s, changed to take x' = (p - m') / s' instead.

    `old` is (m, s), `new` is (m', s'). Since x = (s' x' + m' - m) / s,

        w'_c = w_c s'_c / s_c,    b' = b + sum over c and window of w_c (m'_c - m_c) / s_c.

    Exact where the layer has no padding: padded zeros stand for another colour.
    """
    (mean, std), (mean_new, std_new) = (
        [weight.new_tensor(values)[:, None, None] for values in pair] for pair in (old, new)
    )
    moved = (mean_new - mean) / std
    return weight * (std_new / std), bias + (weight * moved).sum((1, 2, 3))
