"""A step that leaves a number which is not finite, as a training that diverges can."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch

from squeeze_utils.training.step import State, Step


@dataclass(frozen=True)
class Poison(Step):
    """Put a number that is none into the first weight."""

    may_diverge: bool = True

    def apply(self, state: State) -> dict[str, Any]:
        with torch.no_grad():
            next(state.model.parameters()).view(-1)[0] = torch.nan
        return {}
