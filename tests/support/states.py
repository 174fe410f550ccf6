"""For tests of steps: networks with statistics and scales as after some training."""

from __future__ import annotations

import torch
from tiny import tiny_set
from torch import nn

from squeeze_utils.models import ModelSpec
from squeeze_utils.training.step import State

DATA = tiny_set(size=16)


def as_if_trained(model: nn.Module) -> nn.Module:
    """The model with statistics and scales that are not those of the beginning."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias, std=0.3)
            nn.init.normal_(module.running_mean, std=0.3)
            nn.init.uniform_(module.running_var, 0.5, 2.0)
    return model


def state_of(name: str = "squeezenet_small", **options) -> State:
    """A network for images of one channel; a SqueezeNet is narrow, others take 32 pixels."""
    torch.manual_seed(0)
    size = {"width": 0.25} if name == "squeezenet_small" else {"image_size": 32}
    spec = ModelSpec.of(name, **{"in_channels": 1, "num_classes": 3, **size, **options})
    model = spec.build().to(memory_format=torch.channels_last)
    as_if_trained(model)
    return State(model, DATA, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def outputs(model: nn.Module, side: int = 16) -> torch.Tensor:
    """What the network makes of six images of `side` pixels, in evaluation."""
    x = torch.randn(6, 1, side, side, generator=torch.Generator().manual_seed(3))
    return model.eval()(x.to(memory_format=torch.channels_last))
