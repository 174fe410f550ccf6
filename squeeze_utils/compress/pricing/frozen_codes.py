"""After training at a price: the whole numbers as they are, and what they should cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from squeeze_utils.compress.pricing import rate_model
from squeeze_utils.compress.pricing.in_training import priced_parameters
from squeeze_utils.compress.pricing.learned_grid import half
from squeeze_utils.compress.sqz import mixture
from squeeze_utils.training.step import State, Step, masks_from_zeros


@dataclass(frozen=True)
class FreezeCodes(Step):
    """Make every weight and bias with a grid a whole number times a step that a file holds.

    Measured are the bits that the model of `rate_model` gives to the numbers of each layer, and
    how many of its rows (outputs) hold zeros only. What is zero becomes a mask for later steps.
    """

    @torch.no_grad()
    def apply(self, state: State) -> dict[str, Any]:
        """Needs the grids that training at a price, or rounding to one step, left in the state."""
        grids = state.saved.get("grids", {})
        found = {n: p for n, p in priced_parameters(state.model).items() if n in grids}
        if not found:
            raise ValueError("no grids to freeze: put Train(..., during=(PriceBits(...),)) before")
        layers, total = [], 0.0
        for name, parameter in found.items():
            if grids[name].numel() != 1:
                raise ValueError(f"{name} has {grids[name].numel()} steps; FreezeCodes needs one")
            step = half(grids[name])
            numbers = torch.round(parameter / step.view(1))
            parameter.copy_(numbers * step.view(1))
            grids[name] = step
            counts = rate_model.count(numbers)
            bits = mixture.estimate(counts)
            total += bits
            layers.append(
                {
                    "layer": name,
                    "numbers": int(counts.numbers),
                    "nonzero": int(counts.nonzero),
                    "zero_rows": zero_rows(numbers),
                    "values": len(numbers.unique()),
                    "step": float(step),
                    "bits": bits,
                }
            )
        masks_from_zeros(state)
        return {"estimated_bytes": total / 8, "priced_layers": layers}


def zero_rows(numbers: Tensor) -> int:
    """How many rows, that is outputs, of a weight (out, ...) or a bias (out) hold zeros only."""
    return int((numbers.reshape(len(numbers), -1) == 0).all(dim=1).sum())
