"""Weight sharing: every weight of a layer is one of few values, which can still be trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from squeeze_utils.base.checks import choose
from squeeze_utils.compress.pruning.scores import each_layer, freeze_layer_options, prunable
from squeeze_utils.compress.sharing import codebooks
from squeeze_utils.models.fake_quant import check_bits
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State, Step


@dataclass(frozen=True)
class Share(Step):
    """k-means over each layer's weights; zeros stay zeros and are a symbol of their own.

    A layer has at most 2**bits values, zero among them where it is pruned. `per_layer` gives
    pairs (parameter name, bits) that go before `bits`; `exclude` names layers left as they are.

    >>> import squeeze_utils as sq
    >>> digits = sq.load_images("digits", size=8)
    >>> state = sq.State(sq.build("lenet_300_100", image_size=8), digits)
    >>> _ = sq.Share(bits=3).apply(state)
    >>> len(state.model.classifier[0].weight.unique())
    8
    """

    bits: int = 5
    method: str = "linear"
    per_layer: tuple[tuple[str, int], ...] = ()
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        freeze_layer_options(self)
        for bits in (self.bits, *(bits for _, bits in self.per_layer)):
            check_bits("bits", bits)
        choose("method", self.method, codebooks.METHODS)

    @torch.no_grad()
    def apply(self, state: State) -> dict[str, Any]:
        """Replace weights by centroids; the state remembers which weight has which."""
        weights = prunable(state.model, self.exclude)
        bits_of = each_layer(weights, self.bits, self.per_layer)
        power, error = 0.0, 0.0
        for name, weight in weights.items():
            codes, book = shared_codes(weight, bits_of[name], self.method)
            after = book[codes]
            power += float(weight.square().sum())
            error += float((after - weight).square().sum())
            weight.copy_(after)
            state.codebooks[name] = codes
        return {"relative_error_percent": 100 * (error / max(power, 1e-30)) ** 0.5}


def shared_codes(weight: Tensor, bits: int, method: str = "linear") -> tuple[Tensor, Tensor]:
    """Codes (of the weight's shape) and the values they stand for; code 0 is zero if pruned.

    Without a zero in the weight all 2**bits values are centroids.
    """
    is_zero = weight == 0
    values = weight[~is_zero]
    count = 2**bits - int(is_zero.any())
    if values.numel() == 0:
        return torch.zeros_like(weight, dtype=torch.long), weight.new_zeros(1)
    book = codebooks.centroids(values, count, method).to(weight)
    codes = codebooks.assign(weight, book)
    if is_zero.any():
        book = torch.cat((book.new_zeros(1), book))
        codes = torch.where(is_zero, 0, codes + 1)
    return codes, book


@dataclass(frozen=True)
class TuneCentroids(Train):
    """Train the shared values: a value's gradient is the sum over all weights that share it.

    >>> import squeeze_utils as sq
    >>> digits = sq.load_images("digits", size=8)
    >>> state = sq.State(sq.build("lenet_300_100", image_size=8), digits)
    >>> _ = sq.Share(bits=3).apply(state)
    >>> _ = sq.TuneCentroids(epochs=1).apply(state)
    >>> len(state.model.classifier[0].weight.unique())
    8
    """

    lr: float = 1e-3
    optimizer: str = "adam"
    schedule: str = "cosine"
    weight_decay: float = 0.0

    def apply(self, state: State) -> dict[str, Any]:
        """`Train`, which keeps what the state's codebooks tie together."""
        if not state.codebooks:
            raise ValueError("no weights are shared: put a Share step before TuneCentroids")
        return super().apply(state)
