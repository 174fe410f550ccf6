"""How a training can end before its last epoch."""

from __future__ import annotations

from typing import Any


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C during training. The model holds its last finished epoch, `history` all of them."""

    def __init__(self, history: list[dict[str, Any]]) -> None:
        super().__init__(f"interrupted; the model is as after epoch {len(history)}")
        self.history = history


class DivergedError(RuntimeError):
    """The loss became infinite or not a number. The model holds its last finished epoch."""

    history: list[dict[str, Any]]

    @classmethod
    def at(cls, epoch: int, lr: float, peak: float) -> DivergedError:
        """The error in `epoch`, counted from 0, at learning rate `lr` of a schedule's `peak`."""
        return cls(
            f"the loss is not finite in epoch {epoch + 1} at learning rate {lr:.3g}; try a "
            f"learning rate of {peak / 10:.3g}, a model with batch normalisation, "
            'or precision="float32"'
        )
