"""What a few images show of a trained network, without labels: windows, and what errors matter.

To second order the divergence of the predictions is that of a Gaussian: half of d^T G d for an
error d at a layer's output, where G = E[g g^T] and g is the gradient of the logits times a random
v whose covariance is diag(p) - p p^T. One backward pass for each image gives a sample of g at
every layer, place and channel.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from .inputs import Moments, convolutions, input_of, layers_of, places, run, stages, windows
from .rounding import Rounded, Shape

BATCH = 25
LEAST = 0.1  # of the mean: what a window or a row counts at least


@dataclass
class Learned:
    """What is known of a convolution.

    `weight` (rows, columns); for each batch of images `at` (places), `seen` (windows) and `counts`
    (how much each of them matters, 1 on average); `rows` (how much each output channel matters, 1
    on average); `matters`: divergence in nats for a unit of squared error.
    """

    weight: Tensor
    rows: Tensor
    matters: float
    at: list[Tensor] = field(default_factory=list)
    seen: list[Tensor] = field(default_factory=list)
    counts: list[Tensor] = field(default_factory=list)
    moments: Moments | None = None
    shape: Shape | None = None
    rounded: Rounded | None = None


def learn(original: nn.Module, images: Tensor, seed: int) -> dict[str, Learned]:
    """Every convolution of a network with what the images show of it."""
    generator = torch.Generator().manual_seed(seed)
    found: dict[str, Learned] = {}
    squares: dict[str, list[Tensor]] = {}
    for x in images.split(BATCH):
        slopes = _slopes(original, x, generator)
        for stage in stages(original):
            for name in (n for group in layers_of(stage) for n in group):
                conv = original.get_submodule(name)
                if name not in found:
                    weight = conv.weight.detach().flatten(1)
                    found[name] = Learned(weight, torch.ones(len(weight)), 0.0)
                _look(found[name], conv, input_of(stage, name, x), slopes[name], generator)
                squares.setdefault(name, []).append(slopes[name].square().mean((0, 2, 3)))
                places_there = slopes[name][0, 0].numel()
                found[name].matters += float(squares[name][-1].mean()) * places_there / 2
            x = run(stage, x)
    for name, layer in found.items():
        layer.matters = max(layer.matters / len(layer.at), 1e-12)
        if name != list(found)[-1]:  # rows of the last one are classes: those not shown matter too
            layer.rows = _floored(torch.stack(squares[name]).mean(0))
        mean = torch.cat(layer.counts).mean().clamp(min=1e-30)
        layer.counts = [_floored(counts, mean) for counts in layer.counts]
        _sum_up(layer)
    return found


def _floored(values: Tensor, mean: Tensor | None = None) -> Tensor:
    mean = values.mean().clamp(min=1e-30) if mean is None else mean
    return (1 - LEAST) * values / mean + LEAST


def _slopes(model: nn.Module, x: Tensor, generator: torch.Generator) -> dict[str, Tensor]:
    """The gradient g at the output (n, rows, h, w) of every convolution, once for each image."""
    outputs: dict[str, Tensor] = {}
    handles = [
        conv.register_forward_hook(
            lambda module, args, out, name=name: outputs.__setitem__(name, out) or out.clone()
        )
        for name, conv in convolutions(model).items()
    ]
    try:
        with torch.enable_grad():
            logits = model(x)
    finally:
        for handle in handles:
            handle.remove()
    root = logits.detach().softmax(1).sqrt()
    signs = torch.randint(2, root.shape, generator=generator) * 2.0 - 1
    along = root * (signs - root * (root * signs).sum(1, keepdim=True))
    found = torch.autograd.grad(logits, list(outputs.values()), along)
    return dict(zip(outputs, found, strict=True))


def _look(
    layer: Learned, conv: nn.Conv2d, x: Tensor, slopes: Tensor, generator: torch.Generator
) -> None:
    at = places(x, conv, generator)
    layer.at.append(at)
    layer.seen.append(windows(x, conv, at))
    layer.counts.append(slopes[:, :, at[:, 0], at[:, 1]].square().mean(1).flatten())


def _sum_up(layer: Learned) -> None:
    layer.moments = Moments.empty(layer.weight.shape[1])
    for seen, counts in zip(layer.seen, layer.counts, strict=True):
        layer.moments.add(seen, seen, counts)
    layer.shape = Shape.of(layer.moments.covariance)
