"""Whole filters: which channels go together, their masks, and a network without them.

A channel of a Fire module's output lives in an expand layer, in the normalisation behind the
concatenation, in the squeeze layer that reads it and, with a bypass, in every module that is
added to it. Torch-Pruning follows these dependencies; what is done with them stands here.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch_pruning as tp
from torch import Tensor, nn

from squeeze_utils.compress.pruning.masks import keep_largest, kept_count
from squeeze_utils.compress.pruning.scores import NothingToPrune, Scores
from squeeze_utils.training.step import State

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
            prune = graph.get_pruner_of_module(layer).prune_out_channels
            lives = _places(graph.get_pruning_group(layer, prune, new), names)
            found[names[layer]] = [tuple(lives[index]) for index in new]
            seen.update(*found[names[layer]])
    return found


def _graph(model: nn.Module) -> tp.DependencyGraph:
    shape = getattr(model, "input_shape", None)
    if shape is None:
        raise ValueError("whole filters need a model that squeeze_utils.models.build has made")
    was_training = model.training
    example = next(model.parameters()).new_zeros(2, *shape)
    scalars = [p for p in model.parameters() if p.ndim == 0]  # belong to no channel
    try:
        with torch.enable_grad():  # it follows autograd's graph
            return tp.DependencyGraph().build_dependency(
                model.eval(), example, ignored_params=scalars, verbose=False
            )
    finally:
        model.train(was_training)


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


def remove(model: nn.Module, channels: Mapping[str, list[int]]) -> None:
    """Cut output channels of layers out of `model`, and what is coupled with them, in place."""
    graph = _graph(model)
    for name, indices in channels.items():
        layer = model.get_submodule(name)
        prune = graph.get_pruner_of_module(layer).prune_out_channels
        graph.get_pruning_group(layer, prune, indices).prune()


def build(state: State, scores: Scores, sparsity: float, scope: str) -> dict[str, Tensor]:
    """Masks over whole channels; `sparsity` is the share of channels that go.

    A channel's score is the sum over its weights wherever it lives, divided by how many they
    are. With the scope "layer" every group of channels loses its share, with "global" the lowest
    of all go; one channel of every group always stays.
    """
    every = channels(state.model)
    found = {name: _channel_scores(every[name], scores) for name in every}
    kept = _choose(found, sparsity, scope)
    parameters = dict(state.model.named_parameters())
    masks = {n: torch.ones_like(p, dtype=torch.bool) for n, p in parameters.items()}
    for name, places in every.items():
        for channel, stays in zip(places, kept[name].tolist(), strict=True):
            for module, index in () if stays else channel:
                for part in ("weight", "bias"):
                    if f"{module}.{part}" in masks:
                        masks[f"{module}.{part}"][index] = False
    return {name: mask for name, mask in masks.items() if not mask.all()}


def _channel_scores(places: list[tuple[Place, ...]], scores: Scores) -> Tensor:
    rows = []
    for channel in places:
        parts = [
            scores[f"{module}.weight"][index].flatten()
            for module, index in channel
            if f"{module}.weight" in scores
        ]
        # a channel of excluded layers alone stays
        rows.append(torch.cat(parts).mean() if parts else torch.tensor(torch.inf))
    return torch.stack(rows)


def _choose(scores: dict[str, Tensor], sparsity: float, scope: str) -> dict[str, Tensor]:
    if scope == "layer":
        return {n: keep_largest(s, kept_count(s.numel(), sparsity)) for n, s in scores.items()}
    together = torch.cat([s / s[s.isfinite()].mean().clamp_min(1e-12) for s in scores.values()])
    for part in together.split([s.numel() for s in scores.values()]):
        part[part.argmax()] = torch.inf  # a view: one channel of each group stays
    mask = keep_largest(together, kept_count(together.numel(), sparsity))
    return dict(zip(scores, mask.split([s.numel() for s in scores.values()]), strict=True))


def silent(model: nn.Module, masks: dict[str, Tensor]) -> dict[str, list[tuple[Place, ...]]]:
    """The channels whose every weight and bias the masks hold at zero, by layer."""

    def is_off(place: Place) -> bool:
        module, index = place
        found = [masks.get(f"{module}.{part}") for part in ("weight", "bias")]
        return all(m is not None and not m[index].any() for m in found if m is not None) and any(
            m is not None for m in found
        )

    every = channels(model)
    return {n: [c for c in places if all(map(is_off, c))] for n, places in every.items()}
