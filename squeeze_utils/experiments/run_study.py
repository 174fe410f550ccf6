"""Running a study: its arms one after another or side by side, each to a record on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import lru_cache, partial
from pathlib import Path

from tqdm.auto import tqdm

from squeeze_utils.base import machine
from squeeze_utils.base.parallel import run_tasks
from squeeze_utils.data import ImageSet
from squeeze_utils.experiments.experiment import DataSpec
from squeeze_utils.experiments.records import (
    Record,
    read_record,
    read_records,
    record_path,
    recorded_elsewhere,
    write_record,
)
from squeeze_utils.experiments.run_experiment import finish, run_experiment
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.experiments.study import Arm, Study


def run_study(
    study: Study,
    *,
    folder: Path | None = None,
    cache: PrefixCache | None = None,
    jobs: int = 1,
    progress: bool = True,
) -> dict[str, Record]:
    """Run the arms that have no record under `folder`; return all records by key.

    Without a folder nothing is kept: every arm runs, and the records are only returned.
    `jobs` processes, this one among them, share the processor's threads. With a `cache`, what
    arms begin with in common is done once, by the first of them; then the others run side by
    side. A record is written as soon as its arm ends; that of an experiment which another study
    under `folder` has recorded is taken from there.
    """
    machine.threads_each(jobs)  # refuses a wrong number of processes, whatever there is to do
    done = {} if folder is None else read_records(folder / study.name, repair=True)
    wanted: dict[str, Arm] = {}
    for arm in study.arms:
        wanted.setdefault(arm.experiment.key, arm)  # arms of the same experiment share its run
    todo = [arm for key, arm in wanted.items() if key not in done]
    records = {key: record for key, record in done.items() if key in wanted}
    target = None if folder is None else folder / study.name
    run = partial(_run_arm, target=target, cache=cache, commit=machine.commit())
    with tqdm(total=len(todo), desc=study.name, disable=not progress) as bar:
        for record in _run_arms(todo, run, cache, jobs):
            records[record.key] = record
            bar.update()
    return records


def _run_arms(
    todo: Sequence[Arm], run: Callable[..., Record], cache: PrefixCache | None, jobs: int
) -> Iterator[Record]:
    if jobs == 1 or len(todo) < 2:
        load = lru_cache(maxsize=1)(DataSpec.load)  # arms in a row have the same images
        yield from (run(arm, load) for arm in todo)
        return
    left = list(todo)
    while left:
        now = at_once(left, cache)
        yield from run_tasks(run, [(arm, DataSpec.load) for arm in now], jobs)
        left = [arm for arm in left if arm not in now]


def at_once(arms: Sequence[Arm], cache: PrefixCache | None) -> list[Arm]:
    """The arms that may run side by side: of those that lack the same state only the first."""
    if cache is None:
        return list(arms)
    first: dict[str, Arm] = {}
    for arm in arms:
        first.setdefault(cache.lacks(arm.experiment), arm)
    return list(first.values())


def _run_arm(
    arm: Arm,
    load: Callable[[DataSpec], ImageSet],
    target: Path | None,
    cache: PrefixCache | None,
    commit: str,
) -> Record:
    """The record of an arm: what is known already, or else what is measured now."""
    if target is None:
        return _measure(arm, load, cache, commit)
    path = record_path(target, arm.slug, arm.experiment.key)
    found = read_record(path, arm.experiment.key)
    if found is not None:  # another process was faster
        return found
    known = recorded_elsewhere(target.parent, arm.experiment.key)
    if known is not None and arm.checkpoint is None:  # a checkpoint needs the network itself
        record = replace(known, labels=dict(arm.labels))
    else:
        record = _measure(arm, load, cache, commit)
    write_record(record, path)
    return record


def _measure(
    arm: Arm, load: Callable[[DataSpec], ImageSet], cache: PrefixCache | None, commit: str
) -> Record:
    device = arm.experiment.data.device()
    data = load(arm.experiment.data)
    state, steps = run_experiment(arm.experiment, data=data, cache=cache, device=device)
    return Record.of(
        arm.experiment,
        finish(state, steps),
        labels=dict(arm.labels),
        device=device,
        data_fingerprint=data.fingerprint,
        commit=commit,
    )
