"""A recipe whose backbone begins with what ImageNet has taught it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from squeeze_utils.base.checks import whole_number
from squeeze_utils.data import Batches
from squeeze_utils.models import pretrained
from squeeze_utils.models.backbones import Place, convolutions_with_norms
from squeeze_utils.training.evaluation import evaluating, watching
from squeeze_utils.training.step import State, Step, check_untouched


@dataclass(frozen=True)
class ImageNetBackbone(Step):
    """Give a detector's or segmenter's backbone the weights of torchvision's SqueezeNet 1.1.

    That network has no batch normalisation. Ours gets statistics from `images` training images,
    and such scales and shifts that it computes, in evaluation, what torchvision's does, except
    at the border, where padding stands for another colour.
    """

    images: int = 64

    def __post_init__(self) -> None:
        whole_number("images", self.images, 1)

    @torch.no_grad()
    def apply(self, state: State) -> dict[str, Any]:
        """Fill the backbone; all other layers stay as they are."""
        check_untouched(state, self)
        layers = _layers(state.model)
        tensors = list(pretrained.feature_weights().values())
        pairs = list(zip(tensors[::2], tensors[1::2], strict=True))
        shapes = [layer.weight.shape for layer, _, _ in layers]
        if shapes != [weight.shape for weight, _ in pairs][: len(shapes)]:
            raise ValueError(
                "ImageNetBackbone is for a colour network with a backbone squeezenet1_1 of width 1"
            )
        pairs = [(w.to(state.device), b.to(state.device)) for w, b in pairs[: len(layers)]]
        old, new = (pretrained.MEAN, pretrained.STD), (state.data.mean, state.data.std)
        pairs[0] = pretrained.renormalised(*pairs[0], old, new)
        for (layer, norm, start), (weight, bias) in zip(layers, pairs, strict=True):
            layer.weight.copy_(weight)
            where = layer.bias if norm is None else norm.bias[start : start + len(bias)]
            where.copy_(bias)
        norms = {f"{place}": norm for place, norm in enumerate(_norms(layers))}
        _keep_function(state, norms, self.images)
        return {"layers": len(layers)}


def _layers(model: nn.Module) -> list[Place]:
    """The backbone's convolutions in order, with their normalisation and their place in it."""
    backbone = getattr(model, "backbone", None)
    if backbone is None:
        raise ValueError(f"ImageNetBackbone is for detectors and segmenters, not {type(model)}")
    return list(convolutions_with_norms(backbone.features))


def _norms(layers: list[Place]) -> list[nn.BatchNorm2d]:
    return list(dict.fromkeys(norm for _, norm, _ in layers if norm is not None))


def _keep_function(state: State, norms: dict[str, nn.BatchNorm2d], count: int) -> None:
    """Statistics of each normalisation as it is reached, and the scale and shift that undo them.

    `norm.bias` holds the convolution's bias b. With gamma = sqrt(var + eps), beta = mean + b the
    layer computes x + b in evaluation.
    """

    def settle(name: str, norm: nn.Module, inputs: tuple[Tensor]) -> None:
        var, mean = torch.var_mean(inputs[0].float(), (0, 2, 3), correction=0)
        norm.running_mean.copy_(mean)
        norm.running_var.copy_(var)
        norm.weight.copy_(torch.sqrt(var + norm.eps))
        norm.bias.add_(mean)

    data = state.data
    some = data.train.first(count)
    x, _ = next(iter(Batches(some, len(some), mean=data.mean, std=data.std)))
    with evaluating(state.model), watching(norms, before=settle):
        state.model(x.to(state.device))
