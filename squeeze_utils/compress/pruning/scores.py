"""How much each weight matters: one score for each, the lowest go first."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from squeeze_utils.base.checks import choose
from squeeze_utils.data import Batches
from squeeze_utils.training.evaluation import evaluating
from squeeze_utils.training.frozen import is_in
from squeeze_utils.training.step import State, Step, seeded
from squeeze_utils.training.tasks import task_of

Scores = dict[str, Tensor]
BATCH = 128


class NothingToPrune(ValueError):
    """The model has no layer that could be pruned."""


def prunable(model: nn.Module, exclude: tuple[str, ...] = ()) -> dict[str, nn.Parameter]:
    """The weights of convolutions and dense layers by parameter name, in network order.

    `exclude` lists names, or beginnings of names that end at a dot.
    """
    found = {
        f"{name}.weight": module.weight
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }
    if not found:
        kinds = ", ".join(sorted({type(m).__name__ for m in model.modules()}))
        raise NothingToPrune(
            f"nothing to prune: the model has no Conv2d and no Linear layer, only {kinds}"
        )
    for part in exclude:
        if not any(is_in(name, (part,)) for name in found):
            raise ValueError(f"no layer is called {part!r}; there are: {', '.join(found)}")
    kept = {name: p for name, p in found.items() if not is_in(name, exclude)}
    if not kept:
        raise NothingToPrune("nothing to prune: every layer is excluded")
    return kept


def each_layer(names: Iterable[str], value: Any, own: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """`value` for every layer, but where `own` gives one; unknown layers are refused."""
    found = dict.fromkeys(names, value)
    unknown = sorted(set(dict(own)) - set(found))
    if unknown:
        raise ValueError(f"no layer is called {', '.join(unknown)}; there are: {', '.join(found)}")
    return found | dict(own)


def freeze_layer_options(step: Step) -> None:
    """Store `per_layer`, given as a dict or pairs, and `exclude` of a new step as tuples."""
    object.__setattr__(step, "per_layer", tuple(dict(step.per_layer).items()))
    object.__setattr__(step, "exclude", tuple(step.exclude))


def magnitude(state: State, names: list[str]) -> Scores:
    """|w|: what is small is taken for unimportant."""
    return {name: state.model.get_parameter(name).detach().abs() for name in names}


def random(state: State, names: list[str]) -> Scores:
    """The control: a score from a hat."""
    shapes = {name: state.model.get_parameter(name).shape for name in names}
    draw = partial(torch.rand, generator=state.generator)
    return {name: draw(shape).to(state.device) for name, shape in shapes.items()}


def gradient(state: State, names: list[str], batches: int = 8) -> Scores:
    """|g w| with the gradient over `batches` batches: the first-order change of the loss."""
    weights = [state.model.get_parameter(name) for name in names]
    total = [torch.zeros_like(weight) for weight in weights]
    with evaluating(state.model):  # running statistics are neither used up nor changed
        for loss in _losses(state, state.model, batches):
            for sum_, found in zip(total, torch.autograd.grad(loss, weights), strict=True):
                sum_ += found
    return {n: (g * w.detach()).abs() for n, g, w in zip(names, total, weights, strict=True)}


def snip(state: State, names: list[str]) -> Scores:
    """|g w| on one batch, meant for a network at initialisation (Lee et al. 2019)."""
    return gradient(state, names, batches=1)


def movement(state: State, names: list[str], batches: int = 32, lr: float = 0.01) -> Scores:
    """-sum g w over steps of a fine-tuning that is thrown away (Sanh et al. 2020).

    High for weights that move away from zero, low for those that move towards it.
    """
    model = copy.deepcopy(state.model)
    parameters = dict(model.named_parameters())
    total = {name: torch.zeros_like(parameters[name]) for name in names}
    model.train()
    with seeded(state):  # dropout draws
        for loss in _losses(state, model, batches):
            model.zero_grad()
            loss.backward()
            with torch.no_grad():
                for name in names:
                    total[name] -= parameters[name].grad * parameters[name]
                for parameter in parameters.values():
                    if parameter.grad is not None:
                        parameter -= lr * parameter.grad
    return total


CRITERIA: dict[str, Callable[[State, list[str]], Scores]] = {
    "magnitude": magnitude,
    "random": random,
    "gradient": gradient,
    "movement": movement,
    "snip": snip,
}


def scores(criterion: str, state: State, names: list[str]) -> Scores:
    """The scores of the parameters `names` by `criterion`, each of its parameter's shape."""
    choose("criterion", criterion, CRITERIA)
    return {name: s.detach() for name, s in CRITERIA[criterion](state, names).items()}


def _losses(state: State, model: nn.Module, batches: int) -> Iterator[Tensor]:
    """The loss on `batches` random training batches, drawn pass after pass if need be."""
    data, task = state.data, task_of(state.data)
    size = min(BATCH, len(data.train))
    one = Batches(data.train, size, mean=data.mean, std=data.std, generator=state.generator)
    for x, y in itertools.islice(itertools.chain.from_iterable(itertools.repeat(one)), batches):
        yield task.loss(model(x.to(state.device)), y.to(state.device))
