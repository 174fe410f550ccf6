"""Typical mistakes for the exercises of notebook 21, and what the check has to say."""

from __future__ import annotations

import numpy as np
import pandas as pd

from squeeze_utils.results import whole_series

BOTH = ["bytes", "multiply_adds"]


def front(frame, costs=(*BOTH,), sign=-1, strict=False):
    numbers = frame[list(costs)].assign(right=sign * frame["accuracy"]).to_numpy()
    kept = []
    for own in numbers:
        better = (numbers < own).all(1)
        if not strict:
            better = (numbers <= own).all(1) & (numbers < own).any(1)
        kept.append(not better.any())
    return frame[kept]


def area(frame, scale=np.log, divided=True, larger=False):
    kept = whole_series.front(frame)
    ends = scale(np.clip([*kept["bytes"], 1e6], 1e5, 1e6))
    test = kept["test"].shift(-1).fillna(kept["test"].iloc[-1]) if larger else kept["test"]
    return float((np.diff(ends) * test).sum() / ((scale(1e6) - scale(1e5)) if divided else 1))


EVERYTHING = whole_series.every_network("cifar10")
WITHOUT = area(EVERYTHING[EVERYTHING["chapter"] != "15"])
AREA = {"function": area, "all": area(EVERYTHING), "without_15": WITHOUT}
LUCK = {"surplus": 1.14, "bound": 1.381}
BUDGET = {"allowed": [0.125, 0.25], "chosen": 0.25}

MISTAKES = {
    1: [
        (lambda frame: front(frame, ("bytes",)), "without multiply-adds"),
        (lambda frame: front(frame, strict=True), "as good in one criterion"),
        (lambda frame: front(frame, sign=1), "more accuracy is better"),
        (lambda frame: frame, "are dominated by"),
        (lambda frame: front(frame).iloc[:0], "are missing"),
        (lambda frame: pd.DataFrame({"bytes": [1]}), "rows of the frame"),
    ],
    2: [
        (AREA | {"function": lambda f: area(f, divided=False)}, "divide by the width"),
        (AREA | {"function": lambda f: area(f, np.asarray)}, "on a log scale"),
        (AREA | {"function": lambda f: area(f, larger=True)}, "the smaller file"),
        (AREA | {"all": WITHOUT}, "this is without 15"),
        (AREA | {"without_15": area(EVERYTHING)}, "still among the rows"),
    ],
    3: [
        (LUCK | {"surplus": 0.0114}, "points of per cent"),
        (LUCK | {"surplus": 0.2}, "Take the maximum over 200"),
        (LUCK | {"surplus": 1.9}, "above the bound"),
        (LUCK | {"bound": 0.4243}, "σ alone"),
        (LUCK | {"bound": 0.01381}, "points of per cent"),
    ],
    4: [
        (BUDGET | {"allowed": [0.125, 0.25, 0.5]}, "0.5 needs 22.6 million"),
        (BUDGET | {"allowed": [0.25]}, "another network fits as well"),
        (BUDGET | {"chosen": 1.0}, "does not fit"),
        (BUDGET | {"chosen": 0.125}, "is better"),
    ],
}
