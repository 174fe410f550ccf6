"""Records: what an experiment measured, as one JSON file each, written whole or not at all."""

from __future__ import annotations

import json
import warnings
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import torch

from squeeze_utils.base import machine
from squeeze_utils.base.files import set_aside, write_new
from squeeze_utils.experiments.experiment import Experiment


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
        device: torch.device | str,
        data_fingerprint: str,
        commit: str,
    ) -> Record:
        """The record of an experiment that has just finished on `device`.

        Device, versions and commit are those of the process that finished it; steps from the cache
        may come from another.
        """
        return cls(
            experiment=experiment.as_dict(),
            labels=labels,
            steps=steps,
            seed=experiment.seed,
            data={**experiment.as_dict()["data"], "fingerprint": data_fingerprint},
            seconds=round(sum(step["seconds"] for step in steps), 3),
            **machine.facts(device, commit),
        )

    @property
    def devices(self) -> tuple[str, ...]:
        """What ran its steps, in their order; old records know only what ran the last one."""
        return tuple(dict.fromkeys(name for step in self.steps for name in self.devices_of(step)))

    def devices_of(self, step: Mapping[str, Any]) -> list[str]:
        """What ran one of its steps: several devices where a training went on on another one."""
        return step.get("devices") or [step.get("device", self.device)]

    @classmethod
    def parse(cls, text: str) -> Record:
        """The record in a JSON text; ValueError says what is wrong with a damaged one.

        Whether its steps are known here is another question: see `key`.
        """
        values = json.loads(text)
        if not isinstance(values, dict):
            raise ValueError("it is not a JSON object")
        lacking = [key for key in KEYS if key not in values]
        if lacking:
            raise ValueError(f"it lacks {', '.join(lacking)}")
        record = cls(**{key: values[key] for key in KEYS} | {"device": _device(values)})
        recipe = _recipe(record.experiment)
        if not isinstance(record.steps, list):
            raise ValueError("its steps are not a list")
        if not all(isinstance(step, dict) for step in (*recipe, *record.steps)):
            raise ValueError("its steps are not objects")
        if not record.steps or len(record.steps) != len(recipe):
            raise ValueError("it does not have one entry for each step of its recipe")
        return record

    @property
    def key(self) -> str:
        """The key of the experiment that this is the record of.

        ValueError or TypeError where this version does not know the experiment, for example one
        with a step that a notebook has defined.
        """
        return Experiment.from_dict(self.experiment).key

    @property
    def final(self) -> dict[str, Any]:
        """What was measured after the last step, test accuracy included."""
        return self.steps[-1]

    @property
    def diverged(self) -> str:
        """What the first step that diverged, or was left out for that, says; empty if all is well.

        A step that diverged goes on with the network of its last finished epoch.
        """
        return next((step["diverged"] for step in self.steps if "diverged" in step), "")

    @property
    def history(self) -> list[dict[str, Any]]:
        """All epochs of all training steps in a row."""
        return [epoch for step in self.steps for epoch in step.get("history", ())]

    @property
    def epochs(self) -> int:
        """Epochs trained in all; a round of federated training counts for those of a client."""
        pairs = zip(self.experiment["recipe"], self.steps, strict=False)
        rounds = (step["epochs"] * len(done["rounds"]) for step, done in pairs if "rounds" in done)
        return len(self.history) + sum(rounds)

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


KEYS: tuple[str, ...] = tuple(field.name for field in fields(Record))


def _device(values: Mapping[str, Any]) -> str:
    """The device of a record; the oldest records say "1 threads"."""
    return str(values["device"]).replace(", 1 threads", ", 1 thread")


def _recipe(experiment: Any) -> list[Any]:
    """The recipe of an experiment in JSON; ValueError if it has not the form of one."""
    match experiment:
        case {
            "model": {"name": str(), "options": {}},
            "data": {},
            "recipe": [*steps],
            "seed": int(),
        }:
            return steps
    raise ValueError("its experiment lacks a model, data, a recipe or a seed")


def record_path(folder: Path, slug: str, key: str) -> Path:
    """The file of a record: readable, and unique by the experiment's key."""
    return folder / f"{slug}-{key}.json"


def write_first(record: Record, path: Path) -> Record:
    """Write a record unless its experiment has one by now; the record that is on disk.

    It is written whole or not at all; a file there of another experiment is set aside. Of several
    processes that do so at once one writes. So it does no harm if a process that was taken for dead
    finishes after the one that has its claim.
    """
    while not write_new(path, record.text().encode()):
        found = read_record(path, record.key)
        if found is not None:
            return found
        _clear(path)
    return record


def _clear(path: Path) -> None:
    moved = set_aside(path)
    warnings.warn(f"{path.name} held another record, moved to {moved.name}", stacklevel=3)


def read_record(path: Path, key: str) -> Record | None:
    """The record of the experiment `key` in the file `path`, if that is what it holds."""
    try:
        record = Record.parse(path.read_text(encoding="utf-8"))
        return record if record.key == key else None
    except (ValueError, TypeError, OSError):
        return None


def recorded_elsewhere(runs: Path, key: str) -> Record | None:
    """The record of the experiment `key` that some study has under `runs`, if one has."""
    found = (read_record(path, key) for path in sorted(runs.glob(f"*/*-{key}.json")))
    return next(filter(None, found), None)


def read_records(folder: Path, *, repair: bool = False) -> dict[str, Record]:
    """Every record in `folder` by key.

    A damaged file is named in a warning and left out; with `repair` it is also renamed, so
    that a new run cannot overwrite it. A whole record of an experiment that this version does
    not know is left out too, with a warning, and stays where it is.
    """
    return {record.key: record for _, record in each_record(folder.glob("*.json"), repair=repair)}


def each_record(paths: Iterable[Path], *, repair: bool = False) -> Iterator[tuple[Path, Record]]:
    """The records in these files, sorted by path; of others is warned as in `read_records`."""
    for path in sorted(paths):
        try:
            record = Record.parse(path.read_text(encoding="utf-8"))
        except FileNotFoundError:  # another process has set it aside just now
            continue
        except ValueError as error:
            fate = f"moved to {set_aside(path).name}" if repair else "left out"
            warnings.warn(f"damaged record {path.name}, {fate}: {error}", stacklevel=3)
            continue
        try:
            Experiment.from_dict(record.experiment)
        except (ValueError, TypeError) as error:
            message = f"{path.name} is of an experiment that is not known here: {error}"
            warnings.warn(message, stacklevel=3)
            continue
        yield path, record
