"""Whole filters: which channels go together, their masks, and the network without them.

A channel of a Fire module's output lives in an expand layer, in the normalisation behind the
concatenation, in the squeeze layer that reads it and, with a bypass, in every module that is
added to it. Torch-Pruning follows these dependencies; what is done with them stands here.
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from squeeze_utils.compress.pruning import sensitivity
from squeeze_utils.compress.pruning.masks import build as build_masks
from squeeze_utils.compress.pruning.masks import keep_largest, kept_count
from squeeze_utils.compress.pruning.scores import NothingToPrune, Scores
from squeeze_utils.compress.replacing import rebuilt
from squeeze_utils.models import SqueezeNet
from squeeze_utils.training.evaluation import evaluating
from squeeze_utils.training.step import State, Step, masks_from_zeros

Place = tuple[str, int]  # a module's name and one of its output channels


def channels(model: nn.Module) -> dict[str, list[tuple[Place, ...]]]:
    """For each layer the channels that begin there: all places where each of them lives.

    Every channel is listed once, under the first layer it lives in; the last layer's outputs,
    the classes, are not listed.
    """
    graph = _graph(model)
    names = {module: name for name, module in model.named_modules()}
    found: dict[str, list[tuple[Place, ...]]] = {}
    seen: set[Place] = set()
    for layer, count in _inner_layers(model):
        new = [index for index in range(count) if (names[layer], index) not in seen]
        if new:
            lives = _places(_group(graph, layer, new), names)
            found[names[layer]] = [tuple(lives[index]) for index in new]
            seen.update(*found[names[layer]])
    return found


def _graph(model: nn.Module) -> tp.DependencyGraph:
    shape = getattr(model, "input_shape", None)
    if shape is None:
        raise ValueError("whole filters need a model that squeeze_utils.models.build has made")
    example = next(model.parameters()).new_zeros(2, *shape)
    scalars = [p for p in model.parameters() if p.ndim == 0]  # belong to no channel
    with evaluating(model), torch.enable_grad():  # it follows autograd's graph
        return tp.DependencyGraph().build_dependency(
            model, example, ignored_params=scalars, verbose=False
        )


def _group(graph: tp.DependencyGraph, layer: nn.Module, channels: list[int]) -> Any:
    """Torch-Pruning's group: output channels of a layer and all that goes with them."""
    return graph.get_pruning_group(
        layer, graph.get_pruner_of_module(layer).prune_out_channels, channels
    )


def _inner_layers(model: nn.Module) -> Iterator[tuple[nn.Module, int]]:
    layers = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
    if len(layers) < 2:
        raise NothingToPrune("no filter can go: there is no layer before the one that classifies")
    for layer in layers[:-1]:
        if isinstance(layer, nn.Linear):
            yield layer, layer.out_features
        elif layer.groups == 1:  # a depthwise layer follows its input
            yield layer, layer.out_channels


def _places(group: Any, names: dict[nn.Module, str]) -> dict[int, dict[Place, None]]:
    """For each channel of a group's first layer the output channels of modules tied to it."""
    lives: dict[int, dict[Place, None]] = defaultdict(dict)  # a dict for its order
    for item in group:
        dependency, indices = item
        is_output = dependency.handler.__name__ == "prune_out_channels"
        if is_output and dependency.target.module in names:
            name = names[dependency.target.module]
            for index, root in zip(indices, item.root_idxs, strict=True):
                lives[root][name, index] = None
    return lives


def build(state: State, scores: Scores, sparsity: float, scope: str) -> dict[str, Tensor]:
    """Masks over whole channels; `sparsity` is the share of channels that go.

    A channel's score is the sum over its weights wherever it lives, divided by how many they
    are; weights of the score -inf, which are pruned already, add nothing, and a channel of them
    alone goes first. With the scope "layer" every group of channels loses its share, with "global"
    the lowest of all go, with "sensitivity" each group loses what a scan of it allows; one channel
    of every group always stays. A group that lives in layers without scores alone stays whole.
    """
    every = channels(state.model)
    ranked = {n: _channel_scores(c, scores) for n, c in every.items()}
    if scope == "sensitivity":
        kept = _by_sensitivity(state, every, ranked, sparsity)
    else:
        kept = _choose(ranked, sparsity, scope)
    return _channel_masks(state.model, every, kept)


def _channel_masks(
    model: nn.Module, groups: dict[str, list[tuple[Place, ...]]], kept: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Masks of all parameters that hold a channel which does not stay."""
    made = {n: torch.ones_like(p, dtype=torch.bool) for n, p in model.named_parameters()}
    for name, places in groups.items():
        for channel, stays in zip(places, kept[name].tolist(), strict=True):
            for module, index in () if stays else channel:
                for part in ("weight", "bias"):
                    if f"{module}.{part}" in made:
                        made[f"{module}.{part}"][index] = False
    return {name: mask for name, mask in made.items() if not mask.all()}


def _channel_scores(places: list[tuple[Place, ...]], scores: Scores) -> Tensor:
    """The mean score of each channel's weights; a channel of excluded layers alone stays."""

    def score(channel: tuple[Place, ...]) -> Tensor:
        names = [(f"{module}.weight", index) for module, index in channel]
        parts = [scores[name][index].flatten() for name, index in names if name in scores]
        if not parts:
            return torch.tensor(torch.inf, device=device)
        together = torch.cat(parts)
        free = together[~together.isneginf()]
        return free.sum() / len(together) if len(free) else together.new_tensor(-torch.inf)

    device = next((one.device for one in scores.values()), None)
    return torch.stack([score(channel) for channel in places])


def _by_sensitivity(
    state: State,
    every: dict[str, list[tuple[Place, ...]]],
    scores: dict[str, Tensor],
    sparsity: float,
) -> dict[str, Tensor]:
    """Which channels stay: a scan prunes one group after the other, and a budget follows."""
    whole, scores = _without_excluded(scores)

    def lowest(name: str, share: float) -> dict[str, Tensor]:
        kept = keep_largest(scores[name], kept_count(len(scores[name]), share))
        return _channel_masks(state.model, {name: every[name]}, {name: kept})

    curves = sensitivity.scan_masks(state, scores, lowest)
    if not curves:
        return whole
    shares = sensitivity.allocate(curves, sensitivity.sizes_of(scores), sparsity)
    return whole | build_masks(scores, sparsity, per_layer=shares)


def _without_excluded(
    scores: dict[str, Tensor],
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Masks that keep the groups of excluded layers whole, and the scores of the others."""
    whole = {
        n: torch.ones_like(s, dtype=torch.bool) for n, s in scores.items() if s.isposinf().all()
    }
    return whole, {n: s for n, s in scores.items() if n not in whole}


def _choose(scores: dict[str, Tensor], sparsity: float, scope: str) -> dict[str, Tensor]:
    """Which channels of each group stay; scores of different groups are made comparable."""
    whole, scores = _without_excluded(scores)
    if not scores:
        return whole
    if scope == "global":
        scores = {
            n: s / s[s.isfinite()].abs().mean().nan_to_num().clamp_min(1e-12)
            for n, s in scores.items()
        }
        for score in scores.values():
            score[score.argmax()] = torch.inf  # one channel of each group stays
    return whole | build_masks(scores, sparsity, scope)


def silent(model: nn.Module, masks: dict[str, Tensor]) -> dict[str, list[tuple[Place, ...]]]:
    """The channels whose every weight and bias the masks hold at zero, by layer."""
    parameters = dict(model.named_parameters())

    def is_off(place: Place) -> bool:
        module, index = place
        weight, bias = f"{module}.weight", f"{module}.bias"
        if weight not in masks or masks[weight][index].any():
            return False
        # After folding, a bias that is zero has no mask.
        held = masks.get(bias, parameters.get(bias))
        return held is None or not held[index].any()

    every = channels(model)
    return {n: [c for c in places if all(map(is_off, c))] for n, places in every.items()}


@dataclass(frozen=True)
class Shrink(Step):
    """Build the network without its silent channels and carry the rest over."""

    def apply(self, state: State) -> dict[str, Any]:
        """Replace the state's model; masks of single weights go on, those of channels end."""
        if state.codebooks:
            raise ValueError("shrink before weights are shared: codebooks keep the old shapes")
        if "grids" in state.saved or "float" in state.saved:
            raise ValueError("shrink before rounding: what it remembers keeps the old shapes")
        off = silent(state.model, state.masks)
        removed = sum(map(len, off.values()))
        if not removed:
            raise ValueError(
                'nothing to shrink: no whole channel is pruned; use Prune(granularity="filter")'
            )
        smaller = without(state.model, off)
        state.model = smaller.to(state.device, memory_format=torch.channels_last)
        masks_from_zeros(state)
        return {"channels_removed": removed}


def without(model: nn.Module, off: dict[str, list[tuple[Place, ...]]]) -> nn.Module:
    """A SqueezeNet without the channels `off` (as `silent` lists them), and what goes with them.

    What is left is loaded into a network built from a spec, so that it can be built again.
    """
    if not isinstance(model, SqueezeNet) or model.config.first_repeat > 1:
        kind = type(model).__name__
        raise ValueError(f"only a SqueezeNet with one first layer can be shrunk, not this {kind}")
    smaller = copy.deepcopy(model)
    graph = _graph(smaller)
    for name, places in off.items():
        if places:
            indices = [dict(channel)[name] for channel in places]
            _group(graph, smaller.get_submodule(name), indices).prune()
    config = {
        "width": 1.0,
        "first_channels": smaller.first.out_channels,
        "fires": tuple(fire.shape for fire in smaller.fires().values()),
    }
    return rebuilt(smaller, config)
