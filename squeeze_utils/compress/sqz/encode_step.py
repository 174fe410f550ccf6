"""The last step of a recipe: the network as a file, and the network that is in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from squeeze_utils.base.checks import choose
from squeeze_utils.compress.sqz import container, size_tables
from squeeze_utils.data import Batches
from squeeze_utils.training.step import State, Step


@dataclass(frozen=True)
class Encode(Step):
    """Write the network as a `.sqz` file in memory, and go on with what is read from it.

    With `details` the record also holds the paper's table layer by layer, the bytes of every
    part, and the size with every coder.
    """

    coder: str = "best"
    details: bool = False

    def __post_init__(self) -> None:
        choose("coder", self.coder, ("best", *container.CODERS))

    @torch.no_grad()
    def apply(self, state: State) -> dict[str, Any]:
        """Measure the bytes, in all and by kind of part; every tensor must come back equal."""
        data, parts = container.encode_sqz(state.model, self.coder)
        model = container.decode_sqz(data).to(state.device, memory_format=torch.channels_last)
        before = state.model.to(memory_format=torch.channels_last).state_dict()
        _check_outputs(state, model)
        for name, tensor in model.state_dict().items():
            if not name.endswith(container.SKIPPED) and not torch.equal(tensor, before[name]):
                raise RuntimeError(f"{name} came back from the file with other values")
        state.model = model
        dense = 4 * sum(p.numel() for p in model.parameters())
        found = {
            "file_bytes": len(data),
            "file_parts": container.itemise(parts),
            "ratio": dense / len(data),
        }
        return found | (_details(model, parts) if self.details else {})


def _check_outputs(state: State, decoded: nn.Module) -> None:
    """On a batch of validation images both networks must give the same bits."""
    data = state.data
    x, _ = next(iter(Batches(data.validation, 100, mean=data.mean, std=data.std)))
    x = x.to(state.device)
    if not torch.equal(state.model.eval()(x), decoded(x)):
        raise RuntimeError("the network in the file gives other outputs than the one saved")


def _details(model: nn.Module, parts: dict[str, int]) -> dict[str, Any]:
    _, paper = container.encode_sqz(model, "gaps")
    return {
        "parts": parts,
        "layers": size_tables.layers(model, paper),
        "coder_bytes": size_tables.sizes(model),
    }
