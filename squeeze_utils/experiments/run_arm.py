"""Running one arm of a study: claimed first, where several runs share a folder, then recorded."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

from squeeze_utils.base.claims import CLAIMS, Claims
from squeeze_utils.data import ImageSet
from squeeze_utils.experiments.experiment import DataSpec
from squeeze_utils.experiments.records import (
    Record,
    read_record,
    record_path,
    recorded_elsewhere,
    write_first,
)
from squeeze_utils.experiments.run_experiment import finish, run_experiment
from squeeze_utils.experiments.state_cache import PrefixCache
from squeeze_utils.experiments.study import Arm
from squeeze_utils.training.distributed.ranks import from_first

Load = Callable[[DataSpec], ImageSet]


@dataclass(frozen=True)
class Failure:
    """An arm that ended with an error instead of a record."""

    arm: Arm
    error: str

    @property
    def key(self) -> str:
        """The key of the arm's experiment."""
        return self.arm.experiment.key

    def __str__(self) -> str:
        return f"{self.arm.slug}: {self.error}"


def or_failure(run: Callable[..., Record | None], arm: Arm, load: Load) -> Record | Failure | None:
    """What `run` comes to; an error becomes a `Failure`."""
    try:
        return run(arm, load)
    except Exception as error:  # whatever it is, the other arms have nothing to do with it
        return Failure(arm, f"{type(error).__name__}: {error}")


def run_arm(
    arm: Arm,
    load: Load,
    target: Path | None,
    cache: PrefixCache | None,
    commit: str,
) -> Record | None:
    """The record of an arm: what is known already, or else what is measured now.

    None where another run has claimed the arm, or a state on the way to it.
    """
    if target is None:
        return _measure(arm, load, cache, commit)
    path, key = record_path(target, arm.slug, arm.experiment.key), arm.experiment.key
    with ExitStack() as held:
        ours = from_first(lambda: _claimed(arm, target.parent, cache, held))
        found = from_first(lambda: read_record(path, key))
        if not ours or found is not None:  # another process was faster
            return found
        known = from_first(lambda: recorded_elsewhere(target.parent, key))
        if known is not None and arm.checkpoint is None:  # a checkpoint needs the network itself
            record = replace(known, labels=dict(arm.labels))
        else:
            record = _measure(arm, load, cache, commit)
        return from_first(lambda: write_first(record, path))


def _claimed(arm: Arm, runs: Path, cache: PrefixCache | None, held: ExitStack) -> bool:
    """Whether the arm is ours until `held` ends, with all the states that it makes."""
    wanted = [(runs / CLAIMS, arm.experiment.key)]
    if cache:
        wanted += [(cache.folder / CLAIMS, key) for key in cache.missing(arm.experiment)]
    for folder, name in wanted:
        claim = _claims(folder).take(name)
        if claim is None:
            held.close()
            return False
        held.enter_context(claim)
    return True


@lru_cache(maxsize=8)
def _claims(folder: Path) -> Claims:
    """One object for each folder: it remembers since when a claim has not changed."""
    return Claims(folder)


def _measure(arm: Arm, load: Load, cache: PrefixCache | None, commit: str) -> Record:
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
