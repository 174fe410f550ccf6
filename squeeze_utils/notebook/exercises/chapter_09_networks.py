"""The last three exercises of notebook 09: blocks taken out, batch statistics, deep stacks."""

from __future__ import annotations

from copy import deepcopy
from itertools import combinations, pairwise
from typing import Any

import torch
from torch import nn

from squeeze_utils.data.sets import load_images
from squeeze_utils.notebook.exercises import answers
from squeeze_utils.notebook.exercises.answers import as_number, ask, close, items, named, number
from squeeze_utils.notebook.exercises.exercise import Claims, Wrong

#: Where the mean validation accuracy lies with 0 to 4 blocks taken out; measured with four seeds.
BANDS = ((88, 100), (50, 96), (25, 84), (10, 65), (3, 45))


def several_at_once(answer: Any) -> Claims:
    given = named(answer, "mean_by_count", "measured")
    for names, lost in (("abcd", (30, 5, 2, 1)), ("abc", (9, 4, 1))):
        weights = dict(zip(names, lost, strict=True))
        asked: list[frozenset[str]] = []

        def accuracy_of(*which: str, weights: Any = weights, asked: Any = asked) -> float:
            asked.append(frozenset(which))
            return 100.0 - sum(weights[name] for name in which) ** 1.1

        found = items(ask(given["mean_by_count"], accuracy_of, tuple(names)), len(names) + 1)
        seen = set(asked)
        every = {frozenset(s) for k in range(len(names) + 1) for s in combinations(names, k)}
        none = "the whole network, with nothing taken out, is missing."
        yield "all subsets", frozenset() in seen, none
        few = f"{len(every - seen)} of {len(every)} subsets are never tried."
        yield "all subsets", seen == every, few
        for k, mean in enumerate(found):
            losses = [sum(weights[name] for name in s) ** 1.1 for s in combinations(names, k)]
            right = 100 - sum(losses) / len(losses)
            value = as_number(mean, f"the mean with {k} taken out")
            best = f"with {k} taken out this is the best subset, not the mean."
            yield "means", k in (0, len(names)) or not close(value, 100 - min(losses)), best
            yield "means", close(value, right), f"with {k} taken out the mean is not {value:.2f}."
    measured = [as_number(one, "a mean") for one in items(given["measured"], 5, "measured")]
    yield "per cent", max(measured) > 1, "give the accuracies in per cent."
    falling = "each further block that is taken out should cost accuracy, on average."
    yield "falling", all(a > b for a, b in pairwise(measured)), falling
    for k, ((low, high), value) in enumerate(zip(BANDS, measured, strict=True)):
        off = f"with {k} blocks taken out, {value:.0f} % is not what such a network gives."
        yield "measured", low <= value <= high, off


def statistics_of_the_batch(answer: Any) -> Claims:
    given = named(answer, "function", "wider")
    norm = nn.BatchNorm2d(4)
    model = nn.Sequential(nn.Conv2d(3, 4, 3), norm, nn.ReLU()).eval()
    nn.init.uniform_(norm.weight, 0.5, 2.0)
    nn.init.normal_(norm.bias)
    norm.running_mean.uniform_(-1, 1)
    x, y = torch.randn(6, 3, 8, 8), 3 + torch.randn(6, 3, 8, 8)
    before = deepcopy(model)
    function = given["function"]
    copy = ask(function, model, copied=False)  # the very model, to see whether it changes
    if not isinstance(copy, nn.Module):
        raise Wrong("the function returns no module: return the copy.")
    changed = "the model itself has changed. Work on a copy."
    untouched = norm.running_mean is not None and norm.track_running_stats
    yield "a copy", copy is not model and untouched and not norm.training, changed
    with torch.no_grad():
        copy.eval()
        yield "a copy", close(model(x), before(x)), changed
        first, kept = copy(x), before(x)
        undone = "in evaluation mode it still uses the statistics that were kept."
        yield "batch statistics", not close(first, kept, 1e-4), undone
        right = deepcopy(before).train()(x)
        parts = "it differs from the model in training mode: keep the weights and the shift."
        yield "batch statistics", close(first, right, 1e-3, 1e-4), parts
        copy(y)
        again = "after another batch the same images give something else."
        yield "no memory", close(copy(x), first, 1e-4), again
    wider = answers.one_of(given["wider"], "wider", "kept", "of the batch")
    narrow = "compare the mean losses along the direction: the wider valley has the smaller one."
    yield "wider valley", wider == "of the batch", narrow


def deep_and_normalised(answer: Any) -> Claims:
    names, rates = ("none", "simple"), (0.01, 0.03, 0.1)
    given = named(answer, *names, "lead")
    best = {}
    count = len(load_images("digits", size=8).validation)
    for name in names:
        found = [as_number(v, name) for v in named(given[name], *rates, what=name).values()]
        yield "per cent", max(found) > 1, "give the accuracies in per cent."
        for value in found:
            images = value * count / 100
            whole = f"{value:g} % of {count} validation images is no whole number of images."
            yield "validation images", abs(images - round(images)) < 0.08, whole
        best[name] = max(found)
    chance = "at its best rate the plain stack should be above chance now. Is it normalised?"
    yield "the plain stack learns", best["none"] > 14, chance
    high = f"{max(best.values()):.0f} % is too much for four epochs of this recipe."
    yield "four epochs", max(best.values()) < 90, high
    points = best["simple"] - best["none"]
    largest = [dict(given[name])[0.1] for name in names]
    known = {
        points: "this is in points of accuracy. Give a number of images.",
        round(-points * count / 100): "the lead is the stack with bypass minus the plain one.",
        round((largest[1] - largest[0]) * count / 100): "take each stack at its own best rate.",
    }
    yield from number("lead", given["lead"], round(points * count / 100), known, absolute=0.1)
