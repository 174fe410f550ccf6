"""The journal of a search: a text file, one JSON object a line, that several processes share."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import optuna
import pandas as pd
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from squeeze_utils.base import machine, paths
from squeeze_utils.experiments.search.methods import pruner, sampler
from squeeze_utils.experiments.search.space import Search

COMPLETE, PRUNED, FAILED = TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAIL
# What a trial hangs on besides its point and its number; not how points are chosen or stopped.
_OF_A_TRIAL = ("repetition", "epochs", "space", "model", "data", "train")
STATES = {COMPLETE: "complete", PRUNED: "pruned", FAILED: "failed", TrialState.RUNNING: "running"}


class JournalError(ValueError):
    """A journal that cannot be read, or that belongs to another search."""


def journal_path(search: Search, folder: Path | None = None) -> Path:
    """The journal of `search` below `folder` (the committed runs, unless given)."""
    return (folder or paths.shipped("runs")) / search.group / f"{search.name}.journal"


def read_search(search: Search, folder: Path | None = None) -> optuna.Study | None:
    """The study in the journal, as far as it went; None if there is no journal yet."""
    path = journal_path(search, folder)
    if not path.is_file() or not path.stat().st_size:
        return None
    study = _load(path)
    _check_same(search, study, path)
    return study


def _load(path: Path) -> optuna.Study:
    """The study in the journal at `path`, which bears its search's name."""
    with _quiet(), _naming(path):
        _check_lines(path)
        storage = JournalStorage(JournalFileBackend(str(path)))
        return optuna.load_study(study_name=path.stem, storage=storage)


def same_trial(
    search: Search, folder: Path, params: Mapping[str, Any], number: int
) -> FrozenTrial | None:
    """The very trial, point and seed, as another search of the group in `folder` finished it.

    A journal that cannot be read is passed over: whoever goes on with its search is told.
    """
    wanted = json.loads(json.dumps({name: search.as_dict()[name] for name in _OF_A_TRIAL}))
    for path in sorted(journal_path(search, folder).parent.glob("*.journal")):
        if path == journal_path(search, folder):
            continue
        try:
            study = _load(path)
        except JournalError:
            continue
        made = study.user_attrs.get("search", {})
        if all(made.get(name) == value for name, value in wanted.items()):
            for trial in study.get_trials(deepcopy=False, states=(COMPLETE,)):
                if trial.number == number and trial.params == dict(params):
                    return trial
    return None


def open_study(search: Search, folder: Path) -> optuna.Study:
    """The study in the journal for going on with it; the journal is begun if there is none."""
    path = journal_path(search, folder)
    path.parent.mkdir(parents=True, exist_ok=True)
    how = {
        "sampler": sampler(search.sampler, search.repetition, search.startup),
        "pruner": pruner(search.pruner, search.prune_from),
    }
    with _quiet(), _naming(path):
        begun = path.is_file() and path.stat().st_size > 0
        if begun:
            _check_lines(path)
        how["storage"] = JournalStorage(JournalFileBackend(str(path)))
        if begun:
            study = optuna.load_study(study_name=search.name, **how)
        else:
            how |= {"direction": "maximize", "load_if_exists": True}  # another may be first
            study = optuna.create_study(study_name=search.name, **how)
        if not study.user_attrs and not study.get_trials(deepcopy=False):
            study.set_user_attr("search", search.as_dict())
    _check_same(search, study, path)
    return study


def note_run(study: optuna.Study, device: str) -> None:
    """Note what goes on with the search now: device, versions, commit and date."""
    run = {"device": device, "versions": machine.versions(), "commit": machine.commit()}
    run["versions"]["optuna"] = optuna.__version__
    run["date"] = datetime.now(timezone.utc).date().isoformat()
    runs = study.user_attrs.get("runs", [])
    if run not in runs:
        study.set_user_attr("runs", [*runs, run])


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
def _naming(path: Path) -> Iterator[None]:
    """What damage can raise becomes one error that names the file and says what to do."""
    try:
        yield
    except (ValueError, KeyError, TypeError, AssertionError, AttributeError) as error:
        raise JournalError(
            f"damaged journal {path.name}: {error}; take the damaged lines out, or move the file "
            "away to begin the search anew"
        ) from error


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
    found = study.user_attrs.get("search", {})
    differing = [key for key, value in wanted.items() if found.get(key) != value]
    if differing:
        raise JournalError(
            f"the journal {path.name} is of another search: {', '.join(differing)} differ; "
            "give this search another name"
        )


def cost(trial: FrozenTrial, epochs: int) -> int:
    """Epochs that a trial has used; one that is running has its `epochs` reserved."""
    if trial.state == TrialState.RUNNING:
        return epochs
    return trial.user_attrs.get("epochs", len(trial.intermediate_values))


def spent(search: Search, trials: Sequence[FrozenTrial]) -> int:
    """Epochs that trials have used or reserved."""
    return sum(cost(trial, search.epochs) for trial in trials)


def is_done(search: Search, trials: Sequence[FrozenTrial]) -> bool:
    """Whether the budget has no room for another whole trial, and nothing runs any more."""
    running = any(trial.state == TrialState.RUNNING for trial in trials)
    return not running and spent(search, trials) + search.epochs > search.budget


def worker_name() -> str:
    """This process: its number and, as a hash, its machine."""
    machine = hashlib.sha256(platform.node().encode()).hexdigest()[:8]
    return f"{machine}:{os.getpid()}"


def is_gone(trial: FrozenTrial) -> bool:
    """Whether a trial that counts as running certainly is not: its process has ended here."""
    machine, _, process = trial.user_attrs.get("worker", "").partition(":")
    if os.name != "posix" or machine != worker_name().partition(":")[0]:
        return False  # it cannot be known: its epochs stay reserved
    try:
        os.kill(int(process), 0)  # sends nothing, only asks
    except ProcessLookupError:
        return True
    except OSError:
        return False
    return False


def trials(search: Search, study: optuna.Study | None) -> pd.DataFrame:
    """A row for each trial: number, state, its point, epochs, validation, test, epochs so far."""
    rows, total = [], 0
    for trial in study.get_trials(deepcopy=False) if study else ():
        used = cost(trial, search.epochs)
        total += used
        value = trial.value if trial.state == COMPLETE else None
        rows.append(
            {
                "number": trial.number,
                "state": STATES.get(trial.state, "waiting"),
                **trial.params,
                "epochs": used,
                "spent": total,
                "curve": tuple(v for _, v in sorted(trial.intermediate_values.items())),
                "validation_accuracy": value,
                "test_accuracy": trial.user_attrs.get("test_accuracy"),
                "seconds": trial.user_attrs.get("seconds"),
            }
        )
    names = [axis.name for axis in search.space]
    columns = ["number", "state", *names, "epochs", "spent", "curve"]
    columns += ["validation_accuracy", "test_accuracy", "seconds"]
    frame = pd.DataFrame(rows, columns=columns)
    numbers = ["validation_accuracy", "test_accuracy", "seconds"]
    return frame.astype(dict.fromkeys(numbers, float))


def best(study: optuna.Study | None) -> FrozenTrial | None:
    """The complete trial with the best validation accuracy, the first one of equals."""
    found = study.get_trials(deepcopy=False, states=(COMPLETE,)) if study else []
    return max(found, key=lambda trial: (trial.value, -trial.number), default=None)


def source_of_searches(studies: Mapping[str, optuna.Study]) -> str:
    """Where searches come from, in one line: device, versions, dates."""
    runs = [run for study in studies.values() for run in study.user_attrs.get("runs", [])]
    if not runs:
        return "no search has been run yet"
    used = {f"torch {r['versions']['torch']}, optuna {r['versions']['optuna']}" for r in runs}
    dates = sorted({min(r["date"] for r in runs), max(r["date"] for r in runs)})
    devices = sorted({r["device"] for r in runs})
    return " · ".join([" or ".join(devices), " or ".join(sorted(used)), " to ".join(dates)])
