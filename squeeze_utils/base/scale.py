"""The two scales: how big live experiments are."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

from squeeze_utils.base.checks import choose

SCALES: tuple[str, ...] = ("quick", "reference")


@dataclass(frozen=True)
class Scale:
    """How big live experiments are: `quick` (embedded digits) or `reference` (CIFAR-10)."""

    name: str = "quick"

    def __post_init__(self) -> None:
        choose("scale (SQUEEZE_SCALE)", self.name, SCALES)

    @classmethod
    def from_environment(cls) -> Scale:
        """The scale that SQUEEZE_SCALE names; `quick` if it is not set."""
        return cls(os.environ.get("SQUEEZE_SCALE") or "quick")

    def pick(self, quick: Any, reference: Any) -> Any:
        """The value that belongs to this scale."""
        return quick if self.name == "quick" else reference
