from __future__ import annotations

import pytest
import torch
from torch import nn

from squeeze_utils.anatomy.costs import latency


class Seen(nn.Module):
    """Remembers the shape of what it is given."""

    input_shape = (3, 8, 8)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.shape = tuple(x.shape)
        return x


@pytest.mark.parametrize(("size", "side"), [(None, 8), (20, 20)])
def test_latency_takes_images_of_the_networks_size_or_of_the_size_asked_for(size, side):
    model = Seen()
    found = latency({"seen": model}, batch=2, repetitions=3, size=size)
    assert model.shape == (2, 3, side, side) and found.loc["seen", "repetitions"] == 3


def test_latency_refuses_a_network_that_does_not_know_its_input():
    with pytest.raises(ValueError, match="input_shape"):
        latency(nn.Linear(2, 2))
