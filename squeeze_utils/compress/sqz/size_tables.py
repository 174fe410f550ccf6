"""The per-layer table of the Deep Compression paper, for any network of the series."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from torch import nn

from squeeze_utils.compress.pruning.scores import prunable
from squeeze_utils.compress.sqz import coders, container, forms, huffman
from squeeze_utils.compress.sqz.bits import width_of

PARTS: tuple[str, ...] = ("codes", "gaps", "tables", "floats", "header")


def layers(model: nn.Module, parts: Mapping[str, int]) -> list[dict[str, Any]]:
    """A row for each weight, one for all other tensors, one for the file's own header.

    `parts` are the bytes that `container.encode(model, "gaps")` gave. Bits are per stored entry,
    fillers included, as in the paper; a weight of more than 65,536 values, or of more than half
    as many values as weights, is stored whole and has no bits. The columns named in PARTS are
    bytes; over all rows they add up to the file.
    """
    weights = prunable(model)
    rows = [_row(name, w.detach().cpu().float().numpy()) for name, w in weights.items()]
    rows = [row | _bytes(parts, lambda tensor, n=row["layer"]: tensor == n) for row in rows]
    others = {name for name, _ in model.state_dict().items()} - set(weights)
    rows.append({"layer": "biases and norms", **_bytes(parts, others.__contains__)})
    known = others | set(weights)
    rows.append({"layer": "file header", **_bytes(parts, lambda tensor: tensor not in known)})
    return rows


def _bytes(parts: Mapping[str, int], belongs: Any) -> dict[str, int]:
    found = dict.fromkeys(PARTS, 0)
    for name, size in parts.items():
        tensor, _, part = name.rpartition("/")
        if belongs(tensor):
            found[part if part in found else "header"] += size
    return found | {"bytes": sum(found.values())}


def _row(name: str, weight: np.ndarray) -> dict[str, Any]:
    values = weight.reshape(-1) + np.float32(0)
    row = {"layer": name, "weights": len(values), "nonzero": int(np.count_nonzero(values))}
    form = forms.codebook(values) if len(values) >= 8 else None
    if form is None:
        return row
    gap_bits, gaps, entries = 0, None, form.symbols
    if form.zero is not None:
        gap_bits = coders.gap_bits(form.symbols, form.alphabet, form.zero)
        gaps, entries = coders.gaps_of(form.symbols, form.zero, gap_bits)
    return row | {
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


def sizes(model: nn.Module) -> dict[str, int]:
    """Bytes of the network's file with every coder there is."""
    return {coder: len(container.encode_sqz(model, coder)[0]) for coder in ("best", *coders.CODERS)}
