"""Pruning as steps of a recipe: prune, make dense again, put weights aside and go back to them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from squeeze_utils.base.checks import choose, whole_number
from squeeze_utils.compress.pruning import filters, masks, sensitivity
from squeeze_utils.compress.pruning.scores import CRITERIA, freeze_layer_options, prunable, scores
from squeeze_utils.data import Batches
from squeeze_utils.training.step import (
    State,
    Step,
    check_not_shared,
    forget_rounding,
    seeded,
    trained_parameter,
)

BATCH = 250  # images, of which statistics are means

SCOPES: tuple[str, ...] = (*masks.SCOPES, "sensitivity")


@dataclass(frozen=True)
class Prune(Step):
    """Set the least important weights to zero and hold them there.

    `sparsity` is the share that goes, of each layer or of all together (`scope`), or of each
    layer as much as a scan of its sensitivity allows. `granularity` is "weight", "N:M" (N of M
    neighbours stay, whatever the sparsity) or "filter" (a share of the filters). `per_layer`
    gives pairs (parameter name, sparsity) that go before `sparsity`; `exclude` names layers
    that stay dense. What is pruned already stays pruned.

    >>> import squeeze_utils as sq
    >>> digits = sq.load_images("digits", size=8)
    >>> state = sq.State(sq.build("lenet_300_100", image_size=8), digits)
    >>> sq.Prune(0.9).apply(state)["sparsity"]
    0.9
    """

    sparsity: float = 0.5
    criterion: str = "magnitude"
    scope: str = "layer"
    granularity: str = "weight"
    per_layer: tuple[tuple[str, float], ...] = ()
    exclude: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        freeze_layer_options(self)
        masks.check_sparsity(self.sparsity)
        choose("criterion", self.criterion, CRITERIA)
        choose("scope", self.scope, SCOPES)
        for _, share in self.per_layer:
            masks.check_sparsity(share)
        if self.granularity not in ("weight", "filter"):
            masks.n_of_m(self.granularity)
            if self.scope != "layer":
                raise ValueError(
                    f'the scope "{self.scope}" is for single weights and filters: with granularity '
                    f'"{self.granularity}" every layer keeps the same share'
                )
        if self.per_layer and (self.scope == "global" or self.granularity != "weight"):
            raise ValueError('per_layer is for single weights, scope "layer" or "sensitivity"')

    def apply(self, state: State) -> dict[str, Any]:
        """Make the masks, set the weights, say what is left."""
        check_not_shared(state, self)
        names = list(prunable(state.model, self.exclude))
        found = {
            name: masks.pruned_last(score, state.masks.get(name))
            for name, score in scores(self.criterion, state, names).items()
        }
        if self.granularity == "filter":
            made = filters.build(state, found, self.sparsity, self.scope)
        else:
            scope, shares = self.scope, dict(self.per_layer)
            if scope == "sensitivity":
                curves = sensitivity.scan(state, found)
                budget = sensitivity.allocate(curves, sensitivity.sizes_of(found), self.sparsity)
                scope, shares = "layer", budget | shares
            made = masks.build(found, self.sparsity, scope, self.granularity, shares)
        hold(state, made)
        return {"sparsity": sparsity(state.model, names), "density": densities(state.model, names)}


def hold(state: State, made: dict[str, Tensor]) -> None:
    """Add masks to the state and set what they cover to zero."""
    with torch.no_grad():
        for name, mask in made.items():
            state.masks[name] = state.masks.get(name, torch.ones_like(mask)) & mask
            trained_parameter(state.model, name).mul_(state.masks[name])


def densities(model: nn.Module, names: list[str]) -> dict[str, float]:
    """Share (percent) of nonzero weights of each parameter."""
    parameters = dict(model.named_parameters())
    return {
        n: round(100 * int(parameters[n].count_nonzero()) / parameters[n].numel(), 4) for n in names
    }


def sparsity(model: nn.Module, names: list[str]) -> float:
    """Share of zeros of all these parameters together."""
    parameters = dict(model.named_parameters())
    total = sum(parameters[name].numel() for name in names)
    return 1 - sum(int(parameters[name].count_nonzero()) for name in names) / total


@dataclass(frozen=True)
class Densify(Step):
    """Let pruned weights go free again; they start from exactly zero.

    >>> import squeeze_utils as sq
    >>> digits = sq.load_images("digits", size=8)
    >>> state = sq.State(sq.build("lenet_300_100", image_size=8), digits)
    >>> _ = sq.Prune(0.5).apply(state)
    >>> sq.Densify().apply(state)  # half of 64 * 300 + 300 * 100 + 100 * 10
    {'revived': 25100}
    """

    def apply(self, state: State) -> dict[str, Any]:
        """Forget the masks; `saved` says under "revived" what they held at zero."""
        check_not_shared(state, self)
        if not state.masks:
            raise ValueError("nothing to make dense: nothing is pruned")
        revived = {name: ~mask.bool() for name, mask in state.masks.items()}
        state.saved.setdefault("revived", {}).update(revived)
        state.masks = {}
        return {"revived": sum(int(mask.sum()) for mask in revived.values())}


@dataclass(frozen=True)
class Remember(Step):
    """Put the weights aside, to go back to these, not to the initial ones."""

    def apply(self, state: State) -> dict[str, Any]:
        """Keep a copy of parameters and buffers."""
        kept = {name: value.detach().clone() for name, value in state.model.state_dict().items()}
        state.saved["remembered"] = kept
        return {"remembered": len(kept)}


@dataclass(frozen=True)
class Rewind(Step):
    """Go back to the initial weights, or to the remembered ones; what is pruned stays pruned.

    With `fresh` the weights are drawn anew instead, with `shuffle` each layer's mask is shuffled:
    the two controls of the lottery-ticket experiment (Frankle and Carbin 2019).
    """

    fresh: bool = False
    shuffle: bool = False

    def apply(self, state: State) -> dict[str, Any]:
        """Load the weights, or new ones, under the masks."""
        check_not_shared(state, self)
        if self.shuffle:
            state.masks = {n: _shuffled(m, state.generator) for n, m in state.masks.items()}
        if self.fresh:
            with torch.random.fork_rng():
                torch.manual_seed(int(torch.randint(2**62, (), generator=state.generator)))
                values = state.model.spec.build().state_dict()
        else:
            values = _first_weights(state)
        _check_same_network(state.model, values)
        state.model.load_state_dict(values)
        forget_rounding(state)
        hold(state, dict(state.masks))
        return {"sparsity": sparsity(state.model, list(prunable(state.model)))}


def _first_weights(state: State) -> dict[str, Tensor]:
    """What `Remember` put aside, else what the network began with."""
    if "remembered" in state.saved:
        return state.saved["remembered"]
    if state.initial is None:
        raise ValueError("no weights to go back to: put Remember() earlier into the recipe")
    return state.initial().state_dict()


def _check_same_network(model: nn.Module, values: dict[str, Tensor]) -> None:
    now = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if now != {name: tensor.shape for name, tensor in values.items()}:
        raise ValueError(
            "the network has been rebuilt since it had the weights to go back to: put Rewind "
            "before steps that do so, such as FoldBatchNorm, Shrink or Calibrate(bits=...)"
        )


def _shuffled(mask: Tensor, generator: torch.Generator) -> Tensor:
    order = torch.randperm(mask.numel(), generator=generator).to(mask.device)
    return mask.flatten()[order].view(mask.shape)


@dataclass(frozen=True)
class Recalibrate(Step):
    """Measure batch normalisation's statistics anew on at most `images` training images.

    They are averages over batches of 250; more images than that are cut to whole batches.

    >>> import squeeze_utils as sq
    >>> model = sq.build("squeezenet_small", width=0.25, in_channels=1)
    >>> state = sq.State(model, sq.load_images("digits", size=16))
    >>> sq.Recalibrate(images=100).apply(state)
    {'images': 100}
    """

    images: int = 2000

    def __post_init__(self) -> None:
        whole_number("images", self.images, 1)

    def apply(self, state: State) -> dict[str, Any]:
        """Cumulative averages over batches of training images; weights stay as they are."""
        if not any(isinstance(module, nn.BatchNorm2d) for module in state.model.modules()):
            raise ValueError("nothing to recalibrate: the model has no batch normalisation")
        data, count = state.data, min(self.images, len(state.data.train))
        count -= count % BATCH if count > BATCH else 0  # every batch counts alike in the average
        some = data.train.first(count)
        batches = Batches(some, BATCH, mean=data.mean, std=data.std)
        with seeded(state):  # dropout draws
            update_bn(batches, state.model, state.device)
        return {"images": len(some)}
