"""The label under every reference result: where its numbers come from, in one sentence."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from .records import Record

__all__ = ["caption"]


def caption(records: Iterable[Record]) -> str:
    """Data set, seeds, epochs, device, precision, versions, date and commit of some records.

    What all records share is said once; where they differ, every value (or the range) is given.
    """
    records = list(records)
    if not records:
        return "no records yet"
    parts = [
        _each(_images(record) for record in records),
        _count("seed", {record.seed for record in records}),
        f"{_range(_epochs(record) for record in records)} epochs",
        _each(record.device for record in records),
        _each(step["precision"] for r in records for step in r.steps if "precision" in step),
        *(_versions(records, name) for name in ("torch", "squeeze_utils")),
        _range(record.date for record in records),
        _count("commit", {record.commit for record in records}),
    ]
    return "; ".join(part for part in parts if part)


def _images(record: Record) -> str:
    limit = record.data.get("train_limit")
    return record.data["name"] + (f" ({limit:,} training images)" if limit else "")


def _epochs(record: Record) -> int:
    """Epochs that the recipe asks for; a run that diverged has finished fewer."""
    return sum(step.get("epochs", 0) for step in record.experiment["recipe"])


def _each(values: Iterable[str]) -> str:
    """The different values, in order of appearance."""
    return " and ".join(dict.fromkeys(values))


def _range(values: Iterable[Any]) -> str:
    found: Sequence[Any] = sorted(set(values))
    return str(found[0]) if len(found) == 1 else f"{found[0]} to {found[-1]}"


def _count(what: str, values: set[Any]) -> str:
    found = sorted(values)
    return f"{what}{'' if len(found) == 1 else 's'} {', '.join(map(str, found))}"


def _versions(records: list[Record], name: str) -> str:
    found = _each(r.versions[name] for r in records if name in r.versions)
    return f"{name} {found}" if found else ""
