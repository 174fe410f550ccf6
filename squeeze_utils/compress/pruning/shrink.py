"""A network without the channels that pruning switched off: smaller, and the same function."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from squeeze_utils.compress.pruning import filters
from squeeze_utils.models import ModelSpec, SqueezeNet
from squeeze_utils.training.step import State, Step


@dataclass(frozen=True)
class Shrink(Step):
    """Build the network without its silent channels and carry the rest over."""

    def apply(self, state: State) -> dict[str, Any]:
        """Replace the state's model; masks of single weights go on, those of channels end."""
        off = filters.silent(state.model, state.masks)
        removed = sum(map(len, off.values()))
        if not removed:
            raise ValueError(
                'nothing to shrink: no whole channel is pruned; use Prune(granularity="filter")'
            )
        smaller = without(state.model, off)
        held = {n: p.detach() != 0 for n, p in smaller.named_parameters() if p.ndim >= 2}
        state.masks = {name: mask for name, mask in held.items() if not mask.all()}
        state.model = smaller.to(state.device, memory_format=torch.channels_last)
        return {"channels_removed": removed}


def without(model: nn.Module, off: dict[str, list[tuple[filters.Place, ...]]]) -> SqueezeNet:
    """A SqueezeNet without the channels `off` (as `filters.silent` lists them).

    What is left is loaded into a network built from a spec, so that it can be built again.
    """
    if not isinstance(model, SqueezeNet) or model.config.first_repeat > 1:
        kind = type(model).__name__
        raise ValueError(f"only a SqueezeNet with one first layer can be shrunk, not this {kind}")
    smaller = copy.deepcopy(model)
    filters.remove(smaller, {n: [dict(c)[n] for c in found] for n, found in off.items() if found})
    config = {
        "width": 1.0,
        "first_channels": smaller.first.out_channels,
        "fires": tuple(fire.shape for fire in smaller.fires().values()),
    }
    spec = ModelSpec.of(model.spec.name, **{**dict(model.spec.options), **config})
    built = spec.build()
    built.load_state_dict(smaller.state_dict())
    return built.train(model.training)
