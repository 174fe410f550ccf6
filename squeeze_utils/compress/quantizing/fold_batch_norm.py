"""Batch normalisation folded into the convolutions before it, or into its own scale and shift.

Either way the network computes the same in evaluation, from fewer numbers.

In evaluation y = gamma (W x + b - mean) / sqrt(var + eps) + beta is itself a convolution, with
the weights W gamma / sqrt(var + eps). A Fire module normalises the concatenation of two
convolutions: each of them takes its part of the channels.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from squeeze_utils.compress.replacing import rebuilt
from squeeze_utils.models import Classifier, Detector, Segmenter, SqueezeNet
from squeeze_utils.models.backbones import Place, convolutions_with_norms
from squeeze_utils.training.step import State, Step, masks_from_zeros


@dataclass(frozen=True)
class FoldBatchNorm(Step):
    """Replace the network by the same one without normalisation layers.

    >>> import squeeze_utils as sq
    >>> model = sq.build("squeezenet_small", width=0.25, in_channels=1)
    >>> state = sq.State(model, sq.load_images("digits", size=16))
    >>> sq.FoldBatchNorm().apply(state)  # the first layer and three of each Fire module
    {'folded': 25}
    """

    def apply(self, state: State) -> dict[str, Any]:
        """Fold; masks follow the zeros, and what is shared or was rounded is refused."""
        if state.codebooks:
            raise ValueError("fold before weights are shared: folding scales every row by itself")
        if "grids" in state.saved:
            raise ValueError("put FoldBatchNorm before rounding: it scales every row by itself")
        smaller = folded(state.model)
        state.model = smaller.to(state.device, memory_format=torch.channels_last)
        if state.masks or "revived" not in state.saved:  # what was made dense again stays so
            masks_from_zeros(state)
        return {"folded": sum(1 for _ in _pairs(smaller))}


def batch_norms(model: nn.Module) -> list[nn.BatchNorm2d]:
    """The batch normalisations of a network."""
    return [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]


OPTION = {  # what a network calls it
    SqueezeNet: "norm",
    Classifier: "normalisation",
    Detector: "norm",
    Segmenter: "norm",
}


def foldable(model: nn.Module) -> bool:
    """Whether `folded` takes the network: `build` made it, and every normalisation is reached."""
    if type(model) not in OPTION or not hasattr(model, "spec"):
        return False
    norms = set(batch_norms(model))
    return bool(norms) and norms <= {norm for _, norm, _ in _pairs(model)}


@torch.no_grad()
def folded(model: nn.Module) -> nn.Module:
    """The same network without batch normalisation: it computes what `model` does in evaluation."""
    if type(model) not in OPTION:
        raise ValueError(
            f"a {type(model).__name__} cannot be folded; accepted: SqueezeNet, AlexNet, VGG, "
            "detectors and segmenters"
        )
    if not batch_norms(model):
        raise ValueError("nothing to fold: the network has no batch normalisation")
    if not foldable(model):
        raise ValueError(
            "a normalisation of this network follows no convolution that could take it: residual "
            "blocks and strided blocks cannot be folded"
        )
    plain = rebuilt(model, {OPTION[type(model)]: "none"}, _folded_parts)
    for (conv, norm, start), (target, _, _) in zip(_pairs(model), _pairs(plain), strict=True):
        weight, bias = _through(conv, norm, start)
        target.weight.copy_(weight)
        target.bias.copy_(bias)
    return plain


def _folded_parts(network: nn.Module) -> list[nn.Module]:
    """What `rebuilt` leaves out: the normalisations and the convolutions before them."""
    return [conv for conv, _, _ in _pairs(network)] + batch_norms(network)


def _pairs(model: nn.Module) -> Iterator[Place]:
    """Every convolution that a normalisation follows, where it stands in it, or would follow."""
    dense = isinstance(model, Detector | Segmenter)
    return convolutions_with_norms(  # but not what gives the answer
        model.layers()[:-1] if dense else model.features
    )


def _through(conv: nn.Conv2d, norm: nn.BatchNorm2d, start: int) -> tuple[Tensor, Tensor]:
    part = slice(start, start + conv.out_channels)
    scale = norm.weight[part] / torch.sqrt(norm.running_var[part] + norm.eps)
    before = norm.running_mean[part] - (0 if conv.bias is None else conv.bias)
    return conv.weight * scale[:, None, None, None], norm.bias[part] - before * scale


@dataclass(frozen=True)
class MergeStatistics(Step):
    """Move batch normalisation's mean and variance into its scale and shift: no more training.

    gamma (x - mean) / sqrt(var + eps) + beta = gamma' x / sqrt(1 + eps) + beta', so every mean
    becomes 0 and every variance 1, which a file stores once for a whole layer.
    """

    @torch.no_grad()
    def apply(self, state: State) -> dict[str, Any]:
        """The same function in evaluation, up to rounding; networks without norms are left."""
        norms = batch_norms(state.model)
        for norm in norms:
            scale = norm.weight / torch.sqrt(norm.running_var + norm.eps)
            norm.bias.sub_(norm.running_mean * scale)
            norm.weight.copy_(scale * (1 + norm.eps) ** 0.5)
            norm.running_mean.zero_()
            norm.running_var.fill_(1.0)
        return {"merged": len(norms)}
