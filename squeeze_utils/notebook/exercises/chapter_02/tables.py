"""What the checks of notebook 02 count, by the package."""

from __future__ import annotations

from functools import cache
from typing import Any

import torch
from torch import nn

from squeeze_utils.anatomy import by_module, layer_table
from squeeze_utils.anatomy.costs import count
from squeeze_utils.models import build

IMAGE = (3, 224, 224)


def shapes_only(name: str, **options: Any) -> nn.Module:
    with torch.device("meta"):
        return build(name, **options)


@cache
def modules(name: str, image: tuple[int, int, int] = IMAGE) -> Any:
    return by_module(layer_table(shapes_only(name), image))


def size(name: str, **options: Any) -> int:
    return count(shapes_only(name, **options), IMAGE)["parameters"]
