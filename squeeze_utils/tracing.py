"""One forward pass on shapes alone, written down operation by operation: what `anatomy` reads.

The pass runs on torch's meta device, where tensors have a shape and no content: no image, no
arithmetic, and the model's own parameters are never touched.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from .receptive import PIXEL, Reach, reach_of

__all__ = ["AnatomyError", "Row", "Trace", "trace"]

FLOAT32 = 4  # bytes

# Operations on parameters that are neither views nor element-wise, and still multiply and add
# nothing that is usually counted: normalisation, putting together, looking up.
_LIGHT = {
    *("_native_batch_norm_legit_no_training", "native_batch_norm", "cudnn_batch_norm"),
    *("native_layer_norm", "native_group_norm", "_weight_norm_interface"),
    *("cat", "stack", "clone", "copy_", "_to_copy", "_unsafe_view", "embedding"),
}


class AnatomyError(ValueError):
    """The model cannot be counted, or not with this input shape."""


@dataclass
class Row:
    """One layer of a pass: a module without children, or one operation between modules."""

    layer: str
    kind: str
    module: nn.Module
    between: bool  # an operation of a module that has modules inside
    parameters: int = 0
    biases: int = 0
    multiply_adds: int = 0
    output: tuple[int, ...] = ()
    in_place: bool = True  # until it makes a tensor with memory of its own
    reach: Reach | None = None


@dataclass
class Trace:
    """A recorded pass: its layers in the order they ran, and which memory each operation used."""

    rows: list[Row] = field(default_factory=list)
    touched: list[set[int]] = field(default_factory=list)  # activations read or written, per op
    bytes: dict[int, int] = field(default_factory=dict)  # of each activation, as float32


@dataclass
class _Call:
    """A module that is running, with its row once it has one."""

    layer: str
    module: nn.Module
    shapes: list[tuple[int, ...]]
    row: Row | None = None


class _Recorder(TorchDispatchMode):
    """Sees every operation of the pass, below autograd, and writes it down."""

    def __init__(self, parameters: dict[int, tuple[str, Tensor]], kept: list[Tensor]) -> None:
        super().__init__()
        self.trace = Trace()
        self.calls: list[_Call] = []
        self.parameters = parameters  # by id, those that no operation has used yet
        self.fixed = {_storage(tensor) for tensor in kept}
        self.kept = list(kept)  # kept alive, so that ids and storages stay unique
        self.reaches: dict[int, Reach | None] = {}
        self.names = {key: name for key, (name, _) in parameters.items()}

    def start(self, image: Tensor) -> None:
        self.reaches[id(image)] = (PIXEL, PIXEL)
        self.trace.bytes[_storage(image)] = FLOAT32 * image.numel()
        self.kept.append(image)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        outputs = [leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)]
        if outputs:
            inputs = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor)]
            self._record(func, args, inputs, outputs[0])
            self.kept += outputs
        return result

    def _record(self, func: Any, args: Any, inputs: list[Tensor], output: Tensor) -> None:
        name = func.overloadpacket.__name__
        sources = [
            (tensor.shape, self.reaches[id(tensor)])
            for tensor in inputs
            if id(tensor) in self.reaches
        ]
        is_new = _storage(output) not in self.trace.bytes and _storage(output) not in self.fixed
        used = [id(tensor) for tensor in inputs if id(tensor) in self.names]
        if sources:
            self.reaches[id(output)] = reach_of(name, args, sources, output.shape)
        elif used:  # a parameter seen another way, such as a transposed weight
            self.names.setdefault(id(output), self.names[used[0]])
        cost = self._multiply_adds(func, name, args, output, used)
        if is_new:
            self.trace.bytes[_storage(output)] = FLOAT32 * output.numel()
        self.trace.touched.append({_storage(tensor) for tensor in (*inputs, output)} - self.fixed)
        if is_new or used or func._schema.is_mutable or not _has_children(self.calls[-1].module):
            self._write(name, cost, used, output, is_new)

    def _write(self, name: str, cost: int, used: list[int], output: Tensor, is_new: bool) -> None:
        call = self.calls[-1]
        inside = _has_children(call.module)
        row = call.row
        if row is None or inside:
            kind = name.strip("_") if inside else type(call.module).__name__
            row = call.row = Row(call.layer, kind, call.module, inside)
            self.trace.rows.append(row)
        for key in dict.fromkeys(used):
            parameter = self.parameters.pop(key, None)  # counted where it is first used
            if parameter is not None:
                row.parameters += parameter[1].numel()
                row.biases += parameter[1].numel() * parameter[0].endswith("bias")
        row.multiply_adds += cost
        row.output = tuple(output.shape[1:])
        row.in_place = not is_new and row.in_place
        row.reach = self.reaches.get(id(output))

    def _multiply_adds(
        self, func: Any, name: str, args: Any, output: Tensor, used: list[int]
    ) -> int:
        """Products that are added to a sum; biases, norms and pooling are not counted."""
        if name == "convolution":
            spread = args[0] if args[6] else output  # transposed: every input is spread out
            return spread.numel() * args[1][0].numel()
        if name in ("mm", "bmm"):
            return output.numel() * args[0].shape[-1]
        if name in ("addmm", "baddbmm"):
            return output.numel() * args[1].shape[-1]
        light = name in _LIGHT or func.is_view or torch.Tag.pointwise in func.tags
        if func.overloadpacket in flop_registry or (used and not light):
            what = f"parameter {self.names[used[0]]} with" if used else "the operation"
            raise AnatomyError(
                f"layer {self.calls[-1].layer or '(the model itself)'} uses {what} aten::{name}, "
                "whose multiply-adds this table cannot count; it counts convolutions, matrix "
                "products, normalisations and element-wise operations"
            )
        return 0


def _storage(tensor: Tensor) -> int:
    """The memory behind a tensor: a view, or the result of an in-place operation, shares it."""
    return tensor.untyped_storage()._cdata


def _has_children(module: nn.Module) -> bool:
    return next(module.children(), None) is not None


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
def _followed(model: nn.Module, calls: list[_Call]) -> Iterator[None]:
    """Keep `calls` the stack of modules that are running."""

    def enter(layer: str) -> Any:
        def hook(module: nn.Module, args: Any) -> None:
            calls.append(
                _Call(layer, module, [tuple(a.shape) for a in args if isinstance(a, Tensor)])
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
    recorder = _Recorder(parameters, list(copies.values()))
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


def _refusal(calls: list[_Call], shape: tuple[int, ...], error: Exception) -> str:
    where = calls[-1] if calls else None
    layer = where.layer if where and where.layer else "(the model itself)"
    shapes = f" on an input of shape {where.shapes[0]}" if where and where.shapes else ""
    return (
        f"the model does not run on input_shape {shape}: layer {layer}"
        f"{f' ({type(where.module).__name__})' if where else ''} failed{shapes}: {error}"
    )
