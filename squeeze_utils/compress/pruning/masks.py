"""From scores to masks: which weights stay, exactly as many as the sparsity says."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from squeeze_utils.base.checks import choose, real_number
from squeeze_utils.compress.pruning.scores import Scores, each_layer

SCOPES: tuple[str, ...] = ("layer", "global")


def check_sparsity(sparsity: float) -> float:
    """The share of weights that go; an error outside [0, 1)."""
    return real_number("sparsity", sparsity, least=0, below=1)


def kept_count(total: int, sparsity: float) -> int:
    """How many of `total` weights stay: total - round(total * sparsity), at least one."""
    return max(1, total - round(total * check_sparsity(sparsity)))


def keep_largest(values: Tensor, count: int) -> Tensor:
    """A mask of `values`' shape with exactly `count` ones, where the values are largest."""
    mask = torch.zeros(values.numel(), dtype=torch.bool, device=values.device)
    mask[values.flatten().topk(count, sorted=False).indices] = True
    return mask.view(values.shape)


def over_all(scores: Scores, sparsity: float) -> dict[str, Tensor]:
    """One threshold for all layers together."""
    together = torch.cat([score.flatten() for score in scores.values()])
    mask = keep_largest(together, kept_count(together.numel(), sparsity))
    parts = mask.split([score.numel() for score in scores.values()])
    return {n: part.view(s.shape) for (n, s), part in zip(scores.items(), parts, strict=True)}


def n_of_m(text: str) -> tuple[int, int]:
    """`"2:4"` as (2, 4)."""
    found = re.fullmatch(r"(\d+):(\d+)", text)
    if not found or not 0 < int(found[1]) < int(found[2]):
        raise ValueError(f'granularity "N:M" needs 0 < N < M, for example "2:4", got {text!r}')
    return int(found[1]), int(found[2])


def keep_n_of_m(score: Tensor, n: int, m: int) -> Tensor:
    """The `n` largest of every `m` neighbours along the inputs of each output.

    Inputs run as the hardware multiplies them: (out, height, width, in). Where their number is
    no multiple of `m`, the last group is smaller and keeps at most `n`.
    """
    rows = score.movedim(1, -1) if score.ndim == 4 else score
    flat = rows.reshape(len(rows), -1)
    padded = torch.nn.functional.pad(flat, (0, -flat.shape[1] % m), value=-torch.inf)
    groups = padded.view(-1, m)
    mask = torch.zeros_like(groups, dtype=torch.bool)
    mask.scatter_(1, groups.topk(n).indices, True)
    mask = mask.view(len(rows), -1)[:, : flat.shape[1]].reshape(rows.shape)
    return mask.movedim(-1, 1) if score.ndim == 4 else mask


def pruned_last(score: Tensor, mask: Tensor | None) -> Tensor:
    """The scores; what is pruned comes last, even where the optimizer has just moved it."""
    return score if mask is None else score.masked_fill(~mask.bool(), -torch.inf)


def build(
    scores: Scores,
    sparsity: float,
    scope: str = "layer",
    granularity: str = "weight",
    per_layer: Mapping[str, float] | None = None,
) -> dict[str, Tensor]:
    """Masks (True: the weight stays) of the scores' shapes, for single weights or N:M groups."""
    choose("scope", scope, SCOPES)
    if granularity != "weight":
        n, m = n_of_m(granularity)
        return {name: keep_n_of_m(score, n, m) for name, score in scores.items()}
    if scope == "global":
        return over_all(scores, sparsity)
    shares = each_layer(scores, sparsity, (per_layer or {}).items())
    return {n: keep_largest(s, kept_count(s.numel(), shares[n])) for n, s in scores.items()}
