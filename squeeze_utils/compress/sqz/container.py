"""`.sqz`: one file that holds a network of the series, and nothing that does not belong to it.

Magic, version, the network's spec as JSON, a section for each tensor in the order of the
network's state, and the floats of all of them. Every part carries a checksum. `load` trusts
nothing: whatever is not exactly what `save` writes raises ContainerError.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from squeeze_utils.base.checks import choose
from squeeze_utils.base.files import write_atomically
from squeeze_utils.compress.sqz import bits, coders, floats, forms
from squeeze_utils.compress.sqz.bits import ContainerError, Reader, Writer, framed, unframed, varint
from squeeze_utils.compress.sqz.forms import KINDS, Form
from squeeze_utils.models import ModelSpec, frozen

__all__ = ["ContainerError", "decode_sqz", "encode_sqz", "load_sqz", "save_sqz"]

MAGIC = b"SQZ"
VERSION = 1
CODERS: tuple[str, ...] = tuple(coders.CODERS)
MOST_CONFIG = 1 << 16  # bytes
MOST_WEIGHTS = 1 << 28
SKIPPED = "num_batches_tracked"  # counts training steps, changes no output


def save_sqz(model: nn.Module, path: Path | str, coder: str = "best") -> dict[str, int]:
    """Write `model` to `path`; the bytes of every part of the file, which add up to its size.

    `coder` is one of `raw`, `huffman`, `gaps` (Huffman on the paper's relative indices), `range`
    or `best`, which takes what is smallest for each tensor. Parts are called `tensor/part`.
    Every weight is kept bit for bit, except that minus zero becomes zero.
    """
    data, parts = encode_sqz(model, coder)
    write_atomically(Path(path), data)
    return parts


def load_sqz(path: Path | str) -> nn.Module:
    """The network in a file, in evaluation mode, its weights bit for bit those that were saved."""
    return decode_sqz(Path(path).read_bytes())


def encode_sqz(model: nn.Module, coder: str = "best") -> tuple[bytes, dict[str, int]]:
    """The bytes of a file and how many of them each part has."""
    choose("coder", coder, ("best", *CODERS))
    spec = getattr(model, "spec", None)
    if spec is None:
        raise ValueError("only a model that squeeze_utils.models.build has made can be saved")
    out = Writer()
    config = json.dumps([spec.name, dict(spec.options)], separators=(",", ":")).encode()
    out.add("magic and version", MAGIC + bytes([VERSION]))
    out.add("config", framed(config))
    floats: list[floats.Floats] = []
    state = dict(_tensors(model))
    for name, _ in _tensors(_without_memory(spec)):  # a model's own order depends on its history
        tensor = state[name]
        values = tensor.detach().cpu().contiguous().float().numpy().reshape(-1) + np.float32(0)
        form, chosen, parts = _smallest(values, len(tensor) if tensor.ndim else 1, coder)
        floats.append(floats.Floats(name, form.floats, form.kind == "codebook"))
        _write_tensor(out, name, form, chosen, parts)
    floats.write_floats(out, floats, coder)
    return bytes(out.data), out.parts


def _without_memory(spec: ModelSpec) -> nn.Module:
    with torch.device("meta"):
        return spec.build()


def _tensors(model: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    for name, tensor in model.state_dict().items():
        if not name.endswith(SKIPPED):
            if not tensor.is_floating_point() or tensor.dtype == torch.float64:
                raise ValueError(f"{name} is {tensor.dtype}; only float32 and shorter are stored")
            yield name, tensor


def _smallest(values: np.ndarray, rows: int, coder: str) -> tuple[Form, str, coders.Parts]:
    """The form and coder with the fewest bytes, floats counted as four bytes each."""
    best: tuple[int, Form, str, coders.Parts] | None = None
    for form in forms.forms(values, rows):
        chosen, parts = _coded(form, coder)
        size = 4 * len(form.floats) + len(form.head) + sum(map(len, parts.values()))
        if best is None or size < best[0]:
            best = (size, form, chosen, parts)
    return best[1:]


def _coded(form: Form, coder: str) -> tuple[str, coders.Parts]:
    if form.symbols is None:
        return "raw", {}
    if coder == "best":
        return coders.best(form.symbols, form.alphabet, form.zero)
    if coder == "gaps" and form.zero is None:
        coder = "huffman"  # nothing is sparse: there are no gaps to count
    return coder, coders.CODERS[coder].encode(form.symbols, form.alphabet, form.zero)


def _write_tensor(out: Writer, name: str, form: Form, coder: str, parts: coders.Parts) -> None:
    kind = bytes([KINDS.index(form.kind) << 4 | CODERS.index(coder)])
    content = kind + form.head + b"".join(parts.values())
    out.add(f"{name}/header", varint(len(content)) + kind + form.head)
    for part, data in parts.items():
        out.add(f"{name}/{part}", data)
    out.add(f"{name}/header", bits.checksum(content))


@dataclass
class _Section:
    """A tensor on its way back: its place, its symbols, and how many floats it waits for."""

    name: str
    shape: torch.Size
    kind: str
    head: forms.Head | None
    symbols: np.ndarray | None
    floats: int


def decode_sqz(data: bytes) -> nn.Module:
    """The network in the bytes of a file."""
    reader = Reader(data)
    if reader.take(3, "magic") != MAGIC:
        raise ContainerError("this is not a .sqz file: it does not begin with SQZ")
    version = reader.number(1, "version")
    if version != VERSION:
        raise ContainerError(f"version {version} of the format; this program reads {VERSION}")
    model = _empty_model(unframed(reader, "the config", MOST_CONFIG))
    sections = [_read_tensor(reader, name, tensor.shape) for name, tensor in _tensors(model)]
    numbers = floats.read_floats(reader, [(s.floats, s.kind == "codebook") for s in sections])
    reader.end()
    state = {s.name: _joined(s, found) for s, found in zip(sections, numbers, strict=True)}
    for name in model.state_dict():
        if name.endswith(SKIPPED):
            state[name] = torch.zeros((), dtype=torch.long)
    model.load_state_dict(state, assign=True)
    return model.eval()


def _empty_model(config: bytes) -> nn.Module:
    """The network of the config, without memory for its weights yet."""
    try:
        name, options = json.loads(config)
        if not isinstance(options, dict):
            raise TypeError("the options are no object")
        spec = ModelSpec.of(name, **{key: frozen(value) for key, value in options.items()})
        model = _without_memory(spec)
        weights = sum(tensor.numel() for tensor in model.state_dict().values())
    except (ValueError, TypeError, RuntimeError, RecursionError, OverflowError) as error:
        raise ContainerError(f"the config describes no network of the series: {error}") from error
    if weights > MOST_WEIGHTS:
        raise ContainerError(f"a network of {weights:,} numbers; at most {MOST_WEIGHTS:,}")
    return model


def _read_tensor(reader: Reader, name: str, shape: torch.Size) -> _Section:
    content = unframed(reader, name)
    part = Reader(content)
    byte = part.number(1, f"kind of {name}")
    kind, coder = byte >> 4, byte & 15
    if kind >= len(KINDS) or coder >= len(CODERS):
        raise ContainerError(f"{name} has the unknown kind {kind} or coder {coder}")
    count = shape.numel()
    if KINDS[kind] == "dense":
        part.end()
        return _Section(name, shape, "dense", None, None, count)
    rows = shape[0] if shape else 1
    head, needed = forms.read_head(KINDS[kind], part, rows)
    decoder = coders.CODERS[CODERS[coder]].decode
    symbols = decoder(part, count, head.alphabet, head.zero)
    part.end()
    floats = int(symbols.sum()) if needed is None else needed
    return _Section(name, shape, KINDS[kind], head, symbols, floats)


def _joined(section: _Section, floats: np.ndarray) -> torch.Tensor:
    values = floats
    if section.kind != "dense":
        values = forms.JOIN[section.kind](section.head, section.symbols, floats)
    return torch.from_numpy(np.ascontiguousarray(values)).view(section.shape)


def itemise(parts: dict[str, int]) -> dict[str, Any]:
    """Bytes by kind of part, over all tensors: where the bytes of the file go."""
    total: dict[str, int] = {}
    for name, size in parts.items():
        kind = name.rpartition("/")[2] if "/" in name else name
        total[kind] = total.get(kind, 0) + size
    return total
