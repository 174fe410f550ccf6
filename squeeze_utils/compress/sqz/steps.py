"""The last step of a recipe: the network as a file, and the tables that say what takes how much."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from squeeze_utils.base.checks import choose
from squeeze_utils.compress.pruning.scores import prunable
from squeeze_utils.compress.sqz import coders, container, forms, huffman
from squeeze_utils.compress.sqz.bits import width_of
from squeeze_utils.data import Batches
from squeeze_utils.training.evaluation import evaluating
from squeeze_utils.training.step import State, Step
from squeeze_utils.training.tasks import task_of

EVERY_CODER: tuple[str, ...] = ("best", *coders.CODER_NAMES)
PARTS: tuple[str, ...] = ("codes", "gaps", "tables", "floats", "header")


@dataclass(frozen=True)
class Encode(Step):
    """Write the network as a `.sqz` file in memory, and go on with what is read from it.

    `ratio` is that of its parameters in float32, as it is written, to the bytes of the file.

    With `details` the record also holds the paper's table layer by layer, the bytes of every
    part, and the size with every coder. The coder "compact" writes whole numbers of known steps
    with little around them (version 2 of the format), "compact contexts" the same with the places
    of nonzeros coded by their surroundings (version 3). `coders` names more coders whose files are
    written, checked in the same way, and thrown away: the record has their sizes, and the state is
    the same.

    >>> import squeeze_utils as sq
    >>> digits = sq.load_images("digits", size=8)
    >>> state = sq.State(sq.build("lenet_300_100", image_size=8), digits)
    >>> _ = sq.Share(bits=3).apply(state)
    >>> round(sq.Encode().apply(state)["ratio"])  # a float has 32 bits
    10
    """

    coder: str = "best"
    details: bool = False
    coders: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "coders", tuple(self.coders))
        for coder in (self.coder, *self.coders):
            choose("coder", coder, container.ACCEPTED)
        if self.details and self.coders:
            raise ValueError("details hold the size with every coder: leave coders out")

    @torch.no_grad()
    def apply(self, state: State) -> dict[str, Any]:
        """Measure the bytes, in all and by kind of part; every tensor must come back equal."""
        for name, tensor in state.model.state_dict().items():
            if not tensor.isfinite().all():
                raise ValueError(f"{name} is not finite: the training before Encode diverged")
        grids = state.saved.get("grids", {})
        sizes = {coder: len(_written(state, coder, grids)[0]) for coder in self.coders}
        data, parts, model = _written(state, self.coder, grids)
        state.model = model
        measured = {
            "file_bytes": len(data),
            "file_parts": container.itemise(parts),
            "ratio": 4 * sum(p.numel() for p in model.parameters()) / len(data),
        }
        if sizes:
            measured["coder_bytes"] = sizes
        return measured | (_details(model, parts, grids) if self.details else {})


def _written(
    state: State, coder: str, grids: Mapping[str, Tensor]
) -> tuple[bytes, dict[str, int], nn.Module]:
    """A file, the bytes of its parts, and the network read from it, which must be the same."""
    data, parts = container.encode_sqz(state.model, coder, grids)
    model = container.decode_sqz(data).to(state.device, memory_format=torch.channels_last)
    before = state.model.to(memory_format=torch.channels_last).state_dict()
    _check_outputs(state, model)
    for name, tensor in model.state_dict().items():
        if not name.endswith(container.SKIPPED) and not torch.equal(tensor, before[name]):
            raise RuntimeError(f"{name} came back from the file with other values")
    return data, parts, model


def _check_outputs(state: State, decoded: nn.Module) -> None:
    """On a batch of validation images both networks must give the same bits."""
    data = state.data
    count = min(100, task_of(data).batch)
    x, _ = next(iter(Batches(data.validation, count, mean=data.mean, std=data.std)))
    x = x.to(state.device)
    with evaluating(state.model):
        wanted = state.model(x)
    if not torch.equal(wanted, decoded(x)):
        raise RuntimeError("the network in the file gives other outputs than the one saved")


def _details(
    model: nn.Module, parts: dict[str, int], grids: Mapping[str, Tensor]
) -> dict[str, Any]:
    made = {coder: container.encode_sqz(model, coder, grids) for coder in EVERY_CODER}
    return {
        "parts": parts,
        "layers": layer_sizes(model, made["gaps"][1]),
        "coder_bytes": {coder: len(data) for coder, (data, _) in made.items()},
    }


def layer_sizes(model: nn.Module, parts: Mapping[str, int]) -> list[dict[str, Any]]:
    """The Deep Compression paper's table: a row for each weight, all other tensors, the header.

    `parts` are the bytes that `encode_sqz(model, "gaps")` gave. Bits are per stored entry,
    fillers included, as in the paper; a weight of more than 65,536 values, or of more than half
    as many values as weights, has no codebook, so no bits. The columns named in PARTS are
    bytes; over all rows they add up to the file.
    """
    weights = prunable(model)
    others = set(model.state_dict()) - set(weights)
    rows = [
        {"layer": name, **_entries(forms.values_of(weight)), **_bytes(parts, {name}.__contains__)}
        for name, weight in weights.items()
    ]
    rows.append({"layer": "biases and norms", **_bytes(parts, others.__contains__)})
    header = _bytes(parts, lambda tensor: tensor not in others | set(weights))
    return [*rows, {"layer": "file header", **header}]


def _bytes(parts: Mapping[str, int], belongs: Callable[[str], bool]) -> dict[str, int]:
    found = dict.fromkeys(PARTS, 0)
    for name, size in parts.items():
        tensor, _, part = name.rpartition("/")
        if belongs(tensor):
            found[part if part in found else "header"] += size
    return found | {"bytes": sum(found.values())}


def _entries(values: np.ndarray) -> dict[str, Any]:
    """What a weight's codebook and gaps store."""
    counts = {"weights": len(values), "nonzero": int(np.count_nonzero(values))}
    form = forms.codebook(values) if len(values) >= forms.SHORTEST else None
    if form is None:
        return counts
    gap_bits, gaps, entries = 0, None, form.symbols
    if form.zero is not None:
        gap_bits = coders.gap_bits(form.symbols, form.alphabet, form.zero)
        gaps, entries = coders.gaps_of(form.symbols, form.zero, gap_bits)
    return counts | {
        "entries": len(entries),
        "weight_bits": width_of(form.alphabet),
        "weight_bits_huffman": _mean_length(entries, form.alphabet),
        "index_bits": gap_bits,
        "index_bits_huffman": 0.0 if gaps is None else _mean_length(gaps, 1 << gap_bits),
    }


def _mean_length(symbols: np.ndarray, alphabet: int) -> float:
    """Bits that Huffman's code spends on a symbol of this message, on average."""
    counts = np.bincount(symbols, minlength=alphabet)
    return float(huffman.code_lengths(counts) @ counts) / max(1, len(symbols))
