"""The best recipe for a number of bytes, and which recipes are close to a baseline."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from squeeze_utils.base.checks import real_number
from squeeze_utils.results.factorial.cells import FACTORS, level_name
from squeeze_utils.results.statistics import mean_sd
from squeeze_utils.results.tables import ACCURACY, NOT_TRAINED

BUDGETS = (50_000, 100_000, 200_000, 1_000_000)
SHARE = 10  # percent
RECIPE = "recipe"


def recipes(frame: pd.DataFrame) -> pd.DataFrame:
    """A row for each recipe: means over its seeds of bytes, accuracies and seconds, and n.

    The bytes of a recipe are those of its largest file.
    """
    names = [*FACTORS]
    columns = [*names, "bytes", "validation_accuracy", ACCURACY, "multiply_adds", "seconds", "n"]
    if frame.empty:
        return pd.DataFrame(columns=columns)
    grouped = frame.groupby(names, sort=False)
    table = grouped.agg(
        bytes=("bytes", "max"),
        validation_accuracy=("validation_accuracy", "mean"),
        test_accuracy=(ACCURACY, "mean"),
        multiply_adds=("multiply_adds", "first"),
        seconds=("seconds", "mean"),
        n=("seed", "nunique"),
    )
    return table.reset_index()[columns]


def named(row: Mapping[str, Any]) -> str:
    """A recipe in words: `AlexNet, 90 % pruned, 4 bits, best coder`."""
    return ", ".join(level_name(factor, row[factor]) for factor in FACTORS)


def best_for(frame: pd.DataFrame, budgets: Sequence[int] = BUDGETS) -> pd.DataFrame:
    """For each number of bytes the recipe that is best on validation images; its test accuracy.

    The seconds of training are the mean over the seeds, with the steps that recipes share.
    Every file of the recipe must fit; of equally good ones the smallest is taken. A budget that no
    recipe fits into says so.
    """
    table, rows = recipes(frame), {}
    for budget in budgets:
        real_number("a budget", budget, least=1)
        row = {RECIPE: "none fits" if len(table) else NOT_TRAINED, "bytes": "–"}
        row |= {"test accuracy (%)": "–", "n": 0, "training (s)": "–"}
        best = best_choice(frame, budget)
        if best is not None:
            own = frame[(frame[list(FACTORS)] == best[list(FACTORS)]).all(axis=1)]
            row = {RECIPE: named(best), "bytes": f"{best['bytes']:,.0f}"}
            row |= {"test accuracy (%)": mean_sd(own[ACCURACY], 2), "n": int(best["n"])}
            row["training (s)"] = f"{best['seconds']:,.0f}"
        rows[f"{budget:,} bytes"] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("at most")


def best_choice(frame: pd.DataFrame, budget: int) -> pd.Series | None:
    """The row of `recipes` that is best on validation images and fits; None if there is none."""
    table = recipes(frame)
    fitting = table[table["bytes"] <= budget]
    order = {"by": ["validation_accuracy", "bytes"], "ascending": [False, True]}
    return fitting.sort_values(**order).iloc[0] if len(fitting) else None


def within(frame: pd.DataFrame, baseline: Mapping[str, Any]) -> pd.DataFrame:
    """The recipes with two columns: within `SHARE` % of the baseline, in both readings.

    What is compared are accuracies on validation images, so that those on test images have no part
    in a choice among the recipes.
    `absolute`: at most `SHARE` points below it. `relative`: at least (100 - `SHARE`) % of it.
    Empty while the baseline has no record.
    """
    table = recipes(frame)
    own = (table[list(baseline)] == pd.Series(baseline)).all(axis=1)
    if not own.any():
        return table.iloc[:0].assign(absolute=False, relative=False)
    found = table["validation_accuracy"]
    base = float(found[own].iloc[0])
    return table.assign(absolute=found >= base - SHARE, relative=found >= base * (1 - SHARE / 100))


def smallest_within(frame: pd.DataFrame, baseline: Mapping[str, Any]) -> pd.DataFrame:
    """For both readings of "within `SHARE` %" how many recipes are, and the smallest of them.

    Its test accuracy had no part in the choice.
    """
    table, rows = within(frame, baseline), {}
    for reading in ("absolute", "relative"):
        near = table[table[reading].astype(bool)]
        row: dict[str, Any] = {"recipes": f"{len(near)} of {len(table)}", "smallest": "–"}
        if len(near):
            best = near.loc[near["bytes"].astype(float).idxmin()]
            row = row | {"smallest": named(best), "bytes": f"{best['bytes']:,.0f}"}
            row["test accuracy (%)"] = f"{best[ACCURACY]:.2f}"
        elif table.empty:
            row["recipes"] = NOT_TRAINED
        rows[reading] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis("reading")
