"""Networks with the coder that suits each best: the compact coder assumes what a price leads to.

It takes the sizes of numbers to fall like a geometric series, as they do after training at a price.
Pruning leaves a gap around zero instead, so other coders may write its files in fewer bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pandas as pd

from squeeze_utils.compress.sqz.container import COMPACT
from squeeze_utils.experiments.records import Record
from squeeze_utils.results.file_contents import FLOATS
from squeeze_utils.results.on_off import span
from squeeze_utils.results.study_results import Results, Sentence
from squeeze_utils.results.tables import NO_RECORDS

Arm = tuple[str, str, int]  # network, recipe, seed


@dataclass(frozen=True)
class SmallestFiles(Results):
    """Results whose arms have other bytes; an arm without any is left out."""

    sizes: Mapping[Arm, int | None] = field(default_factory=dict)

    @property
    def frame(self) -> pd.DataFrame:
        """One row for each record that has a size; this is its `file_bytes`."""
        frame = super().frame
        if frame.empty:
            return frame
        arms = frame[["network", "recipe", "seed"]].itertuples(index=False, name=None)
        return frame.assign(file_bytes=[self.sizes[arm] for arm in arms]).dropna(
            subset=["file_bytes"]
        )


def smallest_files(results: Results, coders: Results | None = None) -> SmallestFiles:
    """`results` with the smallest file of each arm that any coder wrote.

    `coders` is a study of some of these arms with more coders. Those of them that have no record
    there are left out, so that whatever needs them is still open.
    """
    sizes: dict[Arm, int | None] = {}
    sizes |= {_arm(labels): min(_sizes(record)) for labels, record in results.recorded()}
    if coders is not None:
        known = {_arm(labels): min(_sizes(record)) for labels, record in coders.recorded()}
        for arm in coders.study.planned:
            labels = {**dict(arm.labels), "seed": arm.experiment.seed}
            sizes[_arm(labels)] = known.get(_arm(labels))
    return SmallestFiles(results.study, results.by_key, results.cache, sizes)


def without_floats(found: SmallestFiles, coders: Results) -> SmallestFiles:
    """`found` where biases, codebooks and steps cost the arms of `coders` nothing.

    A bound: at a price biases are rounded and cost little, the other files hold them as floats.
    """
    sizes = dict(found.sizes)
    for labels, record in coders.recorded():
        parts = record.final["file_parts"]
        sizes[_arm(labels)] -= sum(parts.get(name, 0) for name in FLOATS)
    return replace(found, sizes=sizes)


def saved_sentence(coders: Results) -> Sentence:
    """How much smaller other coders make the files that the compact one wrote, by network."""
    saved: dict[str, list[float]] = {}
    for labels, record in coders.recorded():
        compact = [step["file_bytes"] for step in record.steps if _coder(step) in COMPACT]
        if compact:
            percent = 100 * (1 - min(_sizes(record)) / compact[0])
            saved.setdefault(labels["network"], []).append(percent)
    if not saved:
        return Sentence(f"What other coders make of the files without a price: {NO_RECORDS}.")
    parts = (f"{name} {span(pd.Series(many), '.1f')} %" for name, many in saved.items())
    return Sentence(
        "With the coder that suits each best, files without a price are smaller than with the "
        f"compact coder by: {'; '.join(parts)}."
    )


def _arm(labels: Mapping[str, Any]) -> Arm:
    return labels["network"], labels["recipe"], labels["seed"]


def _sizes(record: Record) -> list[int]:
    """The bytes of all files that were written of a network."""
    sizes = []
    for step in record.steps:
        sizes += [step["file_bytes"]] if "file_bytes" in step else []
        sizes += step.get("coder_bytes", {}).values()
    return sizes


def _coder(step: Mapping[str, Any]) -> str:
    return step["step"].get("coder", "")
