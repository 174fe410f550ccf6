"""What the layers of a network see: windows of their inputs, and the moments of those.

A dense layer is a matrix product of its weights with its input, a convolution one with windows
of its input. So the error that other weights W' make at its output is (W' - W) C (W' - W)^T, with
the covariance C of the windows, once a bias has taken over the difference of the means.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from squeeze_utils.models import Classifier, Fire, SqueezeNet

WINDOWS = 96  # of each image and convolution at most, at the same places for a batch of images
ALL_WINDOWS = 96_000  # of a convolution: from 1,000 images on there are fewer of each
DAMPING = 0.01  # of the mean variance, added to the diagonal of a covariance
Layer = nn.Conv2d | nn.Linear
Stage = list[tuple[str, nn.Module]]


def check_chain(model: nn.Module) -> nn.Module:
    """Return a network that can be rounded layer by layer; raise a clear error for others."""
    if not isinstance(model, SqueezeNet | Classifier):
        raise ValueError(
            f"a {type(model).__name__} cannot be rounded so: it is none of this series"
        )
    if any(isinstance(m, nn.BatchNorm2d) for m in model.modules()):
        raise ValueError("fold the batch normalisation into the convolutions first")
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


def layers_of(stage: Stage) -> list[list[str]]:
    """The layers of a stage in groups: a group has what it sees once those before it run."""
    groups: list[list[str]] = []
    for name, child in stage:
        if isinstance(child, Layer):
            groups.append([name])
        elif isinstance(child, Fire):
            inner = list(weighted(child))
            late = [n for n in inner if n.startswith("expand")]
            early = [n for n in inner if n not in late]
            groups += [[f"{name}.{n}" for n in group] for group in (early, late)]
    return groups


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
        return cls(
            torch.zeros(size, size),
            torch.zeros(size, size),
            torch.zeros(size),
            torch.zeros(size),
        )

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
