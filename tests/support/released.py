"""The released file's form for a network that was made here."""

from __future__ import annotations

from torch import nn

from squeeze_utils.imagenet import released_file


def released_layers(model: nn.Module) -> list[released_file.Layer]:
    """The layers of a SqueezeNet 1.0 whose weights have few values, for `write_released`."""
    layers = dict(model.named_modules())
    names = released_file.convolutions()
    return [released_file.pack(name, layers[name].weight, layers[name].bias) for name in names]
