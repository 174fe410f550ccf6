"""Units and channels that say nothing: found after training at a price, and taken out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from squeeze_utils.models import ModelSpec
from squeeze_utils.training.step import State, Step, masks_from_zeros


class Link(NamedTuple):
    """Two layers, of which the first's outputs are the second's inputs."""

    first: str
    second: str
    relu: bool  # between them


class Chain(NamedTuple):
    """The links of a network, and the options of its spec that say how wide each link is."""

    links: tuple[Link, ...]
    options: Callable[[Sequence[int]], dict[str, Any]]


CHAINS: Mapping[str, Chain] = {  # by name of the network
    "lenet_300_100": Chain(
        (
            Link("classifier.0", "classifier.2", True),
            Link("classifier.2", "classifier.4", True),
        ),
        lambda widths: {"hidden": tuple(widths)},
    ),
    "lenet5": Chain(
        (
            Link("features.0", "features.2", False),
            Link("features.2", "classifier.0", False),
            Link("classifier.0", "classifier.2", True),
        ),
        lambda widths: {"channels": tuple(widths[:2]), "hidden": widths[2]},
    ),
}


@dataclass(frozen=True)
class RemoveSilent(Step):
    """Take out every unit whose output is always zero, or that nothing listens to.

    The output is zero where all weights of a unit and its bias are (with a ReLU behind it: where
    the bias is not positive). The network computes the same function with fewer units. It knows
    LeNet-300-100 and LeNet-5.
    """

    @torch.no_grad()
    def apply(self, state: State) -> dict[str, Any]:
        """Measured are the units of each layer, and how many of them were taken out."""
        if state.codebooks:
            raise ValueError("weights are shared: leave Share out before RemoveSilent")
        tensors = {n: t.detach().clone() for n, t in state.model.state_dict().items()}
        links = links_of(state.model)
        before = [len(tensors[f"{link.first}.weight"]) for link in links]
        while any([_shorten(tensors, link) for link in links]):  # one may silence the next
            pass
        after = [len(tensors[f"{link.first}.weight"]) for link in links]
        model = _narrower(state.model.spec, after).build()
        model.load_state_dict(tensors)
        state.model = model.to(state.device, memory_format=torch.channels_last)
        masks_from_zeros(state)
        rows = zip(links, before, after, strict=True)
        return {
            "silent": [
                {"layer": link.first, "units": old, "removed": old - new} for link, old, new in rows
            ]
        }


def links_of(model: nn.Module) -> tuple[Link, ...]:
    """The links of a network that `RemoveSilent` knows; another one is refused."""
    name = getattr(getattr(model, "spec", None), "name", None)
    if name not in CHAINS:
        raise ValueError(f"RemoveSilent knows {', '.join(CHAINS)}, not {name}")
    return CHAINS[name].links


def _shorten(tensors: dict[str, Tensor], link: Link) -> bool:
    """Take the silent units of one link out of `tensors`; whether there were any."""
    weight, bias = tensors[f"{link.first}.weight"], tensors[f"{link.first}.bias"]
    after = tensors[f"{link.second}.weight"]
    heard = _by_unit(after, len(weight)).any(dim=1)
    speaks = weight.flatten(1).any(dim=1) | (bias > 0 if link.relu else bias != 0)
    kept = heard & speaks
    kept[0] |= not kept.any()  # a layer needs a unit
    if kept.all():
        return False
    tensors[f"{link.first}.weight"], tensors[f"{link.first}.bias"] = weight[kept], bias[kept]
    inputs = kept.repeat_interleave(after.shape[1] // len(kept))
    tensors[f"{link.second}.weight"] = after[:, inputs]
    return True


def _by_unit(weight: Tensor, units: int) -> Tensor:
    """The weights (out, in, ...) that read each of `units` inputs, a row for each."""
    grouped = weight.reshape(len(weight), units, -1)
    return grouped.transpose(0, 1).reshape(units, -1)


def _narrower(spec: ModelSpec, widths: list[int]) -> ModelSpec:
    options = dict(spec.options) | CHAINS[spec.name].options(widths)
    return ModelSpec.of(spec.name, **options)
