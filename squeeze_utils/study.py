"""Studies: named sets of experiments, run resumably, one record on disk for each.

`python -m squeeze_utils.study list` names them; `... run NAME --scale reference [--jobs N]`
runs what has no record yet.
"""

from __future__ import annotations

import argparse
import importlib
import pkgutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from tqdm.auto import tqdm

from . import places, runtime
from .data import ImageSet
from .recipe import DataSpec, Experiment, PrefixCache, finish
from .recipe import run as run_experiment
from .records import Record, is_of, path_of, read_all, twin, write
from .scale import SCALES, Scale


@dataclass(frozen=True)
class Arm:
    """One experiment of a study, with the labels that tables group it by."""

    experiment: Experiment
    labels: tuple[tuple[str, Any], ...]
    checkpoint: str | None = None

    @classmethod
    def of(cls, experiment: Experiment, checkpoint: str | None = None, **labels: Any) -> Arm:
        """An arm with its labels as keywords."""
        return cls(experiment, tuple(labels.items()), checkpoint)

    @property
    def slug(self) -> str:
        """The labels and the seed as the beginning of a file name."""
        text = "-".join(str(value) for _, value in self.labels).lower()
        safe = "".join(c if c.isalnum() or c in ".-" else "-" for c in text)
        return f"{safe}-s{self.experiment.seed}"


@dataclass(frozen=True)
class Study:
    """A named set of arms; `title` says in one line what they answer.

    `pilot` names a study that comes first: it chooses settings of this one's arms, and an arm
    joins once its part of the pilot is done.
    """

    name: str
    title: str
    arms: Sequence[Arm]
    pilot: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "arms", tuple(self.arms))
        keys = [arm.experiment.key for arm in self.arms]
        if len(set(keys)) != len(keys):
            raise ValueError(f"study {self.name} contains the same experiment twice")

    def only(self, text: str) -> Study:
        """The same study with those arms alone whose slug contains `text`."""
        arms = [arm for arm in self.arms if text.lower() in arm.slug]
        if not arms:
            slugs = ", ".join(arm.slug for arm in self.arms)
            raise ValueError(f"no arm of {self.name} has {text!r} in its name; there are: {slugs}")
        return replace(self, arms=arms)

    def records(self, folder: Path | None = None) -> dict[str, Record]:
        """The records of this study's experiments that are on disk, by key."""
        found = read_all((folder or places.shipped("runs")) / self.name)
        keys = {arm.experiment.key for arm in self.arms}
        return {key: record for key, record in found.items() if key in keys}

    def missing(self, folder: Path | None = None) -> list[Arm]:
        """The arms without a record."""
        done = self.records(folder)
        return [arm for arm in self.arms if arm.experiment.key not in done]


def run(
    study: Study,
    *,
    folder: Path | None = None,
    cache: PrefixCache | None = None,
    jobs: int = 1,
    progress: bool = True,
) -> dict[str, Record]:
    """Run the arms that have no record under `folder`; return all records by key.

    Without a folder nothing is kept: every arm runs, and the records are only returned.
    `jobs` processes share the processor's threads; arms that begin alike stay in one process,
    so their common prefix is trained once; if `cache` has it, they may part. A record is written
    as soon as its arm ends; that of an experiment which another study under `folder` has
    recorded is taken from there.
    """
    if jobs < 1:
        raise ValueError(f"jobs must be at least 1, got {jobs}")
    done = {} if folder is None else read_all(folder / study.name, repair=True)
    todo = [arm for arm in study.arms if arm.experiment.key not in done]
    wanted = {arm.experiment.key for arm in study.arms}
    records = {key: record for key, record in done.items() if key in wanted}
    commit = runtime.commit()
    target = None if folder is None else folder / study.name
    with tqdm(total=len(todo), desc=study.name, disable=not progress) as bar:
        for record in _run_arms(todo, jobs, target, cache, commit):
            records[record.key] = record
            bar.update()
    return records


def _run_arms(
    todo: Sequence[Arm],
    jobs: int,
    target: Path | None,
    cache: PrefixCache | None,
    commit: str,
) -> Iterable[Record]:
    if jobs == 1 or len(todo) < 2:
        yield from _run_group(todo, target, cache, commit)
        return
    from joblib import Parallel, delayed

    def beginning(arm: Arm) -> str:
        return cache.lacks(arm.experiment) if cache else arm.experiment.prefix(1).key

    groups = [list(group) for _, group in groupby(sorted(todo, key=beginning), key=beginning)]
    order = {arm.experiment.key: position for position, arm in enumerate(todo)}
    groups.sort(key=lambda group: min(order[arm.experiment.key] for arm in group))
    threads = runtime.threads_each(jobs)
    parallel = Parallel(n_jobs=jobs, return_as="generator_unordered")
    tasks = (delayed(_run_apart)(threads, group, target, cache, commit) for group in groups)
    for finished in parallel(tasks):
        yield from finished


def _run_apart(threads: int, *what: Any) -> list[Record]:
    """A group of arms in a process of its own."""
    torch.set_num_threads(threads)
    return list(_run_group(*what))


def _run_group(
    group: Sequence[Arm], target: Path | None, cache: PrefixCache | None, commit: str
) -> Iterator[Record]:
    load = lru_cache(maxsize=1)(DataSpec.load)  # arms in a row have the same images
    for arm in group:
        yield _run_arm(arm, target, cache, commit, load)


def _run_arm(
    arm: Arm,
    target: Path | None,
    cache: PrefixCache | None,
    commit: str,
    load: Callable[[DataSpec], ImageSet],
) -> Record:
    path = None if target is None else path_of(target, arm.slug, arm.experiment.key)
    if path is not None:
        if is_of(path, arm.experiment.key):  # another process was faster
            return Record.parse(path.read_text(encoding="utf-8"))
        known = twin(path.parent.parent, arm.experiment.key)
        if known is not None and arm.checkpoint is None:  # that one needs the network itself
            record = replace(known, labels=dict(arm.labels))
            write(record, path)
            return record
    device = runtime.default_device()
    data = load(arm.experiment.data)
    state, steps = run_experiment(arm.experiment, data=data, cache=cache, device=device)
    record = Record.of(
        arm.experiment,
        finish(state, steps),
        labels=dict(arm.labels),
        device=runtime.device_name(device),
        data_fingerprint=state.data.fingerprint,
        commit=commit,
    )
    if path is not None:
        write(record, path)
    return record


def table(study: Study, records: dict[str, Record]) -> pd.DataFrame:
    """One row for each record: labels, seed, and the numbers after the last step."""
    rows = []
    for arm in study.arms:
        record = records.get(arm.experiment.key)
        if record is not None:
            numbers = {
                name: value
                for name, value in record.steps[-1].items()
                if isinstance(value, (int, float)) and not isinstance(value, bool)
            }
            total = {"seconds": record.seconds, "epochs": record.epochs}
            rows.append({**dict(arm.labels), "seed": record.seed, **numbers, **total})
    return pd.DataFrame(rows)


def catalogue() -> dict[str, Callable[[Scale], Study]]:
    """Every study of the series by name; each is made for a scale."""
    package = importlib.import_module("squeeze_utils.studies")
    found: dict[str, Callable[[Scale], Study]] = {}
    for info in pkgutil.iter_modules(package.__path__):
        module = importlib.import_module(f"squeeze_utils.studies.{info.name}")
        found.update(module.STUDIES)
    return found


def find(name: str, scale: Scale) -> Study:
    """The study called `name` at `scale`."""
    known = catalogue()
    if name not in known:
        raise ValueError(f"unknown study {name!r}; accepted: {', '.join(sorted(known))}")
    return known[name](scale)


def reference(name: str) -> tuple[Study, dict[str, Record]]:
    """A study at reference scale, and those of its records that are committed."""
    study = find(name, Scale("reference"))
    return study, study.records()


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line: `list`, or `run NAME`."""
    parser = argparse.ArgumentParser(prog="python -m squeeze_utils.study", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="name every study and how many records it lacks")
    runner = commands.add_parser("run", help="run what has no record yet")
    runner.add_argument("name")
    runner.add_argument("--scale", choices=SCALES, help="default: SQUEEZE_SCALE, else quick")
    runner.add_argument("--jobs", type=int, default=1, help="parallel processes (default 1)")
    runner.add_argument("--only", default="", metavar="TEXT", help="arms with TEXT in their name")
    chosen = parser.parse_args(arguments)
    if chosen.command == "list":
        for name, make in sorted(catalogue().items()):
            study = make(Scale("reference"))
            done = f"{len(study.arms) - len(study.missing())}/{len(study.arms)} records"
            print(f"{name:24} {done:16} {study.title}")
        return 0
    try:
        scale = Scale(chosen.scale) if chosen.scale else Scale.from_environment()
        pilot = find(chosen.name, scale).pilot
        for name in filter(None, (pilot, chosen.name)):
            study = find(name, scale).only(chosen.only)
            _run_from_command_line(study, scale, chosen.jobs)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted; what has a record is kept, start again to go on", file=sys.stderr)
        return 130
    return 0


def _run_from_command_line(study: Study, scale: Scale, jobs: int) -> None:
    base = scale.pick(places.cache() / "runs", places.shipped("runs"))
    run(study, folder=base, cache=PrefixCache(places.cache() / "states"), jobs=jobs)


if __name__ == "__main__":
    sys.exit(main())
