"""Running a study: its arms one after another or side by side, each to a record on disk."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
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


@dataclass(frozen=True)
class Failure:
    """An arm that ended with an error instead of a record."""

    arm: Arm
    error: str

    def __str__(self) -> str:
        return f"{self.arm.slug}: {self.error}"


class StudyIncomplete(RuntimeError):
    """Some arms failed; the records of all others are there, and `records` holds them."""

    def __init__(self, study: Study, failures: list[Failure], records: dict[str, Record]) -> None:
        self.failures, self.records = failures, records
        lines = "\n".join(f"  {failure}" for failure in failures)
        super().__init__(
            f"{len(failures)} of the arms of {study.name} failed, all others have run:\n{lines}\n"
            "Start the study again to repeat the failed ones alone."
        )


def run_study(
    study: Study,
    *,
    folder: Path | None = None,
    cache: PrefixCache | None = None,
    jobs: int = 1,
    progress: bool = True,
    keep_going: bool = False,
) -> dict[str, Record]:
    """Run the arms that have no record under `folder`; return all records by key.

    Without a folder nothing is kept: every arm runs, and the records are only returned.
    `jobs` processes, this one among them, share the processor's threads. With a `cache`, what
    arms begin with in common is done once, by the first of them; then the others run side by
    side. A record is written as soon as its arm ends; that of an experiment which another study
    under `folder` has recorded is taken from there.

    An error in one arm ends the study. With `keep_going` the other arms run all the same, and
    `StudyIncomplete` names the failed ones at the end.
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
    run = partial(_or_failure, run) if keep_going else run
    failures = []
    with tqdm(total=len(todo), desc=study.name, disable=not progress) as bar:
        for found in _run_arms(todo, run, cache, jobs):
            if isinstance(found, Failure):
                failures.append(found)
            else:
                records[found.key] = found
            bar.update()
    if failures:
        raise StudyIncomplete(study, failures, records)
    return records


def _or_failure(
    run: Callable[..., Record], arm: Arm, load: Callable[[DataSpec], ImageSet]
) -> Record | Failure:
    try:
        return run(arm, load)
    except Exception as error:  # whatever it is, the other arms have nothing to do with it
        return Failure(arm, f"{type(error).__name__}: {error}")


def _run_arms(
    todo: Sequence[Arm],
    run: Callable[..., Record | Failure],
    cache: PrefixCache | None,
    jobs: int,
) -> Iterator[Record | Failure]:
    """What the arms come to. What fails in one arm is not tried again for those that share it."""
    in_turn = jobs == 1 or len(todo) < 2
    load = lru_cache(maxsize=1)(DataSpec.load) if in_turn else DataSpec.load  # images in a row
    left, broken = list(todo), {}
    while left:
        doomed = [(arm, broken.get(cache.lacks(arm.experiment)) if cache else None) for arm in left]
        yield from (Failure(arm, error) for arm, error in doomed if error)
        left = [arm for arm, error in doomed if not error]
        now = left[:1] if in_turn else at_once(left, cache)
        tasks = [(arm, load) for arm in now]
        for found in (run(*task) for task in tasks) if in_turn else run_tasks(run, tasks, jobs):
            if isinstance(found, Failure) and cache:
                broken[cache.lacks(found.arm.experiment)] = found.error
            yield found
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
