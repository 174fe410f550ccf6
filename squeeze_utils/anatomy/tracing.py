"""One forward pass on shapes alone, written down operation by operation: what the tables read.

The pass runs on torch's meta device, where tensors have a shape and no content: no image, no
arithmetic, and the model's own parameters are never touched.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from squeeze_utils.anatomy.receptive_field import PIXEL, Reach, reach_of
from squeeze_utils.training.evaluation import evaluating, watching

FLOAT32 = 4  # bytes

# Operations on parameters that are neither views nor element-wise, and still multiply and add
# nothing that is usually counted: normalisation, putting together, looking up.
_LIGHT = {
    *("_native_batch_norm_legit_no_training", "native_batch_norm", "cudnn_batch_norm"),
    *("native_layer_norm", "native_group_norm", "_weight_norm_interface"),
    *("cat", "stack", "clone", "copy_", "_to_copy", "_unsafe_view", "embedding", "_prelu_kernel"),
}


class AnatomyError(ValueError):
    """The model cannot be counted, or not with this input shape."""


@dataclass
class Row:
    """One layer of a pass: a module without children, or one operation between modules."""

    layer: str
    kind: str
    output: tuple[int, ...] = ()
    parameters: int = 0
    biases: int = 0
    multiply_adds: int = 0
    activation_bytes: int = 0
    in_place: bool = True  # until it makes a tensor with memory of its own
    receptive_field: int | None = None
    jump: int | None = None
    start: int | None = None


@dataclass
class Call:
    """A module that is running, with its row once it has one."""

    layer: str
    module: nn.Module
    shapes: list[tuple[int, ...]]  # of its inputs
    row: Row | None = None


class Recorder(TorchDispatchMode):
    """Sees every operation of a pass, below autograd, and writes it down.

    `rows` are the layers in the order they ran; `touched` are the activations that each operation
    read or wrote, `places` the row it belongs to, and `bytes` the size of each activation as
    float32. `joined` leads from each input of a concatenation to its result.
    """

    def __init__(self, parameters: dict[str, Tensor], buffers: list[Tensor], image: Tensor) -> None:
        super().__init__()
        self.rows: list[Row] = []
        self.touched: list[set[int]] = []
        self.places: list[int] = []
        self.joined: dict[int, int] = {}
        self.bytes = {_storage(image): FLOAT32 * image.numel()}
        self.calls: list[Call] = []
        self.uncounted = dict(parameters)  # those that no operation has used yet
        self.names = {id(parameter): name for name, parameter in parameters.items()}
        constant = [*parameters.values(), *buffers]
        self.fixed = {_storage(tensor) for tensor in constant}
        self.kept = [*constant, image]  # kept alive, so that ids and storages stay unique
        self.reaches: dict[int, Reach | None] = {id(image): PIXEL}

    def enter(self, layer: str, module: nn.Module, inputs: tuple[Any, ...]) -> None:
        """To be called before each module runs."""
        shapes = [tuple(each.shape) for each in inputs if isinstance(each, Tensor)]
        self.calls.append(Call(layer, module, shapes))

    def leave(self, layer: str, module: nn.Module, inputs: Any, output: Any) -> None:
        """To be called after each module has run."""
        self.calls.pop()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        outputs = _tensors(result)
        if outputs:
            self._record(func, args, kwargs or {}, outputs[0])
            self.kept += outputs
        return result

    def _record(self, func: Any, args: Any, kwargs: dict[str, Any], output: Tensor) -> None:
        operation, inputs = func.overloadpacket.__name__, _tensors((args, kwargs))
        used = [self.names[id(tensor)] for tensor in inputs if id(tensor) in self.names]
        sources = [tensor for tensor in inputs if id(tensor) in self.reaches]
        if sources:
            named = zip(func._schema.arguments, args, strict=False)  # defaults are left out
            settings = {argument.name: value for argument, value in named} | kwargs
            seen = [(tensor.shape, self.reaches[id(tensor)]) for tensor in sources]
            self.reaches[id(output)] = reach_of(operation, settings, seen, output.shape)
        elif used:  # a parameter seen another way, such as a transposed weight
            self.names.setdefault(id(output), used[0])
        flops = self._flops(func, args, kwargs, output, used)
        is_new = self._is_new(output)
        self.touched.append({_storage(tensor) for tensor in (*inputs, output)} - self.fixed)
        if operation == "cat":
            for tensor in inputs:  # a part of a map that is read elsewhere too stays where it is
                if FLOAT32 * tensor.numel() == self.bytes.get(_storage(tensor)):
                    self.joined.setdefault(_storage(tensor), _storage(output))
        if is_new or used or func._schema.is_mutable or not has_children(self.calls[-1].module):
            row = self._row(operation)
            self._count_parameters(row, used)
            row.multiply_adds += flops // 2  # a product and its addition are two
            row.output = tuple(output.shape[1:])
            row.activation_bytes = FLOAT32 * prod(row.output)
            row.in_place = row.in_place and not is_new
            height, width = self.reaches.get(id(output)) or (None, None)
            row.receptive_field = max(height.size, width.size) if height else None
            row.jump, row.start = (height.step, height.first) if height else (None, None)
        self.places.append(max(len(self.rows) - 1, 0))

    def _is_new(self, output: Tensor) -> bool:
        """Whether it has memory that no tensor had before it; notes how much."""
        memory = _storage(output)
        if memory in self.bytes or memory in self.fixed:
            return False
        self.bytes[memory] = FLOAT32 * output.numel()
        return True

    def _row(self, operation: str) -> Row:
        """The row of the module that runs, or a fresh one for an operation between modules."""
        call = self.calls[-1]
        between = has_children(call.module)
        if call.row is None or between:
            is_conv = isinstance(call.module, nn.Conv2d)  # whichever way it computes
            kind = "Conv2d" if is_conv else type(call.module).__name__
            call.row = Row(call.layer, operation.strip("_") if between else kind)
            self.rows.append(call.row)
        return call.row

    def _count_parameters(self, row: Row, used: list[str]) -> None:
        """Count parameters in the row that uses them first."""
        for name in used:
            if name in self.uncounted:
                size = self.uncounted.pop(name).numel()
                row.parameters += size
                row.biases += size if name.endswith("bias") else 0

    def _flops(
        self, func: Any, args: Any, kwargs: dict[str, Any], output: Tensor, used: list[str]
    ) -> int:
        """By the formulas of torch's FlopCounterMode: no biases, norms, activations, pooling."""
        if func.overloadpacket in flop_registry:
            return flop_registry[func.overloadpacket](*args, **kwargs, out_val=output)
        operation = func.overloadpacket.__name__
        is_light = operation in _LIGHT or func.is_view or torch.Tag.pointwise in func.tags
        if used and not is_light:
            raise AnatomyError(
                f"layer {self.calls[-1].layer or '(the model itself)'} uses parameter {used[0]} "
                f"with aten::{operation}, whose multiply-adds this table cannot count; it counts "
                "convolutions, matrix products, normalisations and element-wise operations"
            )
        return 0


def has_children(module: nn.Module) -> bool:
    """Whether the module has modules inside, which get rows of their own."""
    return next(module.children(), None) is not None


def _storage(tensor: Tensor) -> int:
    """The memory behind a tensor: a view, or the result of an in-place operation, shares it."""
    return tensor.untyped_storage()._cdata


def _tensors(values: Any) -> list[Tensor]:
    return [leaf for leaf in tree_leaves(values) if isinstance(leaf, Tensor)]


def trace(model: nn.Module, input_shape: tuple[int, int, int]) -> Recorder:
    """Run `model` on the shape of one image, in evaluation mode, and record the pass.

    `input_shape` is (channels, height, width). Mode, parameters, gradients, buffers and device of
    the model stay as they are. AnatomyError: it does not take this shape, holds a parameter that
    the pass does not use, or uses an operation that cannot be counted.
    """
    shape = _checked(input_shape)
    parameters = {name: _without_content(name, p) for name, p in model.named_parameters()}
    buffers = {name: _without_content(name, b) for name, b in model.named_buffers()}
    copies = parameters | buffers
    dtypes = [tensor.dtype for tensor in copies.values() if tensor.is_floating_point()]
    image = torch.empty(1, *shape, device="meta", dtype=dtypes[0] if dtypes else torch.float32)
    recorder = Recorder(parameters, list(buffers.values()), image)
    modules = dict(model.named_modules())
    try:
        with (
            torch.no_grad(),
            evaluating(model),
            watching(modules, before=recorder.enter, after=recorder.leave),
            torch.device("meta"),
            recorder,
        ):
            torch.func.functional_call(model, copies, (image,))
    except AnatomyError:
        raise
    except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
        raise AnatomyError(_refusal(recorder.calls, shape, error)) from error
    if recorder.uncounted:
        raise AnatomyError(
            "the forward pass in evaluation mode never uses the parameters "
            f"{', '.join(recorder.uncounted)}: they belong to no layer and cannot be counted"
        )
    return recorder


def _without_content(name: str, tensor: Tensor) -> Tensor:
    """A stand-in for a parameter or buffer, with its shape and type only."""
    if isinstance(tensor, UninitializedParameter):
        raise AnatomyError(
            f"parameter {name} has no shape yet: run the lazy model once on a batch first"
        )
    return torch.empty_like(tensor, device="meta", requires_grad=False)


def _checked(input_shape: tuple[int, ...]) -> tuple[int, ...]:
    shape = tuple(input_shape)
    if len(shape) != 3 or not all(isinstance(side, int) and side > 0 for side in shape):
        raise AnatomyError(
            f"input_shape is {input_shape!r}: give (channels, height, width), three positive "
            "whole numbers without the batch, for example (3, 224, 224)"
        )
    return shape


def _refusal(calls: list[Call], shape: tuple[int, ...], error: Exception) -> str:
    where = calls[-1] if calls else None
    layer = where.layer if where and where.layer else "(the model itself)"
    shapes = f" on an input of shape {where.shapes[0]}" if where and where.shapes else ""
    return (
        f"the model does not run on input_shape {shape}: layer {layer}"
        f"{f' ({type(where.module).__name__})' if where else ''} failed{shapes}: {error}"
    )
