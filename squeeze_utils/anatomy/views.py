"""Test-time augmentation as a measuring step: the same images, mirrored and moved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from squeeze_utils.training.evaluation import count_views, evaluate_views
from squeeze_utils.training.step import State, Step


@dataclass(frozen=True)
class ObserveViews(Step):
    """Test accuracy with the answers averaged over views of every image.

    "mirrored" averages 2 views, "mirrored_shifted" 18: the arithmetic of an answer grows as much.
    """

    def apply(self, state: State) -> dict[str, Any]:
        """Accuracy (%) and number of views of both kinds; the network stays as it is."""
        ways = {"mirrored": {"shift": 0}, "mirrored_shifted": {"shift": 1}}
        found: dict[str, Any] = {}
        for name, how in ways.items():
            judged = evaluate_views(state.model, state.data.test, state.data, **how)
            found[name] = {"test_accuracy": judged.accuracy, "views": count_views(**how)}
        return found
