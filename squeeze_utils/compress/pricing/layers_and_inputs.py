"""What each layer of a network sees, and what a few images show of it.

A dense layer is a matrix product of its weights with its input, a convolution one with windows of
its input. So the error that other weights W' make at its output is (W' - W) C (W' - W)^T, with the
covariance C of the windows, once a bias has taken over the difference of the means.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from squeeze_utils.compress.pricing.priced_rounding import FEW_ROUNDS, Columns, Rounded, round_layer
from squeeze_utils.compress.quantizing.fold_batch_norm import batch_norms
from squeeze_utils.models import Classifier, Fire, SqueezeNet

BATCH = 25  # images at a time
WINDOWS = 96  # of each image and convolution at most, at the same places for a batch of images
ALL_WINDOWS = 96_000  # of a convolution: from 1,000 images on there are fewer of each
DAMPING = 0.01  # of the mean variance, added to the diagonal of a covariance
Layer = nn.Conv2d | nn.Linear
Stage = list[tuple[str, nn.Module]]


def check_chain(model: nn.Module) -> nn.Module:
    """Return a network that can be rounded layer by layer; raise a clear error for others."""
    if not isinstance(model, SqueezeNet | Classifier):
        raise ValueError(
            f"a {type(model).__name__} cannot be rounded layer by layer; accepted: a SqueezeNet, "
            "AlexNet, VGG or LeNet"
        )
    if batch_norms(model):
        raise ValueError(
            "batch normalisation is left; accepted: a network after FoldBatchNorm, or with the "
            'norm "none". A ResNet, or a network with strided blocks, cannot be folded'
        )
    if any(getattr(layer, "groups", 1) != 1 for layer in weighted(model).values()):
        raise ValueError(
            "depthwise layers cannot be rounded so; accepted: plain convolutions, dense layers"
        )
    return model


def weighted(model: nn.Module) -> dict[str, Layer]:
    """The convolutions and dense layers of a network by name, in order."""
    return {name: m for name, m in model.named_modules() if isinstance(m, Layer)}


def stages(model: nn.Module) -> list[Stage]:
    """The network in pieces that run one after the other; each begins with its layers."""
    found: list[Stage] = [[]]
    for part in ("features", "classifier"):
        whole = getattr(model, part)
        children = [(f"{part}.{name}", child) for name, child in whole.named_children()]
        for name, child in children or [(part, whole)]:
            if isinstance(child, Layer | Fire) and found[-1]:
                found.append([])
            found[-1].append((name, child))
    return found


def run_stage(stage: Stage, x: Tensor) -> Tensor:
    """What a stage makes of `x`, which is left as it is. Maps are flattened for dense layers."""
    for _, module in stage:
        x = module(x.flatten(1) if isinstance(module, nn.Linear) else x)
    return x


def layers_of(stage: Stage) -> list[str]:
    """The layers of a stage by name, in an order in which they can run."""
    names: list[str] = []
    for name, child in stage:
        if isinstance(child, Layer):
            names.append(name)
        elif isinstance(child, Fire):
            inner = sorted(weighted(child), key=lambda n: n.startswith("expand"))  # those last
            names += [f"{name}.{layer}" for layer in inner]
    return names


def input_of(stage: Stage, layer: str, x: Tensor) -> Tensor:
    """What `layer` of a stage sees when the stage sees `x`."""
    if ".expand" not in layer:
        return x
    fire = next(m for _, m in stage if isinstance(m, Fire))
    return fire.squeeze_activation(fire.squeeze_norm(fire.squeeze(x)))


def windows(x: Tensor, conv: Layer, at: Tensor) -> Tensor:
    """The windows of `conv` over x (n, c, h, w) at places `at` (p, 2): (n * p, c * kh * kw).

    A dense layer has one window, all of its input.
    """
    if isinstance(conv, nn.Linear):
        return x.float().flatten(1)
    (kh, kw), (ph, pw) = conv.kernel_size, conv.padding
    padded = F.pad(x.float(), (pw, pw, ph, ph))
    top, left = at[:, 0] * conv.stride[0], at[:, 1] * conv.stride[1]
    down, right = (torch.arange(k) * d for k, d in zip((kh, kw), conv.dilation, strict=True))
    rows = (top[:, None] + down)[:, :, None]
    columns = (left[:, None] + right)[:, None, :]
    cut = padded[:, :, rows, columns]  # n, c, p, kh, kw
    return cut.permute(0, 2, 1, 3, 4).reshape(len(x) * len(at), -1)


def windows_of_each(images: int) -> int:
    """How many windows are taken from each of `images`, unless a map has fewer."""
    return max(1, min(WINDOWS, ALL_WINDOWS // images))


def window_places(x: Tensor, conv: Layer, most: int, generator: torch.Generator) -> Tensor:
    """Places (p, 2) of windows, row and column in the output of `conv`: all, or `most` random."""
    if isinstance(conv, nn.Linear):
        return torch.zeros(1, 2, dtype=torch.long)
    sides = [
        (side + 2 * p - d * (k - 1) - 1) // s + 1
        for side, p, d, k, s in zip(
            x.shape[2:], conv.padding, conv.dilation, conv.kernel_size, conv.stride, strict=True
        )
    ]
    if prod(sides) <= most:
        return torch.cartesian_prod(*map(torch.arange, sides))
    drawn = [torch.randint(side, (most,), generator=generator) for side in sides]
    return torch.stack(drawn, 1)


@dataclass
class Moments:
    """Sums over windows that a layer of two networks sees: of itself now, of the original."""

    now: Tensor
    cross: Tensor
    sum_now: Tensor
    sum_original: Tensor
    count: int = 0

    @classmethod
    def empty(cls, size: int) -> Moments:
        """Moments of nothing yet, for windows of `size` numbers."""
        square, row = (size, size), (size,)
        return cls(*(torch.zeros(shape) for shape in (square, square, row, row)))

    def add(self, now: Tensor, original: Tensor) -> None:
        """Count windows (n, size), the same places in both networks."""
        own = now.T @ now
        self.now += own
        self.cross += own if original is now else original.T @ now
        self.sum_now += now.sum(0)
        self.sum_original += original.sum(0)
        self.count += len(now)

    @property
    def means(self) -> tuple[Tensor, Tensor]:
        """The mean window: of the network as it is now, of the original."""
        return self.sum_now / self.count, self.sum_original / self.count

    @property
    def covariance(self) -> Tensor:
        """Of the windows that the layer sees now, damped so that it has an inverse."""
        found = self._centred
        damping = DAMPING * found.diagonal().mean() + 1e-5 * self.now.diagonal().mean() / self.count
        return found + damping.clamp(min=1e-12) * torch.eye(len(found))

    @property
    def _centred(self) -> Tensor:
        mean, _ = self.means
        return self.now / self.count - torch.outer(mean, mean)

    def corrected(self, weight: Tensor) -> Tensor:
        """The weights (rows) that on what comes now give best what `weight` gave originally."""
        mean, mean_original = self.means
        cross = self.cross / self.count - torch.outer(mean_original, mean)
        change = torch.linalg.solve(self.covariance.double(), (cross - self._centred).T.double())
        return weight + weight @ change.T.float()


@dataclass
class Learned:
    """What is known of a layer.

    `weight` (rows, columns) and the `moments` of its windows; for each batch of images the places
    `at` and the windows `seen` there; `columns`, their covariance; `matters`: what a unit of
    squared error costs, at first in shares of the output's power, later in nats of divergence.
    """

    weight: Tensor
    moments: Moments
    at: list[Tensor] = field(default_factory=list)
    seen: list[Tensor] = field(default_factory=list)
    columns: Columns | None = None
    matters: float = 1.0
    rounded: Rounded | None = None

    def compared(self, conv: Layer, batches: Sequence[Tensor]) -> Moments:
        """Moments of what `conv`, the layer of a changed network, sees now and saw originally."""
        moments = Moments.empty(self.weight.shape[1])
        for x, at, seen in zip(batches, self.at, self.seen, strict=True):
            moments.add(windows(x, conv, at), seen)
        return moments

    def round(self, price: float, every: int = 1) -> None:
        """Round the layer by itself, or only each row whose number `every` divides."""
        rows = self.weight[::every]
        self.rounded = round_layer(rows, self.columns, price / self.matters, FEW_ROUNDS)


def learn(original: nn.Module, images: Tensor, seed: int) -> dict[str, Learned]:
    """Every layer of a network with what the images show of it."""
    generator, most = torch.Generator().manual_seed(seed), windows_of_each(len(images))
    found: dict[str, Learned] = {}
    for name, conv in weighted(original).items():
        weight = conv.weight.detach().flatten(1)
        found[name] = Learned(weight, Moments.empty(weight.shape[1]))
    for x in images.split(BATCH):
        for stage in stages(original):
            for name in layers_of(stage):
                conv, layer = original.get_submodule(name), found[name]
                seen = input_of(stage, name, x)
                layer.at.append(window_places(seen, conv, most, generator))
                layer.seen.append(windows(seen, conv, layer.at[-1]))
                layer.moments.add(layer.seen[-1], layer.seen[-1])
            x = run_stage(stage, x)
    for layer in found.values():
        covariance = layer.moments.covariance
        power = ((layer.weight @ covariance) * layer.weight).sum()
        layer.columns, layer.matters = Columns.of(covariance), 1 / float(power.clamp(min=1e-12))
    return found
