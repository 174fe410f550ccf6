"""Dead outputs: found where they are, and nowhere else."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from squeeze_utils.data import load
from squeeze_utils.models import build
from squeeze_utils.signals import ObserveOutputs, silent_outputs
from squeeze_utils.step import State


class Fixed(nn.Module):
    """Returns its input's first column times fixed weights, behind a ReLU."""

    def __init__(self, weights: list[float]) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.tensor(weights))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x.flatten(1)[:, :1] * self.weights)


def test_dead_outputs_and_unanswered_images_are_counted():
    images = torch.tensor([1.0, 2.0, 3.0, -1.0]).view(4, 1, 1, 1)
    model = Fixed([1.0, 0.0, 2.0, 0.0, 0.0]).train()
    dead, unanswered = silent_outputs(model, images)
    assert (dead, unanswered) == pytest.approx((60.0, 25.0))
    assert model.training


def test_observing_changes_nothing_and_sees_a_killed_last_relu():
    data = load("digits")
    model = build("squeezenet_small", num_classes=10, in_channels=1, width=0.25, final_relu=True)
    state = State(model, data)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    alive = ObserveOutputs(images=50).apply(state)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    with torch.no_grad():
        model.classifier[1].bias.fill_(-1e3)
    killed = ObserveOutputs(images=50).apply(state)
    assert killed == {"dead_outputs_percent": 100.0, "unanswered_images_percent": 100.0}
    assert alive["unanswered_images_percent"] < 100.0
