"""The cells of a factorial as a table: one row for each recipe, coder and seed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from squeeze_utils.experiments.records import Record
from squeeze_utils.models import ModelSpec
from squeeze_utils.results.costs import counted
from squeeze_utils.results.tables import ACCURACY

if TYPE_CHECKING:
    from squeeze_utils.results.study_results import Results

HALVINGS = "halvings"
NETWORK = "network"  # the factor between whose levels nothing is shared, at equal seeds neither
CODER_NAMES = {"huffman": "Huffman coder", "raw": "raw", "best": "best coder"}
FACTORS = (NETWORK, "pruning", "representation", "coder")
NUMBERS = ["seed", "bytes", HALVINGS, "test_accuracy", "validation_accuracy", "multiply_adds"]


def level_name(factor: str, level: Any) -> str:
    """A level of a factor in words: `90 % pruned`, `not pruned`, `Huffman coder`, `4 bits`."""
    if factor == "pruning":
        return f"{100 * level:.0f} % pruned" if level else "not pruned"
    return CODER_NAMES[level] if factor == "coder" else str(level)


def cells(found: Results, factors: Sequence[str] = FACTORS) -> pd.DataFrame:
    """One row for each cell that has been measured: its factors, seed, bytes and accuracies.

    The cells of an experiment in which a step diverged are left out: see `left_out`.

    An experiment gives a row for each coder of its last step, all with the same accuracy, since
    each file decodes to the same network. `halvings` is -log2(bytes): a file half as large has
    one more. `seconds` is what the training of the recipe took, shared steps included. The table
    has all its columns even while there are no records.
    """
    rows = []
    for named, record in found.recorded():
        if record.diverged:
            continue
        end = record.final
        sizes = end.get("coder_bytes") or {"best": end["file_bytes"]}
        for coder, size in sizes.items():
            rows.append(
                {
                    **{name: {**named, "coder": coder}[name] for name in factors},
                    "seed": record.seed,
                    "bytes": size,
                    HALVINGS: -math.log2(size),
                    ACCURACY: end[ACCURACY],
                    "validation_accuracy": end["validation_accuracy"],
                    "multiply_adds": _multiply_adds(record),
                    "seconds": record.seconds,
                }
            )
    return pd.DataFrame(rows, columns=[*factors, *NUMBERS, "seconds"])


def left_out(found: Results) -> str:
    """Which experiments diverged, so that they have no cells: a sentence, or nothing."""
    names = []
    for named, record in found.recorded():
        if record.diverged:
            levels = (level_name(name, level) for name, level in named.items() if name != "seed")
            names.append(f"{', '.join(levels)} (seed {named['seed']})")
    if not names:
        return ""
    count = f"{len(names)} of {len(found)} experiments"
    return f"Without the cells of {count}, whose training diverged: {'; '.join(names)}."


def _multiply_adds(record: Record) -> int:
    """Of the dense network: zeros and few bits save none where nothing looks for them."""
    return counted(ModelSpec.from_dict(record.experiment["model"]))["multiply_adds"]


def check_factors(frame: pd.DataFrame, names: Iterable[str], what: str) -> None:
    """Refuse a factor that the table lacks. A level may be missing: it has no record yet."""
    unknown = [name for name in names if name not in frame.columns]
    if unknown:
        known = ", ".join(map(str, frame.columns))
        raise ValueError(f"{what}: no factor {', '.join(unknown)}; there are: {known}")
