"""One forward pass on shapes alone: what `anatomy` reads.

The pass runs on torch's meta device, where tensors have a shape and no content: no image, no
arithmetic, and the model's own parameters are never touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from squeeze_utils.anatomy.recorder import AnatomyError, Call, Recorder, Trace

__all__ = ["trace"]


@contextmanager
def _evaluation(model: nn.Module) -> Iterator[None]:
    """The model in evaluation mode; afterwards every module is as it was."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        for module, _ in modes:
            module.training = False
        yield
    finally:
        for module, mode in modes:
            module.training = mode


@contextmanager
def _followed(model: nn.Module, calls: list[Call]) -> Iterator[None]:
    """Keep `calls` the stack of modules that are running."""

    def enter(layer: str) -> Any:
        def hook(module: nn.Module, args: Any) -> None:
            calls.append(
                Call(layer, module, [tuple(a.shape) for a in args if isinstance(a, Tensor)])
            )

        return hook

    def leave(module: nn.Module, args: Any, output: Any) -> None:
        calls.pop()

    handles = []
    try:
        for layer, module in model.named_modules():
            handles.append(module.register_forward_pre_hook(enter(layer), prepend=True))
            handles.append(module.register_forward_hook(leave))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _stand_ins(model: nn.Module) -> tuple[dict[str, Tensor], dict[int, tuple[str, Tensor]]]:
    """Empty copies of parameters and buffers by name, and those of the parameters by id."""
    copies: dict[str, Tensor] = {}
    parameters: dict[int, tuple[str, Tensor]] = {}
    for name, parameter in model.named_parameters():
        if isinstance(parameter, UninitializedParameter):
            raise AnatomyError(
                f"parameter {name} has no shape yet: run the lazy model once on a batch first"
            )
        copies[name] = torch.empty_like(parameter, device="meta", requires_grad=False)
        parameters[id(copies[name])] = (name, copies[name])
    for name, buffer in model.named_buffers():
        copies[name] = torch.empty_like(buffer, device="meta")
    return copies, parameters


def _check_shape(input_shape: tuple[int, ...]) -> tuple[int, int, int]:
    shape = tuple(input_shape)
    if len(shape) != 3 or not all(isinstance(side, int) and side > 0 for side in shape):
        raise AnatomyError(
            f"input_shape is {input_shape!r}: give (channels, height, width), three positive "
            "whole numbers without the batch, for example (3, 224, 224)"
        )
    return shape  # type: ignore[return-value]


def trace(model: nn.Module, input_shape: tuple[int, int, int]) -> Trace:
    """Run `model` on the shape of one image, in evaluation mode, and record the pass.

    Mode, parameters, gradients, buffers and device of the model stay as they are.

    Args:
        model: any module that takes a float tensor (1, channels, height, width).
        input_shape: (channels, height, width).

    Raises:
        AnatomyError: the model does not take this shape, holds a parameter that the pass does
            not use, or uses an operation that cannot be counted.
    """
    shape = _check_shape(input_shape)
    copies, parameters = _stand_ins(model)
    recorder = Recorder(parameters, list(copies.values()))
    dtypes = [tensor.dtype for tensor in copies.values() if tensor.is_floating_point()]
    image = torch.empty(1, *shape, device="meta", dtype=dtypes[0] if dtypes else torch.float32)
    recorder.start(image)
    with _evaluation(model), _followed(model, recorder.calls), torch.no_grad():
        try:
            with torch.device("meta"), recorder:
                torch.func.functional_call(model, copies, (image,))
        except AnatomyError:
            raise
        except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
            raise AnatomyError(_refusal(recorder.calls, shape, error)) from error
    if recorder.parameters:
        unused = ", ".join(name for name, _ in recorder.parameters.values())
        raise AnatomyError(
            f"the forward pass in evaluation mode never uses the parameters {unused}: "
            "they belong to no layer and cannot be counted"
        )
    return recorder.trace


def _refusal(calls: list[Call], shape: tuple[int, ...], error: Exception) -> str:
    where = calls[-1] if calls else None
    layer = where.layer if where and where.layer else "(the model itself)"
    shapes = f" on an input of shape {where.shapes[0]}" if where and where.shapes else ""
    return (
        f"the model does not run on input_shape {shape}: layer {layer}"
        f"{f' ({type(where.module).__name__})' if where else ''} failed{shapes}: {error}"
    )
