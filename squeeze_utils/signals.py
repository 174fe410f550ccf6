"""What flows through a network: which units still answer to anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .data import normalise
from .step import State, Step


@torch.no_grad()
def silent_outputs(model: nn.Module, images: Tensor) -> tuple[float, float]:
    """Shares (percent) of outputs that are zero for all images, and of images with no output.

    An output behind a final ReLU that is zero for every image gets no gradient from any of
    them: it is dead. `images` are normalised, (n, channels, height, width).
    """
    was_training = model.training
    model.eval()
    silent = torch.cat([model(batch) for batch in images.split(250)]) == 0
    model.train(was_training)
    return 100 * float(silent.all(0).float().mean()), 100 * float(silent.all(1).float().mean())


@dataclass(frozen=True)
class ObserveOutputs(Step):
    """Measures how many outputs died, on the first `images` training images; changes nothing."""

    images: int = 1000

    def apply(self, state: State) -> dict[str, Any]:
        """The shares that `silent_outputs` gives."""
        data = state.data
        batch = normalise(data.train.images[: self.images], data.mean, data.std)
        dead, unanswered = silent_outputs(state.model, batch)
        return {"dead_outputs_percent": dead, "unanswered_images_percent": unanswered}
