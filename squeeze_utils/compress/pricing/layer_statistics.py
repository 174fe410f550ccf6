"""What a few images show of the layers of a trained network."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from squeeze_utils.compress.pricing.layer_inputs import (
    Moments,
    input_of,
    layers_of,
    run_stage,
    stages,
    weighted,
    window_places,
    windows,
    windows_of_each,
)
from squeeze_utils.compress.pricing.priced_rounding import Columns, Rounded

BATCH = 25


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


def learn(original: nn.Module, images: Tensor, seed: int) -> dict[str, Learned]:
    """Every layer of a network with what the images show of it."""
    generator, most = torch.Generator().manual_seed(seed), windows_of_each(len(images))
    found: dict[str, Learned] = {}
    for name, conv in weighted(original).items():
        weight = conv.weight.detach().flatten(1)
        found[name] = Learned(weight, Moments.empty(weight.shape[1]))
    for x in images.split(BATCH):
        for stage in stages(original):
            for name in (n for group in layers_of(stage) for n in group):
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
