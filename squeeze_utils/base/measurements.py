"""Tables that no experiment makes, such as timings and sizes, kept with where they come from.

Each is one JSON file below data/measurements/, written by a command and read by notebooks.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pandas as pd

from squeeze_utils.base import machine, paths
from squeeze_utils.base.claims import CLAIMS, Claims
from squeeze_utils.base.files import write_atomically

FACTS = ("device", "versions", "commit", "date")


@dataclass(frozen=True)
class Measurement:
    """A kept table and what is known about it; `about` always has the facts of its making."""

    rows: list[dict[str, Any]]
    about: dict[str, Any]

    @property
    def frame(self) -> pd.DataFrame:
        """The rows as a table."""
        return pd.DataFrame(self.rows)

    @property
    def source(self) -> str:
        """Device and date, for a caption."""
        return f"{self.about['device']} · {self.about['date']}"


def measurement_path(name: str) -> Path:
    """The file that keeps the table `name`, such as "costs/pooling"."""
    return paths.shipped("measurements") / f"{name}.json"


def keep_measurement(name: str, rows: Sequence[dict[str, Any]], **about: Any) -> Path:
    """Write a table and what to know about it; device, versions, commit and date are added."""
    path = measurement_path(name)
    content = {"about": {**machine.facts(), **about}, "rows": list(rows)}
    write_atomically(path, (json.dumps(content, indent=1) + "\n").encode())
    return path


def keep_row(name: str, row: dict[str, Any], place: Sequence[str], **about: Any) -> Path:
    """Put a row into the table `name`, for the old one with the same values in `place`.

    One process at a time does so, and reads the table first: rows that others have made stay.
    Rows are ordered by `place`.
    """
    path = measurement_path(name)
    with Claims(path.parent / CLAIMS).wait_for(path.stem):
        known = read_measurement(name)
        old = [one for one in (known.rows if known else []) if any(one[k] != row[k] for k in place)]
        rows = sorted([*old, row], key=lambda one: [one[k] for k in place])
        return keep_measurement(name, rows, **about)


def read_measurement(name: str) -> Measurement | None:
    """The kept table `name`; None where nobody has made it. A damaged file is named."""
    path = measurement_path(name)
    if not path.is_file():
        return None
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        found = Measurement(content["rows"], content["about"])
        lacking = [fact for fact in FACTS if fact not in found.about]
        if lacking or not all(isinstance(row, dict) for row in found.rows):
            raise ValueError(f"it lacks {', '.join(lacking)}" if lacking else "rows are no objects")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"damaged table {path.name}: {error}; take it from the repository, or measure anew"
        ) from error
    return found
