"""The properties of right answers in notebook 00: about trained networks."""

from __future__ import annotations

from typing import Any

import numpy as np

from squeeze_utils.notebook.exercises.answers import as_number, close, items, named, number
from squeeze_utils.notebook.exercises.exercise import Claims, Wrong
from squeeze_utils.results.named_study import study
from squeeze_utils.results.statistics import paired, seed_correlation, seeds_needed, welch
from squeeze_utils.training.loop import Train


def one_line(answer: Any) -> Claims:
    given = named(answer, "recipe", "adam", "nesterov", "low", "high", "seeds")
    recipe = items(given["recipe"], 2, "recipe")
    if not all(isinstance(step, Train) for step in recipe):
        raise Wrong("recipe holds something else than two sq.Train(...).")
    for step, epochs in zip(recipe, (6, 2), strict=True):
        yield "optimizer", step.optimizer == "adam", f"a step trains with {step.optimizer}."
        yield "lr", step.lr == 0.001, f"a step has the rate {step.lr:g}, not 0.001."
        yield "epochs", step.epochs == epochs, "the epochs stay 6 and 2."
    arms = []
    for name in ("adam", "nesterov"):
        arm = [as_number(value, name) for value in items(given[name], 3, name)]
        yield name, min(arm) > 1, "give accuracies in per cent."
        trained = 85 < min(arm) <= max(arm) <= 100 and len(set(arm)) > 1
        yield name, trained, "three seeds on the test images give 90 to 99 %."
        arms.append(arm)
    gap, wrong = welch(*arms), paired(*arms)
    ends = tuple(as_number(given[end], end) for end in ("low", "high"))
    right = close(ends, (gap.low, gap.high), 0.02, 0.01)
    pairs = "this interval is for pairs. Equal seeds of different recipes share nothing."
    yield "interval", right or not close(ends, (wrong.low, wrong.high), 0.02, 0.01), pairs
    half = 1.96 * gap.error
    normal = "with three seeds t is larger than 1.96: take it from Student's distribution."
    plain = (gap.estimate - half, gap.estimate + half)
    yield "interval", right or not close(ends, plain, 0.02, 0.01), normal
    turned = "subtract nesterov from adam, not the other way round."
    yield "interval", right or not close(ends, (-gap.high, -gap.low), 0.02, 0.01), turned
    yield "interval", right, "it is not Welch's interval of these accuracies."
    deviation = float(np.sqrt(np.mean([np.var(arm, ddof=1) for arm in arms])))
    needed = seeds_needed(deviation, 1)
    mistakes = {
        seeds_needed(float(np.std(arm, ddof=1)), 1): "use the deviations of both arms."
        for arm in arms
    }
    yield from number("seeds", given["seeds"], needed, mistakes, absolute=1)


def shared_beginning(answer: Any) -> Claims:
    given = named(answer, "dsd", "pruning", "low", "high")
    frames = {name: study(name).records().frame for name in ("dsd", "pruning")}
    arms = {"dsd": ["recipe"], "pruning": ["criterion", "sparsity"]}
    for name, frame in frames.items():
        keys = frame[arms[name]].apply(lambda row: "/".join(map(str, row)), axis=1)
        right = seed_correlation(frame.assign(one_arm=keys), "one_arm")
        off = f"an arm is a {' with a '.join(arms[name])}. Check your arms."
        yield from number(name, given[name], right, otherwise=off, absolute=0.01, relative=0)
    pruned = frames["pruning"]
    for name, sparsity in (("low", pruned["sparsity"].min()), ("high", pruned["sparsity"].max())):
        part = pruned[pruned["sparsity"] == sparsity]
        spreads = [np.std(arm, ddof=1) for _, arm in part.groupby("criterion")["test_accuracy"]]
        together = float(part["test_accuracy"].std())
        mistakes = {
            together: "the criteria are mixed. Take the deviation of each, and average these.",
            float(np.max(spreads)): "this is one criterion. Average over all of them.",
        }
        off = "the deviation over seeds, averaged over the criteria."
        yield from number(
            name, given[name], float(np.mean(spreads)), mistakes, off, absolute=0.02, relative=0
        )
