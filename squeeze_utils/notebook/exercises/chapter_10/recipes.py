"""The properties of right answers in notebook 10: allocating, rewinding, and lost classes."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Any

import numpy as np
import torch

from squeeze_utils.compress.pruning import sensitivity
from squeeze_utils.compress.pruning.steps import Prune, Remember, Rewind
from squeeze_utils.notebook.exercises.answers import as_number, ask, close, items, named, number
from squeeze_utils.notebook.exercises.exercise import Claims, Wrong
from squeeze_utils.results.named_study import study
from squeeze_utils.training.loop import Train

TOY = {"A": [(0, 90), (0.5, 89), (0.9, 87)], "B": [(0, 90), (0.5, 81), (0.7, 80.5), (0.9, 78)]}
SIZES = {"A": 100, "B": 300}
GONE = 240


def _lost(shares: dict[str, float]) -> float:
    """Points, on straight lines between what was measured."""
    lost = 0.0
    for name, share in shares.items():
        places, accuracies = zip(*TOY[name], strict=True)
        lost += accuracies[0] - float(np.interp(share, places, accuracies))
    return lost


def not_convex(answer: Any) -> Claims:
    given = named(answer, "without_hulls", "best_pair", "allocated")
    shares = {}
    for name in ("without_hulls", "allocated"):
        parts = named(given[name], "A", "B")
        shares[name] = {layer: as_number(part, layer) for layer, part in parts.items()}
        gone = sum(share * SIZES[layer] for layer, share in shares[name].items())
        yield name, abs(gone - GONE) < 0.6, f"{gone:.0f} weights go, not {GONE}."
    cheap = "A's second piece costs 0.05 a weight, B's first 0.06: buy A's first."
    yield "without_hulls", close(shares["without_hulls"]["A"], TOY["A"][-1][0]), cheap
    pair = [as_number(share) for share in items(given["best_pair"], 2, "best_pair")]
    measured = all(
        any(close(share, place) for place, _ in TOY[layer])
        for share, layer in zip(pair, "AB", strict=True)
    )
    yield "best_pair", measured, "take measured sparsities only, first A's and then B's."
    enough = pair[0] * SIZES["A"] + pair[1] * SIZES["B"]
    yield "best_pair", enough >= GONE - 1e-6, f"only {enough:.0f} weights go."
    others = [
        _lost({"A": a, "B": b})
        for (a, _), (b, _) in itertools.product(TOY["A"], TOY["B"])
        if a * SIZES["A"] + b * SIZES["B"] >= GONE - 1e-6
    ]
    lost = _lost({"A": pair[0], "B": pair[1]})
    better = f"it loses {lost:g} points, and another pair fewer."
    yield "best_pair", close(lost, min(others)), better
    right = sensitivity.allocate(TOY, SIZES, GONE / sum(SIZES.values()))
    for layer, share in right.items():
        off = "call sensitivity.allocate with the new toy and 0.6 of all weights."
        yield "allocated", close(shares["allocated"][layer], share, 1e-3), off


def _steps(recipe: Any, name: str) -> list[Any]:
    steps = items(recipe, what=name)
    if not steps:
        raise Wrong(f"{name} is empty.")
    if not all(isinstance(step, (Train, Prune, Rewind, Remember)) for step in steps):
        raise Wrong(f"{name}: use Train, Prune, Rewind and Remember only.")
    return steps


def rewinding(answer: Any) -> Claims:
    given = named(answer, "three_rounds", "early_point")
    for name in ("three_rounds", "early_point"):
        steps = _steps(given[name], name)
        yield name, isinstance(steps[-1], Train), "train once more after the last round."
        cuts = [step.sparsity for step in steps if isinstance(step, Prune)]
        yield name, len(cuts) == 3, f"{len(cuts)} cuts, not three."
        rising = all(a < b for a, b in itertools.pairwise(cuts))
        share = "a sparsity counts all zeros, also those from earlier rounds, so it has to rise."
        yield name, rising, share
        kinds = [type(step) for step in steps]
        places = [place for place, kind in enumerate(kinds) if kind is Prune]
        back = all(kinds[place + 1] is Rewind for place in places)
        yield name, back, "after each cut go back to the early weights."
        trained = all(Train in kinds[:place][-2:] for place in places)
        yield name, trained, "train before each cut."
        remembers = [place for place, kind in enumerate(kinds) if kind is Remember]
        if name == "three_rounds":
            yield name, not remembers, "no Remember: it goes back to the first weights."
            continue
        once = "remember the weights once, after the first epoch."
        yield name, remembers == [1] and kinds[0] is Train, once
        yield name, steps[0].epochs == 1, "the first training has one epoch."
    ends = [[s.sparsity for s in given[name] if isinstance(s, Prune)][-1] for name in given]
    yield "same sparsity", close(*ends), "both recipes have to end at the same sparsity."


def forgets_a_class(answer: Any) -> Claims:
    given = named(answer, "empty_filters", "never_named")
    mask = torch.ones(4, 3, 3, 3, dtype=torch.bool)
    found = as_number(ask(given["empty_filters"], mask), "empty_filters")
    yield "none empty", found == 0, "no filter of a full mask is empty."
    mask[1], mask[2, 0] = False, False
    found = as_number(ask(given["empty_filters"], mask), "empty_filters")
    kernels = "a filter has a kernel for each channel: count it if all of them are empty."
    yield "one empty", found != 4, kernels
    yield "one empty", found == 1, f"one of four filters has no weight; it counts {found:g}."
    columns = torch.zeros(5, 6, dtype=torch.bool)
    columns[:3, :2] = True
    found = as_number(ask(given["empty_filters"], columns), "empty_filters")
    rows = "the filters are the first axis of a mask."
    yield "a dense layer", found != 4, rows
    yield "a dense layer", found == 2, f"two of five rows have no weight; it counts {found:g}."
    schedules = study("pruning_schedules").records()
    mistakes = {3.0: "these are the runs, one for each seed.", 0.0: "count in each run by itself."}
    for name in ("one shot", "SNIP", "SNIP, global"):
        part = named(given["never_named"], "one shot", "SNIP", "SNIP, global")[name]
        arms = schedules.where(schedule=(name,)).study.arms
        tables = [schedules.by_key[arm.experiment.key].final["confusion"] for arm in arms]
        yield from number(name, part, _never(tables), mistakes)


def _never(tables: Iterable[Any]) -> int:
    """Classes that no image was given, over all runs."""
    return sum(int((~np.array(table, dtype=bool).any(axis=0)).sum()) for table in tables)
