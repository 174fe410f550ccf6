"""The committed SqueezeNet on whole numbers, against its simulation, on CIFAR-10's test images.

    python -m tools.integer_check

reads the images as `load_images` does and keeps what it counts for chapter 12. It takes about
six minutes on one thread.
"""

from __future__ import annotations

import sys

import torch
from torch import nn

import squeeze_utils as sq
from squeeze_utils.base.commandline import exit_code
from squeeze_utils.base.measurements import keep_measurement
from squeeze_utils.base.paths import STARTING_NETWORK
from squeeze_utils.compress.quantizing.integer_network import integer_network
from squeeze_utils.data import ImageSet

NAME = "integers/cifar10"


@torch.no_grad()
def counts(model: nn.Module, data: ImageSet, at_once: int = 100) -> dict[str, int]:
    """How many test images get the same scores bit for bit, and how many answers are right.

    `model` is a SqueezeNet with batch normalisation as it was trained; its maps get 8 bits.
    """
    state = sq.State(model.eval(), data)
    for step in (sq.FoldBatchNorm(), sq.Calibrate(bits=8)):
        step.apply(state)
    whole, simulated = integer_network(state.model, data)
    found = {"images": len(data.test), "equal": 0, "right": 0, "right_float": 0}
    batches = (data.test.images.split(at_once), data.test.labels.split(at_once))
    for pictures, labels in zip(*batches, strict=True):
        scores = whole(pictures)
        x = sq.normalise(pictures, data.mean, data.std)
        found["equal"] += int((scores * whole.step == simulated(x.double())).all(1).sum())
        found["right"] += int((scores.argmax(1) == labels).sum())
        found["right_float"] += int((model(x).argmax(1) == labels).sum())
    return {**found, "parameters": sum(p.numel() for p in model.parameters())}


def main() -> None:
    """Count and keep."""
    model, _ = sq.load_model(STARTING_NETWORK)
    row = counts(model, sq.load_images("cifar10"))
    print(keep_measurement(NAME, [row], checkpoint=STARTING_NETWORK).name, row)


if __name__ == "__main__":
    sys.exit(exit_code(main, "the old table is kept"))
