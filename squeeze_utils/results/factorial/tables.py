"""Tables with a row for all that a study will measure, whatever part of it has been measured."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import pandas as pd

from squeeze_utils.results.factorial.cells import cells, level_name
from squeeze_utils.results.factorial.effects import main_effects
from squeeze_utils.results.statistics import mean_sd, with_interval
from squeeze_utils.results.tables import ACCURACY, NOT_TRAINED

if TYPE_CHECKING:
    from squeeze_utils.results.study_results import Results


def effects_table(
    found: Results, base: Mapping[str, Any], responses: Mapping[str, str]
) -> pd.DataFrame:
    """A row for each level but those of `base`: its main effect on each response, with interval.

    `responses` gives the column of the cells for each title. An interval is missing where there
    is one seed.
    """
    frame, levels = cells(found, tuple(base)), _levels(found, base)
    columns = {
        title: main_effects(frame, base, value)[["estimate", "low", "high"]]
        for title, value in responses.items()
    }
    rows = {
        (factor, level_name(factor, level)): {
            title: _written(effects, (factor, level)) for title, effects in columns.items()
        }
        for factor, known in levels.items()
        for level in known
        if level != base[factor]
    }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["factor", "level"])


def _levels(found: Results, factors: Mapping[str, Any]) -> dict[str, list[Any]]:
    """The levels that the arms of a study have, in their order, waiting ones included."""
    levels: dict[str, list[Any]] = {name: [] for name in factors}
    for arm in found.study.planned:
        coders = getattr(arm.experiment.recipe[-1], "coders", ()) or ("best",)
        labels = {name: [level] for name, level in arm.labels} | {"coder": list(coders)}
        for name, known in levels.items():
            known += [level for level in labels[name] if level not in known]
    return levels


def _written(effects: pd.DataFrame, key: tuple[str, Any]) -> str:
    if not len(effects) or key not in effects.index:
        return NOT_TRAINED
    return with_interval(*effects.loc[key])


def arms_table(found: Results, by: str) -> pd.DataFrame:
    """A row for each arm of a study: test accuracy, bytes of the file, and n; or "not trained yet".

    A network that diverged counts with its accuracy, and has no file.

    >>> import squeeze_utils as sq
    >>> arms_table(sq.study("combining_order_long").records(), "order").index[0]
    'prune, then round'
    """
    frame, rows = found.frame, {}
    for arm in found.study.planned:
        name = dict(arm.labels)[by]
        part = frame[frame[by] == name] if len(frame) else frame
        row: dict[str, Any] = {
            "test accuracy (%)": NOT_TRAINED,
            "file (bytes)": "–",
            "n": len(part),
        }
        if len(part):
            row["test accuracy (%)"] = mean_sd(part[ACCURACY], 2)
            row["file (bytes)"] = mean_sd(part.get("file_bytes", ()), 0)
        rows[name] = row
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)
