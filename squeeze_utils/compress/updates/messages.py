"""A change of a network as a message of bytes, and back: floats, bytes, or few levels, coded.

Both sides know the network, so names and shapes are not sent: tensors follow in the order of the
network's state. A message begins with its kind and ends with a checksum.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from squeeze_utils.base.checks import choose, real_number
from squeeze_utils.compress.sqz import coders
from squeeze_utils.compress.sqz.bits import ContainerError, Reader, Writer, varint

KINDS: tuple[str, ...] = ("float", "int8", "coded")
STEP = 1.0  # of the levels of "coded", in standard deviations of all matrices and kernels
FINER = 16  # times as fine are the levels of vectors, against their own standard deviation
MOST_LEVELS = 127  # on either side of zero


def encode_update(
    update: Mapping[str, Tensor], kind: str = "coded", step: float = STEP
) -> tuple[bytes, dict[str, Tensor]]:
    """The message of `update`, and the update as the receiver will read it.

    "float": four bytes a number. "int8": whole numbers from -127 to 127 and their step, a
    127th of the tensor's largest number. "coded": whole numbers of steps, written by the range
    coder of `.sqz` files, so zeros cost a fraction of a bit. All matrices and kernels have one
    step, of `step` standard deviations of their numbers. Vectors (biases, statistics) are few and
    matter more: each has a step of its own, which is finer.

    >>> message, read = encode_update({"weight": torch.tensor([0.0, 0.5, -1.0])}, "int8")
    >>> len(message), [round(v, 3) for v in read["weight"].tolist()]
    (13, [0.0, 0.504, -1.0])
    """
    choose("kind of message", kind, KINDS)
    real_number("step", step, above=0)
    out = Writer()
    out.add("kind", bytes([KINDS.index(kind)]))
    flat = {name: tensor.detach().cpu().float().reshape(-1) for name, tensor in update.items()}
    matrices = [values for name, values in flat.items() if update[name].ndim > 1]
    shared = step * _spread(torch.cat(matrices)) if matrices else 0.0
    for name, values in flat.items():
        if not values.isfinite().all():
            raise ValueError(f"{name} is not finite: the training behind this update diverged")
        wanted = shared if update[name].ndim > 1 else step * _spread(values) / FINER
        out.add(name, _encoded(values.numpy(), kind, wanted))
    framed = Writer()
    framed.add_framed("frame", out)
    message = bytes(framed.data)
    shapes = {name: tensor.shape for name, tensor in update.items()}
    return message, decode_update(message, shapes)


def decode_update(message: bytes, shapes: Mapping[str, torch.Size]) -> dict[str, Tensor]:
    """The update in a message, all of it finite.

    ContainerError if the message is damaged or has another number of values.
    """
    outer = Reader(message)
    reader = outer.framed("the update")
    outer.end()
    number = reader.number(1, "kind")
    if number >= len(KINDS):
        raise ContainerError(f"kind {number} of message is not known")
    read = {}
    for name, shape in shapes.items():
        values = _decoded(reader, shape.numel(), KINDS[number])
        if not np.isfinite(values).all():
            raise ContainerError(f"{name} in the update is not finite")
        read[name] = torch.from_numpy(values).view(shape)
    reader.end()
    return read


def _spread(values: Tensor) -> float:
    """The standard deviation around zero."""
    return float(values.double().square().mean().sqrt()) if len(values) else 0.0


def _encoded(values: np.ndarray, kind: str, wanted: float) -> bytes:
    """`wanted` is the step of "coded"; a tensor with large numbers gets a larger one."""
    if kind == "float":
        return values.astype("<f4").tobytes()
    coarsest = np.abs(values).max(initial=0) / MOST_LEVELS  # of a grid with so few levels
    size = np.float32(coarsest if kind == "int8" else max(wanted, coarsest))
    levels = np.rint(values / size) if size else np.zeros_like(values)
    levels = levels.clip(-MOST_LEVELS, MOST_LEVELS).astype(np.int64)
    head = np.float32(size).astype("<f4").tobytes()
    if kind == "int8":
        return head + levels.astype(np.int8).tobytes()
    most = int(np.abs(levels).max(initial=0))
    codes = coders.CODERS["range"].encode(levels + most, 2 * most + 1, most)["codes"]
    return head + varint(most) + codes


def _decoded(reader: Reader, count: int, kind: str) -> np.ndarray:
    if kind == "float":
        return np.frombuffer(reader.take(4 * count, "floats"), "<f4").astype(np.float32)
    (size,) = np.frombuffer(reader.take(4, "step"), "<f4")
    if kind == "int8":
        levels = np.frombuffer(reader.take(count, "levels"), np.int8)
    else:
        most = reader.varint("levels")
        if most > MOST_LEVELS:
            raise ContainerError(f"{most} levels, at most {MOST_LEVELS} are accepted")
        levels = coders.CODERS["range"].decode(reader, count, 2 * most + 1, most) - most
    return levels.astype(np.float32) * size


def float_state(model: torch.nn.Module) -> dict[str, Tensor]:
    """What training changes of a network, parameters and running statistics, as copies here."""
    state = model.state_dict().items()
    return {name: t.detach().cpu().clone() for name, t in state if t.is_floating_point()}


def following(weights: Mapping[str, Tensor], update: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`weights` after an update that was rounded: a variance that fell below zero is zero."""
    moved = added(weights, update)
    names = [name for name in moved if name.endswith("running_var")]
    return moved | {name: moved[name].clamp_min(0) for name in names}


def difference(new: Mapping[str, Tensor], old: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """What must be added to `old` to get `new`."""
    return {name: tensor - old[name] for name, tensor in new.items()}


def added(state: Mapping[str, Tensor], update: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`state` with an update added to it."""
    return {name: tensor + update[name] for name, tensor in state.items()}
