"""The journal of a search: a text file, one JSON object a line, that several processes share."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
import torch
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from squeeze_utils.base import machine, paths
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.search.methods import Sampler, pruner
from squeeze_utils.experiments.search.space import Search

COMPLETE, PRUNED = TrialState.COMPLETE, TrialState.PRUNED
FAILED, RUNNING = TrialState.FAIL, TrialState.RUNNING
STATES = {COMPLETE: "complete", PRUNED: "pruned", FAILED: "failed", RUNNING: "running"}


class JournalError(ValueError):
    """A journal that cannot be read, or that belongs to another search."""


def journal_path(search: Search, folder: Path | None = None) -> Path:
    """The journal of `search` below `folder` (the committed runs, unless given)."""
    return (folder or paths.shipped("runs")) / search.group / f"{search.name}.journal"


def read_search(search: Search, folder: Path | None = None) -> optuna.Study | None:
    """The study in the journal, as far as it went; None if there is no journal yet."""
    path = journal_path(search, folder)
    if not _has_begun(path):
        return None
    study = _load(path)
    _check_same(search, study, path)
    return study


def open_study(search: Search, folder: Path) -> optuna.Study:
    """The study in the journal for going on with it; the journal is begun if there is none."""
    path = journal_path(search, folder)
    if not _has_begun(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with _quiet():  # another process may be first
            optuna.create_study(
                study_name=search.name,
                storage=_storage(path),
                direction="maximize",
                load_if_exists=True,
            )
    how = {
        "sampler": Sampler(search.sampler, search.repetition, search.startup),
        "pruner": pruner(search.pruner, search.prune_from),
    }
    study = _load(path, **how)
    if not study.user_attrs and not study.get_trials(deepcopy=False):
        study.set_user_attr("search", search.as_dict())
    _check_same(search, study, path)
    return study


def same_trial(search: Search, folder: Path, experiment: Experiment) -> FrozenTrial | None:
    """The trial of this very experiment, as another search of the group in `folder` ended it.

    A journal that cannot be read is passed over: whoever goes on with its search is told.
    """
    own = journal_path(search, folder)
    for path in sorted(own.parent.glob("*.journal")):
        if path == own or not _has_begun(path):
            continue
        try:
            study = _load(path)
        except JournalError:
            continue
        for trial in study.get_trials(deepcopy=False, states=(COMPLETE,)):
            if trial.user_attrs.get("experiment") == experiment.key:
                return trial
    return None


def note_run(study: optuna.Study, device: torch.device) -> None:
    """Note what goes on with the search now: device, versions, commit and date."""
    run = machine.facts(device)
    run["versions"]["optuna"] = optuna.__version__
    runs = study.user_attrs.get("runs", [])
    if run not in runs:
        study.set_user_attr("runs", [*runs, run])


def _has_begun(path: Path) -> bool:
    return path.is_file() and path.stat().st_size > 0


def _storage(path: Path) -> JournalStorage:
    return JournalStorage(JournalFileBackend(str(path)))


def _load(path: Path, **how: Any) -> optuna.Study:
    """The study in the journal at `path`, which bears its search's name."""
    try:
        _check_lines(path)
        with _quiet():
            return optuna.load_study(study_name=path.stem, storage=_storage(path), **how)
    except (ValueError, KeyError, TypeError, AssertionError, AttributeError) as error:
        raise JournalError(
            f"damaged journal {path.name}: {error}; take the damaged lines out, or move the file "
            "away to begin the search anew"
        ) from error


def _check_lines(path: Path) -> None:
    """Raise unless every line is a whole JSON object; another process may be writing the last."""
    for patience in (0.05, 0.2, 0.0):
        lines = path.read_bytes().splitlines(keepends=True)
        if not lines or lines[-1].endswith(b"\n"):
            break
        time.sleep(patience)
    for number, line in enumerate(lines, 1):
        try:
            whole = line.endswith(b"\n") and isinstance(json.loads(line), dict)
        except ValueError:
            whole = False
        if not whole:
            raise JournalError(f"line {number} of {len(lines)} is not a whole JSON object")


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna announces every study it makes; a notebook need not show that."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        yield
    finally:
        optuna.logging.set_verbosity(before)


def _check_same(search: Search, study: optuna.Study, path: Path) -> None:
    wanted = json.loads(json.dumps(search.as_dict()))
    made = study.user_attrs.get("search", {})
    differing = [key for key, value in wanted.items() if made.get(key) != value]
    if differing:
        raise JournalError(
            f"the journal {path.name} is of another search: {', '.join(differing)} differ; "
            "give this search another name"
        )


def cost(trial: FrozenTrial, epochs: int) -> int:
    """Epochs that a trial has used; one that is running has its `epochs` reserved."""
    if trial.state == RUNNING:
        return epochs
    return trial.user_attrs.get("epochs", len(trial.intermediate_values))


def spent(search: Search, trials: Sequence[FrozenTrial]) -> int:
    """Epochs that trials have used or reserved."""
    return sum(cost(trial, search.epochs) for trial in trials)


def is_done(search: Search, trials: Sequence[FrozenTrial]) -> bool:
    """Whether the budget has no room for another whole trial, and nothing runs any more."""
    running = any(trial.state == RUNNING for trial in trials)
    return not running and spent(search, trials) + search.epochs > search.budget


def trials(search: Search, study: optuna.Study | None) -> pd.DataFrame:
    """A row for each trial: number, state, its point, epochs, validation, test, epochs so far."""
    rows, total = [], 0
    for trial in study.get_trials(deepcopy=False) if study else ():
        used = cost(trial, search.epochs)
        total += used
        rows.append(
            {
                "number": trial.number,
                "state": STATES.get(trial.state, "waiting"),
                **trial.params,
                "epochs": used,
                "spent": total,
                "curve": tuple(v for _, v in sorted(trial.intermediate_values.items())),
                "validation_accuracy": trial.value if trial.state == COMPLETE else None,
                "test_accuracy": trial.user_attrs.get("test_accuracy"),
                "seconds": trial.user_attrs.get("seconds"),
            }
        )
    names = [axis.name for axis in search.space]
    numbers = ["validation_accuracy", "test_accuracy", "seconds"]
    columns = ["number", "state", *names, "epochs", "spent", "curve", *numbers]
    return pd.DataFrame(rows, columns=columns).astype(dict.fromkeys(numbers, float))


def best(study: optuna.Study | None) -> FrozenTrial | None:
    """The complete trial with the best validation accuracy, the first one of equals."""
    complete = study.get_trials(deepcopy=False, states=(COMPLETE,)) if study else []
    return max(complete, key=lambda trial: (trial.value, -trial.number), default=None)
