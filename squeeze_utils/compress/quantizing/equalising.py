"""What makes rounding hurt less: equal ranges before it, right means after (Nagel et al. 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from squeeze_utils.base.checks import whole_number
from squeeze_utils.compress.quantizing.after_training import training_images
from squeeze_utils.compress.quantizing.fold_batch_norm import batch_norms
from squeeze_utils.compress.replacing import restored
from squeeze_utils.models import SqueezeNet
from squeeze_utils.training.evaluation import evaluating, watching
from squeeze_utils.training.step import State, Step, check_not_shared

HOMOGENEOUS: tuple[str, ...] = ("relu", "leaky_relu", "prelu")


@dataclass(frozen=True)
class Equalise(Step):
    """Scale the channels between two layers so that both have equal ranges; no output changes.

    f(s x) = s f(x) for s > 0 where f is a ReLU or a leaky one, so a channel may be divided by s
    before it and multiplied by s behind it. Needs a network whose normalisation is folded.
    """

    rounds: int = 3

    def __post_init__(self) -> None:
        whole_number("rounds", self.rounds, 1)

    @torch.no_grad()
    def apply(self, state: State) -> dict[str, Any]:
        """s = sqrt(r1 r2) / r2 with the largest weights r1, r2 of a channel on either side."""
        check_not_shared(state, self)
        if "grids" in state.saved:
            raise ValueError("put Equalise before rounding: it moves weights off their grids")
        model = _checked(state.model)
        changed = 0
        for _ in range(self.rounds):
            for before, after in _neighbours(model):
                changed += _equalise(before, after)
        return {"channels_scaled": changed}


def _checked(model: nn.Module) -> SqueezeNet:
    if not isinstance(model, SqueezeNet):
        raise ValueError(f"only a SqueezeNet can be equalised, not a {type(model).__name__}")
    if model.config.norm != "none":
        raise ValueError("put FoldBatchNorm before Equalise: normalisation undoes any scaling")
    if model.config.activation_bits:
        raise ValueError("put Equalise before Calibrate: ranges of its maps would no longer fit")
    if model.config.activation not in HOMOGENEOUS:
        raise ValueError(
            f"equalisation needs an activation among {', '.join(HOMOGENEOUS)}, "
            f"not {model.config.activation}"
        )
    return model


Layers = list[nn.Conv2d]


def _neighbours(model: SqueezeNet) -> Iterator[tuple[Layers, Layers]]:
    """Layers whose outputs, side by side, are the inputs of other layers and of nothing else."""
    fires = list(model.fires().values())
    plain = model.config.bypass == "none" and model.config.expand != "depthwise"
    scales = model.config.pooling not in ("stride", "strided block")  # f(s x) = s f(x)
    stream: Layers = [model.first] if model.config.first_repeat == 1 else []
    for fire in fires:
        if stream and plain and scales:
            yield stream, [fire.squeeze]
        if model.config.expand != "depthwise":
            yield [fire.squeeze], [fire.expand1x1, fire.expand3x3]
        stream = [fire.expand1x1, fire.expand3x3]


def _equalise(before: Layers, after: Layers) -> int:
    r1 = torch.cat([conv.weight.abs().flatten(1).amax(1) for conv in before])
    r2 = torch.stack([conv.weight.abs().amax((0, 2, 3)) for conv in after]).amax(0)
    alive = (r1 > 0) & (r2 > 0)
    s = torch.where(alive, (r1 / r2.clamp_min(1e-12)).sqrt(), torch.ones_like(r1))
    start = 0
    for conv in before:
        part = s[start : start + conv.out_channels]
        conv.weight.div_(part[:, None, None, None])
        conv.bias.div_(part)
        start += conv.out_channels
    for conv in after:
        conv.weight.mul_(s[None, :, None, None])
    return int(alive.sum())


@dataclass(frozen=True)
class CorrectBias(Step):
    """Move every bias of a convolution so that each channel's mean is as before rounding."""

    images: int = 512

    def __post_init__(self) -> None:
        whole_number("images", self.images, 1)

    @torch.no_grad()
    def apply(self, state: State) -> dict[str, Any]:
        """Layer by layer from the input on, on training images; needs weights that were rounded."""
        layers = {n: m for n, m in state.model.named_modules() if isinstance(m, nn.Conv2d)}
        unrounded = state.saved.get("float", {})
        kept = {n: unrounded[f"{n}.weight"] for n in layers if f"{n}.weight" in unrounded}
        if not kept:
            raise ValueError(
                "nothing to correct: no convolution was rounded; put a QuantizeWeights step before "
                "CorrectBias"
            )
        if batch_norms(state.model):
            raise ValueError("put FoldBatchNorm before CorrectBias: normalisation moves the means")
        del state.saved["float"]  # a second correction would begin from biases that have moved
        x = torch.cat(list(training_images(state, self.images)))
        wanted = _float_means(state.model, layers, kept, x)
        moved = 0.0
        for name, layer in layers.items():
            if layer.bias is None:  # what it lacks, the layer behind it makes up for
                continue
            shift = wanted[name] - _means(state.model, {name: layer}, x)[name]
            layer.bias += shift
            moved = max(moved, float(shift.abs().max()))
        return {"largest_correction": moved}


def _float_means(
    model: nn.Module, layers: dict[str, nn.Conv2d], unrounded: dict[str, Tensor], x: Tensor
) -> dict[str, Tensor]:
    """Means of all layers' outputs with the weights as they were before rounding."""
    with restored(*(layer.weight for layer in layers.values())):
        for name, weight in unrounded.items():
            layers[name].weight.data = weight
        return _means(model, layers, x)


class _Enough(Exception):
    """Every layer that is watched has been seen: the rest of the network need not run."""


def _means(model: nn.Module, layers: dict[str, nn.Conv2d], x: Tensor) -> dict[str, Tensor]:
    """The mean of every output channel of `layers` over images and places."""
    sums: dict[str, Tensor] = {}
    unseen: set[str] = set()

    def add(name: str, layer: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        means = output.float().mean((2, 3)).sum(0)
        sums[name] = sums[name] + means if name in sums else means
        unseen.discard(name)
        if not unseen:
            raise _Enough

    with evaluating(model), watching(layers, after=add):
        for part in x.split(128):
            unseen.update(layers)
            with suppress(_Enough):
                model(part)
    return {name: total / len(x) for name, total in sums.items()}
