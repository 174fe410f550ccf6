"""Records: what an experiment measured, as one JSON file each, written whole or not at all."""

from __future__ import annotations

import json
import warnings
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from squeeze_utils.base import machine
from squeeze_utils.base.files import set_aside, write_atomically
from squeeze_utils.experiments.recipe import Experiment

KEYS: tuple[str, ...] = (
    "experiment",
    "labels",
    "steps",
    "seed",
    "device",
    "versions",
    "data",
    "commit",
    "date",
    "seconds",
)

# What a file that is not a whole record can raise on its way to a Record and its key.
DAMAGE = (ValueError, KeyError, TypeError, AttributeError)


@dataclass(frozen=True)
class Record:
    """One experiment's measurements with everything that a reader needs to trust them."""

    experiment: dict[str, Any]
    labels: dict[str, Any]
    steps: list[dict[str, Any]]
    seed: int
    device: str
    versions: dict[str, str]
    data: dict[str, Any]
    commit: str
    date: str
    seconds: float

    @classmethod
    def of(
        cls,
        experiment: Experiment,
        steps: list[dict[str, Any]],
        *,
        labels: dict[str, Any],
        device: str,
        data_fingerprint: str,
        commit: str,
    ) -> Record:
        """The record of a finished experiment, dated now."""
        return cls(
            experiment=experiment.as_dict(),
            labels=labels,
            steps=steps,
            seed=experiment.seed,
            device=device,
            versions=machine.versions(),
            data={**experiment.as_dict()["data"], "fingerprint": data_fingerprint},
            commit=commit,
            date=datetime.now(timezone.utc).date().isoformat(),
            seconds=round(sum(step["seconds"] for step in steps), 3),
        )

    @classmethod
    def parse(cls, text: str) -> Record:
        """The record in a JSON text; ValueError says what is wrong with a damaged one."""
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("it is not a JSON object")
        lacking = [key for key in KEYS if key not in values]
        if lacking:
            raise ValueError(f"it lacks {', '.join(lacking)}")
        record = cls(**{key: values[key] for key in KEYS})
        if not all(isinstance(step, dict) for step in record.steps):
            raise ValueError("its steps are not objects")
        if not record.steps or len(record.steps) != len(record.experiment["recipe"]):
            raise ValueError("it does not have one entry for each step of its recipe")
        return record

    @property
    def key(self) -> str:
        """The key of the experiment that this is the record of."""
        return Experiment.from_dict(self.experiment).key

    @property
    def final(self) -> dict[str, Any]:
        """What was measured after the last step, test accuracy included."""
        return self.steps[-1]

    @property
    def history(self) -> list[dict[str, Any]]:
        """All epochs of all training steps in a row."""
        return [epoch for step in self.steps for epoch in step.get("history", ())]

    @property
    def epochs(self) -> int:
        """Epochs trained in all."""
        return len(self.history)

    def text(self) -> str:
        """The record as JSON, one line for each short list, so that it diffs well."""
        values = {key: getattr(self, key) for key in KEYS}
        lines = []
        for key, value in values.items():
            if key == "steps":
                steps = ",\n".join("  " + json.dumps(step, sort_keys=True) for step in value)
                lines.append(f'"steps": [\n{steps}\n]')
            else:
                lines.append(f"{json.dumps(key)}: {json.dumps(value, sort_keys=True)}")
        return "{\n" + ",\n".join(lines) + "\n}\n"


def record_path(folder: Path, slug: str, key: str) -> Path:
    """The file of a record: readable, and unique by the experiment's key."""
    return folder / f"{slug}-{key}.json"


def write_record(record: Record, path: Path) -> None:
    """Write a record, whole or not at all; a file there of another experiment is set aside."""
    if path.exists() and not is_record_of(path, record.key):
        moved = set_aside(path)
        warnings.warn(f"{path.name} held another record, moved to {moved.name}", stacklevel=2)
    write_atomically(path, record.text().encode())


def is_record_of(path: Path, key: str) -> bool:
    """Whether `path` holds the record of the experiment `key`, whole."""
    try:
        return Record.parse(path.read_text(encoding="utf-8")).key == key
    except (*DAMAGE, OSError):
        return False


def recorded_elsewhere(runs: Path, key: str) -> Record | None:
    """The record of the experiment `key` that some study has under `runs`, if one has."""
    for path in sorted(runs.glob(f"*/*-{key}.json")):
        if is_record_of(path, key):
            return Record.parse(path.read_text(encoding="utf-8"))
    return None


def read_records(folder: Path, *, repair: bool = False) -> dict[str, Record]:
    """Every record in `folder` by key.

    A damaged file is named in a warning and left out; with `repair` it is also renamed, so
    that a new run cannot overwrite it.
    """
    records: dict[str, Record] = {}
    for path in sorted(folder.glob("*.json")):
        try:
            record = Record.parse(path.read_text(encoding="utf-8"))
            records[record.key] = record
        except DAMAGE as error:
            fate = f"moved to {set_aside(path).name}" if repair else "left out"
            warnings.warn(f"damaged record {path.name}, {fate}: {error}", stacklevel=2)
    return records
