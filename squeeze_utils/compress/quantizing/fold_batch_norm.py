"""Batch normalisation folded into the convolutions before it: the same function, fewer numbers.

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

from squeeze_utils.models import Classifier, Fire, ModelSpec, SqueezeNet
from squeeze_utils.training.step import State, Step, masks_from_zeros


@dataclass(frozen=True)
class FoldBatchNorm(Step):
    """Replace the network by the same one without normalisation layers."""

    def apply(self, state: State) -> dict[str, Any]:
        """Fold; masks and codebooks of whole layers do not survive a change of scale by rows."""
        if state.codebooks:
            raise ValueError("fold before weights are shared: folding scales every row by itself")
        smaller = folded(state.model)
        state.model = smaller.to(state.device, memory_format=torch.channels_last)
        masks_from_zeros(state)
        return {"folded": sum(1 for _ in _pairs(smaller))}


OPTION = {SqueezeNet: "norm", Classifier: "normalisation"}  # what a network calls it


def foldable(model: nn.Module) -> bool:
    """Whether `folded` takes the network: one of `build`'s with batch normalisation in it."""
    normalised = any(isinstance(m, nn.BatchNorm2d) for m in model.modules())
    return type(model) in OPTION and hasattr(model, "spec") and normalised


@torch.no_grad()
def folded(model: nn.Module) -> nn.Module:
    """The same network without batch normalisation: it computes what `model` does in evaluation."""
    if type(model) not in OPTION:
        raise ValueError(
            f"a {type(model).__name__} cannot be folded; accepted: SqueezeNet, AlexNet, VGG"
        )
    if not any(isinstance(m, nn.BatchNorm2d) for m in model.modules()):
        raise ValueError("nothing to fold: the network has no batch normalisation")
    options = {**dict(model.spec.options), OPTION[type(model)]: "none"}
    spec = ModelSpec.of(model.spec.name, **options)
    plain = spec.build()
    for (conv, norm, start), (target, _, _) in zip(_pairs(model), _pairs(plain), strict=True):
        weight, bias = _through(conv, norm, start)
        target.weight.copy_(weight)
        target.bias.copy_(bias)
    for source, target in zip(_others(model), _others(plain), strict=True):
        target.load_state_dict(source.state_dict())
    return plain.train(model.training)


Pair = tuple[nn.Conv2d, nn.Module | None, int]


def _pairs(model: nn.Module) -> Iterator[Pair]:
    """Every convolution that a normalisation follows, where it stands in it, or would follow."""
    layers = list(model.features)
    for at, layer in enumerate(layers):
        if isinstance(layer, nn.Conv2d) and layer.groups == 1:
            after = layers[at + 1]
            yield layer, after if isinstance(after, nn.BatchNorm2d) else None, 0
        elif isinstance(layer, Fire):
            yield from _pairs_of(layer)


def _pairs_of(fire: Fire) -> Iterator[Pair]:
    yield fire.squeeze, fire.squeeze_norm, 0
    yield fire.expand1x1, fire.expand_norm, 0
    last = fire.expand3x3[-1] if isinstance(fire.expand3x3, nn.Sequential) else fire.expand3x3
    yield last, fire.expand_norm, fire.expand1x1.out_channels
    if isinstance(fire.bypass, nn.Sequential):
        yield fire.bypass[0], fire.bypass[1], 0
    elif fire.bypass is not None:
        yield fire.bypass, None, 0


def _others(model: nn.Module) -> list[nn.Module]:
    """Modules with numbers of their own that folding leaves alone, in network order."""
    paired = {id(part) for conv, norm, _ in _pairs(model) for part in (conv, norm)}
    return [
        module
        for module in model.modules()
        if id(module) not in paired
        and not isinstance(module, nn.BatchNorm2d)
        and (module._parameters or module._buffers)
    ]


def _through(conv: nn.Conv2d, norm: nn.BatchNorm2d, start: int) -> tuple[Tensor, Tensor]:
    part = slice(start, start + conv.out_channels)
    scale = norm.weight[part] / torch.sqrt(norm.running_var[part] + norm.eps)
    before = norm.running_mean[part] - (0 if conv.bias is None else conv.bias)
    return conv.weight * scale[:, None, None, None], norm.bias[part] - before * scale
