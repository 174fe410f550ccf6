"""Trainings that several processes end like one does: `launch("equal_job", ...)`."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import nn

from squeeze_utils.data import ImageSet, load_images
from squeeze_utils.models import build
from squeeze_utils.training.distributed.launch import take_part
from squeeze_utils.training.distributed.ranks import ProcessGroupError, here
from squeeze_utils.training.loop import Train, fit
from squeeze_utils.training.optimizers import OPTIMIZERS

RATES = {"adam": 1e-3, "adamw": 1e-3, "rmsprop": 1e-3, "lion": 1e-3, "muon": 0.02}  # others: 0.05
SCENES = {"detector": "digit_scenes", "segmenter": "digit_masks"}
SMALL = {"in_channels": 1, "image_size": 32, "width": 0.125, "norm": "none"}


def job() -> dict[str, Any]:
    """What every training of this file came to, here."""
    return {
        **{name: by_optimizer(name) for name in OPTIMIZERS},
        **{name: of_scenes(name) for name in SCENES},
        "apart": apart(),
    }


def by_optimizer(name: str) -> dict[str, Any]:
    """A dense network, trained on 256 digits; noise of "perturbed" is drawn in two epochs."""
    plan = Train(2, lr=RATES.get(name, 0.05), optimizer=name, batch_size=64, precision="float32")
    return _trained(_dense(), load_images("digits", 8, train_limit=256), plan)


def of_scenes(name: str) -> dict[str, Any]:
    """A network without batch normalisation; the halves of a batch hold unequally much."""
    data = load_images(SCENES[name], 32, train_limit=16)
    torch.manual_seed(0)
    model = build(name, num_classes=data.num_classes, **SMALL)
    options = {"optimizer": "momentum", "label_smoothing": 0.1, "precision": "float32"}
    return _trained(model, data, Train(2, lr=0.1, batch_size=4, **options))


def apart() -> str:
    """What is said where each process changes its weights by itself."""

    @torch.no_grad()
    def nudge(model: nn.Module, step: int, steps: int) -> None:
        next(model.parameters())[0] += 1e-6 * here().rank

    data = load_images("digits", 8, train_limit=128)
    try:
        fit(_dense(), data, Train(1, batch_size=64, precision="float32"), after_step=[nudge])
    except ProcessGroupError as error:
        return str(error)
    return ""


def _dense() -> nn.Module:
    torch.manual_seed(0)
    return build("lenet_300_100", image_size=8)


def _trained(model: nn.Module, data: ImageSet, plan: Train) -> dict[str, Any]:
    """Losses of the epochs, a hash of all weights, and those of the last layer."""
    history = fit(model, data, plan)
    weights = [p.detach() for p in model.parameters()]
    return {
        "losses": [epoch["train_loss"] for epoch in history],
        "hash": hashlib.sha256(b"".join(w.numpy().tobytes() for w in weights)).hexdigest(),
        "last": weights[-2].flatten().tolist(),
    }


if __name__ == "__main__":
    take_part(job)
