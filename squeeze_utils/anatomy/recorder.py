"""Writes down a forward pass, operation by operation: layers, costs, and memory that is used."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from squeeze_utils.anatomy.receptive_field import PIXEL, Reach, reach_of

__all__ = ["FLOAT32", "AnatomyError", "Call", "Recorder", "Row", "Trace"]

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
class Call:
    """A module that is running, with its row once it has one."""

    layer: str
    module: nn.Module
    shapes: list[tuple[int, ...]]
    row: Row | None = None


class Recorder(TorchDispatchMode):
    """Sees every operation of the pass, below autograd, and writes it down."""

    def __init__(self, parameters: dict[int, tuple[str, Tensor]], kept: list[Tensor]) -> None:
        super().__init__()
        self.trace = Trace()
        self.calls: list[Call] = []
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
