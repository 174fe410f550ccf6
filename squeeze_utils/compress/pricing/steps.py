"""A network rounded into a number of bytes without training, as a step of a recipe."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from squeeze_utils.base.checks import whole_number
from squeeze_utils.compress.pricing import squeeze
from squeeze_utils.data import Batches
from squeeze_utils.training.step import State, Step, masks_from_zeros


@dataclass(frozen=True)
class Squeeze(Step):
    """Round every layer, at one price for a bit, until the file has at most `target_bytes`.

    It is shown `images` of the training split, drawn with the experiment's seed, and no labels.
    With `balanced` they are of all classes as evenly as possible, which only labels can tell.
    What becomes zero is a mask for later steps. Notebook 14 derives how it works.
    """

    target_bytes: int
    images: int = 1000
    balanced: bool = False

    def __post_init__(self) -> None:
        whole_number("target_bytes", self.target_bytes, 1)
        whole_number("images", self.images, 2)

    def apply(self, state: State) -> dict[str, Any]:
        """The network needs its normalisation folded; shared weights do not survive."""
        if state.codebooks:
            raise ValueError("weights are shared already: leave Share out before Squeeze")
        data = state.data
        count = min(self.images, len(data.train))
        how = {"mean": data.mean, "std": data.std, "generator": state.generator}
        split = data.train
        if self.balanced:  # a split begins with its classes as even as possible
            split = split.first(count)
        x, _ = next(iter(Batches(split, count, **how)))
        seed = int(torch.randint(2**31, (), generator=state.generator))
        found = squeeze(state.model.cpu(), x.cpu(), self.target_bytes, seed, state.progress)
        state.model = found.model.to(state.device, memory_format=torch.channels_last)
        masks_from_zeros(state)
        state.saved.setdefault("grids", {}).update(
            {name: step.to(state.device) for name, step in found.grids.items()}
        )
        return {"price": found.price, "rounded": found.layers}
