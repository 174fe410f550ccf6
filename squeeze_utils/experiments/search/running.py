"""Running a search, in one process or in several: trials until the budget ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

import optuna
from optuna.trial import FrozenTrial
from tqdm.auto import tqdm

from squeeze_utils.base import machine
from squeeze_utils.base.parallel import run_tasks
from squeeze_utils.data import ImageSet
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.experiments.run_experiment import finish, run_experiment
from squeeze_utils.experiments.search import journal
from squeeze_utils.experiments.search.journal import COMPLETE, FAILED, PRUNED, RUNNING
from squeeze_utils.experiments.search.space import Search, distributions
from squeeze_utils.experiments.search.workers import is_gone, worker_name
from squeeze_utils.training.loop import DivergedError

# Called after every epoch with its number (from 1) and the validation accuracy; raises
# optuna.TrialPruned where the trial shall stop.
Report = Callable[[int, float], None]
# The experiment of a trial to what was measured at its end, among it "validation_accuracy",
# which is what the search maximises.
Objective = Callable[[Experiment, Report], Mapping[str, float]]


def run_search(
    search: Search,
    folder: Path,
    *,
    jobs: int = 1,
    trials: int | None = None,
    objective: Objective | None = None,
    progress: bool = True,
) -> optuna.Study:
    """Go on with `search` until its budget ends, or for `trials` more trials; its study.

    What finished is in the journal and stays there; a trial that was interrupted is marked
    failed, and its finished epochs count. `jobs` processes share the journal: faster, but what
    a trial sees of the others then depends on their pace, so it cannot be repeated exactly.

    `objective` is `run_trial` unless given. Then a trial is not run again that another search
    in `folder` has run to its end: its accuracies are reported instead, epoch by epoch, and count
    as if it had been.
    """
    machine.threads_each(jobs)  # refuses a wrong number of processes, whatever there is to do
    study = journal.open_study(search, folder)
    _clear_up(study)
    if journal.is_done(search, study.get_trials(deepcopy=False)):
        return study
    journal.note_run(study, search.data.device())
    shares = [None if trials is None else len(range(i, trials, jobs)) for i in range(jobs)]
    tasks = [(search, folder, objective, most, progress and not i) for i, most in enumerate(shares)]
    if jobs == 1:  # with as many threads as the caller has
        _work(*tasks[0])
    else:
        list(run_tasks(_work, tasks, jobs))
    return journal.open_study(search, folder)


def run_trial(experiment: Experiment, report: Report, data: ImageSet | None = None) -> dict:
    """Run the experiment of a trial, and report after each of its epochs.

    Its validation accuracy is that of the last epoch. The test split is read once, at the end;
    the search only keeps what it said.
    """
    state, steps = run_experiment(
        experiment,
        data=data,
        device=experiment.data.device(),
        after_epoch=lambda epoch: report(epoch["epoch"], epoch["validation_accuracy"]),
    )
    last = finish(state, steps)[-1]
    return {
        "validation_accuracy": last["history"][-1]["validation_accuracy"],
        "test_accuracy": last["test_accuracy"],
    }


def tell_again(known: FrozenTrial, report: Report) -> dict[str, float]:
    """What `run_trial` would report and return for a trial that is already known."""
    for epoch, accuracy in sorted(known.intermediate_values.items()):
        report(epoch, accuracy)
    return {"validation_accuracy": known.value, "test_accuracy": known.user_attrs["test_accuracy"]}


def _run_or_tell_again(search: Search, folder: Path) -> Objective:
    data = search.data.load()

    def objective(experiment: Experiment, report: Report) -> Mapping[str, float]:
        known = journal.same_trial(search, folder, experiment)
        return tell_again(known, report) if known else run_trial(experiment, report, data)

    return objective


def _clear_up(study: optuna.Study) -> None:
    """Mark the trials failed whose process has ended; their finished epochs count."""
    for trial in study.get_trials(deepcopy=False, states=(RUNNING,)):
        if is_gone(trial):
            study.tell(trial.number, state=FAILED)


def _give_up_own(study: optuna.Study) -> None:
    """Mark the running trials of this process failed."""
    for trial in study.get_trials(deepcopy=False, states=(RUNNING,)):
        if trial.user_attrs.get("worker") == worker_name():
            study.tell(trial.number, state=FAILED)


def _work(
    search: Search, folder: Path, objective: Objective | None, most: int | None, progress: bool
) -> None:
    """Trials in this process, `most` of them at most."""
    study = journal.open_study(search, folder)
    objective = objective or _run_or_tell_again(search, folder)
    done = 0
    with tqdm(total=search.budget, desc=search.name, unit="epoch", disable=not progress) as bar:
        while True:
            used = journal.spent(search, study.get_trials(deepcopy=False))
            bar.update(used - bar.n)
            if done == most or used + search.epochs > search.budget:
                break
            if not _run_next(search, study, objective):
                break
            done += 1


def _run_next(search: Search, study: optuna.Study, objective: Objective) -> bool:
    """One trial; False if the budget has no room for it after all."""
    try:
        trial = study.ask(distributions(search.space))
    except BaseException:  # Ctrl-C while a point is being suggested: give its epochs back
        _give_up_own(study)
        raise

    def report(epoch: int, accuracy: float) -> None:
        trial.report(accuracy, epoch)
        if epoch < search.epochs and trial.should_prune():
            raise optuna.TrialPruned(f"after epoch {epoch}")

    state, value, start = FAILED, None, time.perf_counter()
    try:
        if not _has_room(search, study, trial.number):
            return False
        experiment = search.experiment(trial.params, trial.number)
        trial.set_user_attr("experiment", experiment.key)
        measured = dict(objective(experiment, report))
        value = measured.pop("validation_accuracy")
        for name, number in measured.items():
            trial.set_user_attr(name, number)
        state = COMPLETE
    except optuna.TrialPruned:
        state = PRUNED
    except DivergedError as error:  # as bad as can be: samplers learn from a pruned trial
        trial.set_user_attr("epochs", min(search.epochs, len(error.history) + 1))
        trial.set_user_attr("diverged", True)
        state = PRUNED
    finally:
        trial.set_user_attr("seconds", round(time.perf_counter() - start, 2))
        study.tell(trial, value, state=state)
    return True


def _has_room(search: Search, study: optuna.Study, number: int) -> bool:
    """Two processes may have begun a trial each for the last room: the earlier number has it."""
    known = study.get_trials(deepcopy=False)
    others = [trial for trial in known if trial.number < number or trial.state.is_finished()]
    return journal.spent(search, others) + search.epochs <= search.budget
