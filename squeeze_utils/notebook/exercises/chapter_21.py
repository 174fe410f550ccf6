"""The exercises of notebook 21."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import torch

from squeeze_utils.notebook.exercises.answers import as_number, ask, close, items, named, number
from squeeze_utils.notebook.exercises.exercise import Claims, Essay, Exercise, Wrong
from squeeze_utils.results.named_study import study
from squeeze_utils.results.whole_series import every_network

BUDGET = 12e6  # multiply-adds
LEAST, MOST = 1e5, 1e6  # bytes


def _undominated(frame: pd.DataFrame, costs: list[str], strict: bool = False) -> set[Any]:
    """Labels of the rows that no other row dominates; `strict`: none is better in everything."""
    rows = {at: (*row[costs], -row["accuracy"]) for at, row in frame.iterrows()}

    def dominates(a: tuple[float, ...], b: tuple[float, ...]) -> bool:
        pairs = list(zip(a, b, strict=True))
        if strict:
            return all(x < y for x, y in pairs)
        return all(x <= y for x, y in pairs) and any(x < y for x, y in pairs)

    return {at for at, b in rows.items() if not any(dominates(a, b) for a in rows.values())}


def _networks() -> pd.DataFrame:
    """Twelve made up, on a grid so coarse that equal numbers occur."""
    numbers = torch.randint(1, 5, (12, 3)).tolist()
    rows = [[1000.0 * b, 1e6 * m, 80.0 + a] for b, m, a in numbers]
    labels = [f"network {n}" for n in range(12)]
    return pd.DataFrame(rows, labels, ["bytes", "multiply_adds", "accuracy"])


def three_criteria(answer: Any) -> Claims:
    for _ in range(12):
        frame = _networks()
        found = ask(answer, frame)
        found = set(found.index) if isinstance(found, pd.DataFrame) else set(items(found))
        if not found <= set(frame.index):
            raise Wrong("front returns rows of the frame, or their labels.")
        right = _undominated(frame, ["bytes", "multiply_adds"])
        two = _undominated(frame, ["bytes"])
        yield "front", right == two or found != two, "this is the front without multiply-adds."
        weak = _undominated(frame, ["bytes", "multiply_adds"], strict=True)
        equal = "a network that is as good in one criterion and better in another dominates, too."
        yield "front", right == weak or found != weak, equal
        flipped = frame.assign(accuracy=-frame["accuracy"])
        least = _undominated(flipped, ["bytes", "multiply_adds"])
        yield "front", right == least or found != least, "more accuracy is better, not less."
        gone = sorted(right - found)
        yield "front", not gone, f"{gone} are missing, though no network dominates them."
        yield "front", found == right, f"{sorted(found - right)} are dominated by another network."


def _area(frame: pd.DataFrame, straight: bool = False, larger: bool = False) -> float:
    """The mean of the best accuracy so far, over many sizes; it needs no front."""
    count = 20_000
    places = [(i + 0.5) / count for i in range(count)]
    sizes = [
        LEAST + p * (MOST - LEAST) if straight else LEAST * (MOST / LEAST) ** p for p in places
    ]
    steps = frame.sort_values("bytes")
    size = torch.tensor(steps["bytes"].to_numpy(float), dtype=torch.float64)
    best = torch.tensor(steps["test"].cummax().to_numpy(float), dtype=torch.float64)
    best = torch.cat((torch.zeros(1, dtype=torch.float64), best))
    at = torch.searchsorted(size, torch.tensor(sizes, dtype=torch.float64), right=True)
    return float(best[(at + larger).clamp(max=len(size))].mean())


def area_under(answer: Any) -> Claims:
    given = named(answer, "function", "all", "without_15")
    for count in (4, 9):
        sizes = (5e4 * 40 ** torch.rand(count, dtype=torch.float64)).tolist()
        test = (70 + 25 * torch.rand(count)).tolist()
        sizes[0], test[0] = 6e4, 71.0
        frame = pd.DataFrame({"bytes": sizes, "test": test, "validation": test})
        found, right = as_number(ask(given["function"], frame), "area"), _area(frame)
        width = math.log(MOST / LEAST)
        wide = "divide by the width of the range on the log scale."
        unit = any(close(found, right * w, 2e-3) for w in (width, width / math.log(2)))
        yield "area", not unit, wide
        lin = "the bytes are on a log scale."
        yield "area", not close(found, _area(frame, straight=True), 5e-4), lin
        up = "between two networks the accuracy is that of the smaller file."
        yield "area", not close(found, _area(frame, larger=True), 5e-4), up
        yield "area", not close(found, right / 100, 5e-4), "give per cent, as in the frame."
        yield "area", close(found, right, 5e-4), f"for {count} random networks it gives {found:g}."
    table = every_network("cifar10")
    right, without = _area(table), _area(table[table["chapter"] != "15"])
    yield from number("all", given["all"], right, {without: "this is without 15."}, relative=1e-3)
    known = {right: "chapter 15 is still among the rows. Its number is a text."}
    yield from number("without 15", given["without_15"], without, known, relative=1e-3)


def winners_luck(answer: Any) -> Claims:
    given = named(answer, "surplus", "bound")
    k, images, p = 200, 5000, 0.9
    sigma = 100 * (p * (1 - p) / images) ** 0.5
    right = sigma * (2 * math.log(k)) ** 0.5
    known = {
        right / 100: "give points of per cent.",
        sigma: "this is σ alone.",
        right * images**0.5: "σ² is p (1 − p) / n, with n = 5,000 images.",
        sigma * (2 * math.log10(k)) ** 0.5: "the logarithm is the natural one.",
    }
    yield from number("bound", given["bound"], right, known, relative=1e-3)
    found = as_number(given["surplus"], "surplus")
    yield "surplus", found > 0, "the largest of 200 draws lies above their mean."
    yield "surplus", found > 0.05, "give points of per cent."
    alone = "a single network has no surplus. Take the maximum over 200, then the mean."
    yield "surplus", found > 0.5 * sigma, alone
    yield "surplus", found < right, "it cannot be above the bound on average."
    grid = torch.arange(images + 1, dtype=torch.float64)
    below = torch.distributions.Normal(images * p, sigma * images / 100).cdf(grid + 0.5) ** k
    expected = 100 * (float((1 - below).sum()) / images - p)  # E max = sum of P(max > j)
    off = f"{found:.2f} points are not what 500 repetitions give."
    yield "surplus", abs(found - expected) < 0.08, off


def arithmetic_budget(answer: Any) -> Claims:
    given = named(answer, "allowed", "chosen")
    records = study("squeeze_ratio").records()
    costs = records.costs("squeeze_ratio")["multiply_adds"]
    right = {float(ratio) for ratio in costs.index if costs[ratio] <= BUDGET}
    ratios = items(given["allowed"], what="allowed")
    allowed = {as_number(ratio, "A squeeze ratio") for ratio in ratios}
    known = {float(ratio) for ratio in costs.index}
    yield "allowed", allowed <= known, f"the study has the ratios {sorted(known)}."
    over = ", ".join(f"{ratio} needs {costs[ratio] / 1e6:.1f} million" for ratio in allowed - right)
    yield "allowed", allowed <= right, f"{over}."
    yield "allowed", allowed == right, "another network fits as well."
    chosen = as_number(given["chosen"], "chosen")
    yield "chosen", chosen in right, f"{chosen:g} does not fit into the budget."
    means = records.frame.groupby("squeeze_ratio")["validation_accuracy"].mean()
    better = f"on validation images another one of {sorted(right)} is better."
    yield "chosen", chosen == float(means[sorted(right)].idxmax()), better


EXERCISES = {
    1: Exercise(
        "Three criteria",
        three_criteria,
        "A row is dominated if another one is at least as good in all three criteria and better "
        "in one of them. Of two equal rows both stay.",
    ),
    2: Exercise(
        "The area under the front",
        area_under,
        "Each network of whole_series.front(frame) counts from its own bytes to those of the "
        "next, as log(next / own); cut both off at 10⁵ and 10⁶.",
    ),
    3: Exercise(
        "The winner's luck",
        winners_luck,
        "A generator of NumPy draws a whole table of binomial numbers at once: a row for each "
        "repetition, a column for each network. Which axis has the networks?",
    ),
    4: Exercise(
        "A budget of arithmetic",
        arithmetic_budget,
        'frame.groupby("squeeze_ratio")["validation_accuracy"].mean() has one row for each '
        "ratio; keep those whose multiply_adds are at most 12e6.",
    ),
    5: Essay("Your own report"),
}
