"""`.sqz`: one file that holds a network of the series, and nothing that does not belong to it.

Magic, version, the network's spec as JSON, a section for each tensor in the order of the
network's state, and the floats of all of them. Every part carries a checksum. `load_sqz` trusts
nothing: whatever is damaged or describes no network raises ContainerError.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from squeeze_utils.base.checks import choose
from squeeze_utils.base.files import write_atomically
from squeeze_utils.compress.sqz import coders, compact, contexts, forms
from squeeze_utils.compress.sqz.bits import ContainerError, Reader, Writer
from squeeze_utils.compress.sqz.coders import CODER_NAMES
from squeeze_utils.compress.sqz.floats import Floats, read_floats, write_floats
from squeeze_utils.compress.sqz.forms import KINDS
from squeeze_utils.models import ModelSpec

MAGIC = b"SQZ"
VERSION = 1
COMPACT = {"compact": 2, "compact contexts": 3}  # versions of `compact`, by their coders
TENSOR_CODERS = (*CODER_NAMES, "contexts")  # in this order: a file holds a coder's number
ACCEPTED = ("best", *TENSOR_CODERS, *COMPACT)  # as `coder`
MOST_WEIGHTS = 1 << 28
SKIPPED = "num_batches_tracked"  # counts training steps, changes no output


def save_sqz(model: nn.Module, path: Path | str, coder: str = "best") -> dict[str, int]:
    """Write `model` to `path`; the bytes of every part of the file, which add up to its size.

    `coder` is one of `raw`, `huffman`, `gaps` (Huffman on the paper's relative indices), `range`,
    `best`, which takes the smallest of these for each tensor, `contexts`, which also tries the
    coder of that name, or one of the two that `compact` describes. Parts are called `tensor/part`.
    Every weight is kept bit for bit, except that minus zero becomes zero.

    >>> import squeeze_utils as sq, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "network.sqz"
    >>> parts = sq.save_sqz(sq.build("lenet5"), path)
    >>> sum(parts.values()) == path.stat().st_size
    True
    """
    data, parts = encode_sqz(model, coder)
    write_atomically(Path(path), data)
    return parts


def load_sqz(path: Path | str) -> nn.Module:
    """The network in a file, in evaluation mode, its weights bit for bit those that were saved.

    >>> import squeeze_utils as sq, tempfile, pathlib
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "network.sqz"
    >>> _ = sq.save_sqz(sq.build("lenet5"), path)
    >>> sq.load_sqz(path).spec.name
    'lenet5'
    """
    return decode_sqz(Path(path).read_bytes())


def encode_sqz(
    model: nn.Module, coder: str = "best", grids: Mapping[str, Tensor] | None = None
) -> tuple[bytes, dict[str, int]]:
    """The bytes of a file and how many of them each part has; see `save_sqz`.

    `grids` gives, by name, the steps of weights that were rounded: one, or one for each row. They
    are used if the weights are still multiples of them; where none are given they are searched for.
    The coders "compact" and "compact contexts" need them, one for each tensor, and write versions
    2 and 3 of the format.
    """
    choose("coder", coder, ACCEPTED)
    spec = getattr(model, "spec", None)
    if spec is None:
        raise ValueError("only a model that squeeze_utils.models.build has made can be saved")
    out, config = Writer(), Writer()
    if coder in COMPACT:
        return _encode_compact(model, spec, COMPACT[coder], grids or {})
    out.add("magic and version", MAGIC + bytes([VERSION]))
    config.add("config", json.dumps(list(spec.as_dict().values()), separators=(",", ":")).encode())
    out.add_framed("config", config)
    collected = []
    for name, tensor in _as_built(model, spec).items():
        coded = forms.smallest(tensor, coder, (grids or {}).get(name))
        collected.append(Floats(name, coded.form.floats, coded.form.kind == "codebook"))
        _write_tensor(out, name, coded)
    write_floats(out, collected, "best" if coder == "contexts" else coder)
    return bytes(out.data), out.parts


def _encode_compact(
    model: nn.Module, spec: ModelSpec, version: int, grids: Mapping[str, Tensor]
) -> tuple[bytes, dict[str, int]]:
    out, state = Writer(), _as_built(model, spec)
    out.add("magic and version", MAGIC + bytes([version]))
    values = {name: forms.values_of(tensor) for name, tensor in state.items()}
    shapes = {name: forms.layout(tensor.shape) for name, tensor in state.items()}
    known = shapes if version == COMPACT["compact contexts"] else None
    compact.write_compact(out, list(spec.as_dict().values()), values, grids, known)
    return bytes(out.data), out.parts


def _as_built(model: nn.Module, spec: ModelSpec) -> dict[str, Tensor]:
    """The tensors in the order of a new network of `spec`; a model's own depends on its history."""
    state, built = dict(_tensors(model)), dict(_tensors(_without_memory(spec)))
    for name in [*built, *state]:
        if name not in state or name not in built or state[name].shape != built[name].shape:
            raise ValueError(
                f"{name} is not as {spec} builds it, so a file could not be read again: build the "
                "network with options that describe it"
            )
    return {name: state[name] for name in built}


def _without_memory(spec: ModelSpec) -> nn.Module:
    with torch.device("meta"):
        return spec.build()


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    for name, tensor in model.state_dict().items():
        if not name.endswith(SKIPPED):
            if not tensor.is_floating_point() or tensor.dtype == torch.float64:
                raise ValueError(f"{name} is {tensor.dtype}; only float32 and shorter are stored")
            yield name, tensor


def _write_tensor(out: Writer, name: str, coded: forms.Coded) -> None:
    kind = KINDS.index(coded.form.kind) << 4 | TENSOR_CODERS.index(coded.coder)
    content = Writer()
    content.add(f"{name}/header", bytes([kind]) + coded.form.head)
    for part, data in coded.parts.items():
        content.add(f"{name}/{part}", data)
    out.add_framed(f"{name}/header", content)


def decode_sqz(data: bytes) -> nn.Module:
    """The network in the bytes of a file."""
    reader = Reader(data)
    if reader.take(3, "magic") != MAGIC:
        raise ContainerError("this is not a .sqz file: it does not begin with SQZ")
    version = reader.number(1, "version")
    if version in COMPACT.values():
        return _decode_compact(reader, version)
    if version != VERSION:
        known = ", ".join(map(str, (VERSION, *COMPACT.values())))
        raise ContainerError(f"version {version} of the format; this program reads {known}")
    config, sections = reader.framed("the config", compact.MOST_CONFIG), []
    while not reader.is_at_end:  # every checksum is compared before anything is made of the bytes
        sections.append(reader.framed("a section"))
    model = _empty_model(config.data)
    shapes = {name: tensor.shape for name, tensor in _tensors(model)}
    if len(sections) != len(shapes) + 1:
        raise ContainerError(f"{len(sections)} sections for {len(shapes)} tensors and their floats")
    opened = [_open_tensor(*one) for one in zip(sections, shapes, shapes.values(), strict=False)]
    floats = read_floats(sections[-1], [(one.floats, one.ascends) for one in opened])
    values = {
        name: one.values(numbers) for name, one, numbers in zip(shapes, opened, floats, strict=True)
    }
    return _filled(model, shapes, values)


def _decode_compact(reader: Reader, version: int) -> nn.Module:
    model = _empty_model(compact.read_config(reader))
    shapes = {name: tensor.shape for name, tensor in _tensors(model)}
    layouts = {name: forms.layout(shape) for name, shape in shapes.items()}
    places = version == COMPACT["compact contexts"]
    return _filled(model, shapes, compact.read_tensors(reader, layouts, places))


def _filled(
    model: nn.Module, shapes: Mapping[str, torch.Size], values: Mapping[str, np.ndarray]
) -> nn.Module:
    """The empty model with its numbers."""
    state = {name: torch.zeros((), dtype=torch.long) for name in model.state_dict()}
    for name, shape in shapes.items():
        state[name] = torch.from_numpy(np.ascontiguousarray(values[name])).view(shape)
    model.load_state_dict(state, assign=True)
    return model.eval()


def _empty_model(config: bytes) -> nn.Module:
    """The network of the config, without memory for its weights yet."""
    try:
        name, options = json.loads(config)
        if not isinstance(options, dict):
            raise TypeError("the options are no object")
        model = _without_memory(ModelSpec.of(name, **options))
        weights = sum(tensor.numel() for tensor in model.state_dict().values())
    except (ValueError, TypeError, RuntimeError, RecursionError, OverflowError) as error:
        raise ContainerError(f"the config describes no network of the series: {error}") from error
    if weights > MOST_WEIGHTS:
        raise ContainerError(f"a network of {weights:,} numbers; at most {MOST_WEIGHTS:,}")
    return model


def _open_tensor(part: Reader, name: str, shape: torch.Size) -> forms.Opened:
    byte = part.number(1, f"kind of {name}")
    kind, coder = byte >> 4, byte & 15
    if kind >= len(KINDS) or coder >= len(TENSOR_CODERS):
        raise ContainerError(f"{name} has the unknown kind {kind} or coder {coder}")
    placed = forms.layout(shape)
    plain = coders.CODERS.get(TENSOR_CODERS[coder])
    decode = plain.decode if plain else partial(_decode_contexts, placed)
    opened = forms.READ[KINDS[kind]](part, shape.numel(), placed[0], decode)
    part.end()
    return opened


def _decode_contexts(
    shape: tuple[int, int, int], reader: Reader, count: int, alphabet: int, zero: int | None
) -> np.ndarray:
    if zero is None:
        raise ContainerError("contexts need a symbol for zero")
    return contexts.decode(reader, shape, alphabet, zero)


def itemise(parts: dict[str, int]) -> dict[str, Any]:
    """Bytes by kind of part, over all tensors: where the bytes of the file go."""
    total: dict[str, int] = {}
    for name, size in parts.items():
        kind = name.rpartition("/")[2] if "/" in name else name
        total[kind] = total.get(kind, 0) + size
    return total
