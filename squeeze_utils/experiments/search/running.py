"""Running a search, in one process or in several: trials until the budget ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import optuna
import torch
from tqdm.auto import tqdm

from squeeze_utils.base import machine
from squeeze_utils.experiments.search import journal
from squeeze_utils.experiments.search.journal import COMPLETE, FAILED, PRUNED
from squeeze_utils.experiments.search.space import Search, distributions
from squeeze_utils.training.evaluation import evaluate
from squeeze_utils.training.loop import DivergedError, fit

# Called after every epoch with its number (from 1) and the validation accuracy; raises
# optuna.TrialPruned where the trial shall stop.
Report = Callable[[int, float], None]
# A point of the space and the trial's number to what was measured at its end, among it
# "validation_accuracy", which is what the search maximises.
Objective = Callable[[Mapping[str, Any], int, Report], Mapping[str, float]]
Prepare = Callable[[Search], Objective]


class Training:
    """The objective of the series: train the network of a trial, measure it at its end.

    Searches of one repetition begin with the same points, and random search goes on with the
    same ones. What another search in `folder` has trained to its end is not trained again: its
    accuracies are reported instead, epoch by epoch, and count as if they had been trained.
    """

    def __init__(self, search: Search, folder: Path | None = None) -> None:
        self.search, self.folder = search, folder
        self.device = search.data.device()
        self.data = search.data.load().to(self.device)

    def __call__(self, params: Mapping[str, Any], number: int, report: Report) -> dict[str, float]:
        """Train for the trial's epochs, or until `report` raises.

        The test split is read once, at the end; the search only keeps what it said.
        """
        if self.folder:
            known = journal.same_trial(self.search, self.folder, params, number)
            if known:
                return _replay(known, report)
        experiment = self.search.experiment(params, number)
        (plan,) = experiment.recipe
        with torch.random.fork_rng():
            torch.manual_seed(experiment.seed)
            model = experiment.model.build()
        how = machine.precision(plan.precision, self.device)

        def after_step(model: torch.nn.Module, step: int, steps: int) -> None:
            each = steps // plan.epochs
            if step % each == 0 and step < steps:
                found = evaluate(model, self.data.validation, self.data, precision=how)
                report(step // each, found.accuracy)

        generator = torch.Generator().manual_seed(experiment.seed)
        history = fit(
            model,
            self.data,
            plan,
            generator=generator,
            device=self.device,
            after_step=[after_step],
        )
        report(plan.epochs, history[-1]["validation_accuracy"])
        test = evaluate(model, self.data.test, self.data, precision=how)
        return {
            "validation_accuracy": history[-1]["validation_accuracy"],
            "test_accuracy": test.accuracy,
        }


def _replay(known: optuna.trial.FrozenTrial, report: Report) -> dict[str, float]:
    """What `Training` would report and return for a trial that is already known."""
    for epoch, accuracy in sorted(known.intermediate_values.items()):
        report(epoch, accuracy)
    return {"validation_accuracy": known.value, "test_accuracy": known.user_attrs["test_accuracy"]}


def run_search(
    search: Search,
    folder: Path,
    *,
    jobs: int = 1,
    trials: int | None = None,
    prepare: Prepare | None = None,
    progress: bool = True,
) -> optuna.Study:
    """Go on with `search` until its budget ends, or for `trials` more trials; its study.

    What finished is in the journal and stays there; a trial that was interrupted is marked
    failed, and its finished epochs count. `jobs` processes share the journal: faster, but what
    a trial sees of the others then depends on their pace, so it cannot be repeated exactly.
    `prepare` makes the objective, `Training` unless given.
    """
    prepare = prepare or partial(Training, folder=folder)
    threads = machine.threads_each(jobs)
    study = journal.open_study(search, folder)
    _clear_up(study)
    if not journal.is_done(search, study.get_trials(deepcopy=False)):
        journal.note_run(study, machine.device_name(search.data.device()))
    if jobs == 1:
        _work(search, folder, prepare, trials, progress)
    else:
        from joblib import Parallel, delayed

        share = [None if trials is None else len(range(i, trials, jobs)) for i in range(jobs)]
        Parallel(n_jobs=jobs)(
            delayed(_work)(search, folder, prepare, count, progress and i == 0, threads)
            for i, count in enumerate(share)
        )
    return journal.open_study(search, folder)


def _clear_up(study: optuna.Study) -> None:
    """Mark the trials failed whose process has ended; their finished epochs count."""
    running = (optuna.trial.TrialState.RUNNING,)
    for trial in study.get_trials(deepcopy=False, states=running):
        if journal.is_gone(trial):
            study.tell(trial.number, state=FAILED)


def _work(
    search: Search,
    folder: Path,
    prepare: Prepare,
    most: int | None,
    progress: bool,
    threads: int | None = None,
) -> None:
    """Trials in this process, `most` of them at most."""
    if threads:
        torch.set_num_threads(threads)
    study = journal.open_study(search, folder)
    objective: Objective | None = None
    with tqdm(total=search.budget, desc=search.name, unit="epoch", disable=not progress) as bar:
        while most is None or most > 0:
            known = study.get_trials(deepcopy=False)
            used = journal.spent(search, known)
            bar.update(used - bar.n)
            if used + search.epochs > search.budget:
                break
            objective = objective or prepare(search)
            if not _one(search, study, objective):
                break
            most = None if most is None else most - 1
        bar.update(journal.spent(search, study.get_trials(deepcopy=False)) - bar.n)


def _one(search: Search, study: optuna.Study, objective: Objective) -> bool:
    """One trial; False if the budget has no room for it after all."""
    trial = study.ask(distributions(search.space))
    state, values, start = FAILED, None, time.perf_counter()
    try:
        trial.set_user_attr("worker", journal.worker_name())
        if not _has_room(search, study, trial.number):
            return False
        measured = objective(trial.params, trial.number, _reporter(search, trial))
        for name, value in measured.items():
            if name != "validation_accuracy":
                trial.set_user_attr(name, value)
        trial.set_user_attr("seconds", round(time.perf_counter() - start, 2))
        state, values = COMPLETE, measured["validation_accuracy"]
    except optuna.TrialPruned:
        trial.set_user_attr("seconds", round(time.perf_counter() - start, 2))
        state = PRUNED
    except DivergedError as error:  # as bad as can be: samplers learn from a pruned trial
        trial.set_user_attr("epochs", min(search.epochs, len(error.history) + 1))
        trial.set_user_attr("diverged", True)
        state = PRUNED
    finally:
        study.tell(trial, values, state=state)
    return True


def _has_room(search: Search, study: optuna.Study, number: int) -> bool:
    """Two processes may have begun a trial each for the last room: the earlier number has it."""
    known = study.get_trials(deepcopy=False)
    others = [trial for trial in known if trial.number < number or trial.state.is_finished()]
    return journal.spent(search, others) + search.epochs <= search.budget


def _reporter(search: Search, trial: optuna.Trial) -> Report:
    def report(epoch: int, accuracy: float) -> None:
        trial.report(accuracy, epoch)
        if epoch < search.epochs and trial.should_prune():
            raise optuna.TrialPruned(f"after epoch {epoch}")

    return report
