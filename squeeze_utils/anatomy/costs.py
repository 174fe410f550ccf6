"""What a network costs: counted numbers, and measured milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import ExitStack

import pandas as pd
import torch
from torch import nn

from squeeze_utils.anatomy.tables import summary
from squeeze_utils.base.timing import median_time
from squeeze_utils.training.evaluation import evaluating


def count(model: nn.Module, input_shape: tuple[int, int, int] | None = None) -> dict[str, int]:
    """Parameters, multiply-adds, and peak bytes of activations for one image in float32.

    `input_shape` is (channels, height, width); what `build` made knows its own.

    >>> import squeeze_utils as sq
    >>> sq.count(sq.build("squeezenet_small", num_classes=10))["multiply_adds"]
    23511040
    """
    shape = input_shape or getattr(model, "input_shape", None)
    if shape is None:
        raise ValueError("give input_shape, (channels, height, width): the model does not know it")
    total = summary(model, shape)
    return {
        "parameters": int(total["parameters"]),
        "multiply_adds": int(total["multiply_adds"]),
        "activation_bytes": int(total["peak_activation_bytes"]),
    }


def latency(
    models: nn.Module | Mapping[str, nn.Module],
    batch: int = 1,
    repetitions: int = 30,
    size: int | None = None,
) -> pd.DataFrame:
    """Median and 95th percentile (milliseconds) of a forward pass of each model, in turns.

    Float32 in evaluation on this machine, with torch's number of threads, after a warm-up.
    Images have `size` pixels a side, or a model's own size.

    >>> import squeeze_utils as sq
    >>> found = sq.latency({"LeNet-5": sq.build("lenet5")}, repetitions=3)
    >>> list(found.columns)[:2], bool(found.loc["LeNet-5", "median_ms"] > 0)
    (['median_ms', 'p95_ms'], True)
    """
    named = models if isinstance(models, Mapping) else {type(models).__name__: models}
    for name, model in named.items():
        if getattr(model, "input_shape", None) is None:
            raise ValueError(f"{name} does not know its input_shape: give a model of `build`")

    with ExitStack() as modes:
        for model in named.values():
            modes.enter_context(evaluating(model))
        passes = {name: _forward(model, batch, size) for name, model in named.items()}
        return median_time(passes, repetitions)


def _forward(model: nn.Module, batch: int, size: int | None) -> Callable[[], None]:
    channels, *sides = model.input_shape
    x = torch.randn(batch, channels, *(sides if size is None else (size, size)))

    @torch.inference_mode()
    def run() -> None:
        model(x)

    return run
