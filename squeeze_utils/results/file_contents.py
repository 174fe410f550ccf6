"""The biases that the files of a study hold, and the silent units that they leave out."""

from __future__ import annotations

import pandas as pd

from squeeze_utils.compress.sqz.container import COMPACT
from squeeze_utils.results.on_off import span
from squeeze_utils.results.study_results import Results, Sentence
from squeeze_utils.results.tables import NO_RECORDS

FLOATS = ("coded together", "floats")  # parts of a compact file: numbers without a step
HALVES, CODED = "half floats", "whole numbers"


def biases(results: Results) -> pd.DataFrame:
    """How each compact file holds its biases, and in how many bytes, by record and form.

    Half floats are counted in the file. What whole numbers take is estimated, as they lie in one
    section with the weights. `share` is the percentage of the file.
    """
    rows = []
    for labels, record in results.recorded():
        parts, size = record.final.get("file_parts", {}), record.final.get("file_bytes")
        if record.final["step"].get("coder") not in COMPACT:
            continue
        floats = sum(parts.get(name, 0) for name in FLOATS)
        layers = [layer for step in record.steps for layer in step.get("priced_layers", ())]
        bits = sum(layer["bits"] for layer in layers if layer["layer"].endswith(".bias"))
        for form, taken in ((HALVES, floats), (CODED, bits / 8)):
            if taken:
                rows.append({**labels, "form": form, "bytes": taken, "share": 100 * taken / size})
    columns = ["network", "recipe", "seed", "form", "bytes", "share"]
    return pd.DataFrame(rows, columns=columns)


def biases_sentence(results: Results, *recipes: str) -> Sentence:
    """The bytes that biases take in the files of these recipes, or of all."""
    rows = biases(results)
    rows = rows[rows["recipe"].isin(recipes)] if recipes else rows
    if rows.empty:
        return Sentence(f"Bytes of the biases: {NO_RECORDS}.")
    parts = []
    for form, title in ((HALVES, "as half floats"), (CODED, "as whole numbers (estimated)")):
        groups = rows[rows["form"] == form].groupby("recipe", sort=False)
        each = [
            f"{recipe}: {span(part['bytes'], ',.0f')} ({span(part['share'], '.1f')} %)"
            for recipe, part in groups
        ]
        if each:
            parts.append(f"Bytes of biases {title}, with their share: {'; '.join(each)}.")
    return Sentence(" ".join(parts))


def removed_units(results: Results) -> pd.DataFrame:
    """How many silent units `RemoveSilent` took out: a row for each layer of each record."""
    rows = [
        {**labels, **layer}
        for labels, record in results.recorded()
        for step in record.steps
        for layer in step.get("silent", ())
    ]
    columns = ["network", "recipe", "seed", "layer", "removed", "units"]
    return pd.DataFrame(rows, columns=columns)


def removed_units_sentence(results: Results, network: str, layer: str) -> Sentence:
    """Units of one layer of a network that each recipe removed, fewest to most of its seeds."""
    rows = removed_units(results)
    rows = rows[(rows["network"] == network) & (rows["layer"] == layer)]
    if rows.empty:
        return Sentence(f"Removed units of {layer}: {NO_RECORDS}.")
    parts = [
        f"{recipe}: {span(part['removed'], '.0f')}"
        for recipe, part in rows.groupby("recipe", sort=False)
    ]
    units = rows["units"].max()
    return Sentence(f"Units of {layer} that were removed, of {units}: {'; '.join(parts)}.")
