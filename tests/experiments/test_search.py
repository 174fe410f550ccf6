"""Searches: what is suggested, the budget, going on after a stop, and journals."""

from __future__ import annotations

import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import optuna
import pytest
import tiny_search
import torch
from tiny import same_states
from tiny_search import SPACE, hill, search

from squeeze_utils.base import paths
from squeeze_utils.experiments.experiment import DataSpec, Experiment
from squeeze_utils.experiments.run_experiment import finish, run_experiment
from squeeze_utils.experiments.search import (
    Choice,
    JournalError,
    Range,
    Search,
    best,
    distributions,
    is_done,
    journal_path,
    methods,
    read_search,
    running,
    trials,
    workers,
)
from squeeze_utils.experiments.search.journal import open_study, same_trial, spent
from squeeze_utils.experiments.search.methods import Sampler, pruner
from squeeze_utils.experiments.search.running import Report, run_search, run_trial
from squeeze_utils.models import ModelSpec
from squeeze_utils.training import epochs, evaluation
from squeeze_utils.training.loop import DivergedError, TrainingInterrupted


@pytest.fixture(autouse=True)
def never_wait_for_the_disk(monkeypatch):
    """Optuna asks the disk to keep every line of a journal at once, a hundred times a search."""
    monkeypatch.setattr(os, "fsync", lambda file: None)


def go(one: Search, folder: Path, **options) -> optuna.Study:
    return run_search(one, folder, **{"objective": hill, "progress": False, **options})


def points(study: optuna.Study) -> list[dict]:
    return [trial.params for trial in study.get_trials(deepcopy=False)]


def finished(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False)


# ---- what is suggested


@pytest.mark.parametrize("sampler", ["tpe", "random"])
def test_the_same_repetition_suggests_the_same_points_and_another_one_others(sampler, tmp_path):
    first = go(search("a", sampler=sampler), tmp_path)
    again = go(search("b", sampler=sampler), tmp_path)
    other = go(search("c", sampler=sampler, repetition=1), tmp_path)
    assert len(finished(first)) == 10
    assert points(first) == points(again)
    assert all(one != two for one, two in zip(points(first), points(other), strict=True))


def test_tpe_begins_like_random_search_and_then_goes_its_own_way(tmp_path):
    tpe = points(go(search("tpe"), tmp_path))
    chance = points(go(search("random", sampler="random"), tmp_path))
    assert tpe[:4] == chance[:4]
    assert all(one != two for one, two in zip(tpe[4:], chance[4:], strict=True))


def test_tpe_finds_the_hill_and_random_search_does_not_look_for_it():
    found = {}
    for name in ("tpe", "random"):
        study = optuna.create_study(direction="maximize", sampler=Sampler(name, 0, 4))
        for _ in range(30):
            trial = study.ask(distributions(SPACE))
            measured = hill(search().experiment(trial.params, 0), lambda epoch, accuracy: None)
            study.tell(trial, measured["validation_accuracy"])
        found[name] = sum(trial.value for trial in study.trials[15:]) / 15
    assert found["tpe"] > found["random"] + 5


# ---- the budget


def test_the_budget_is_never_exceeded_and_a_pruned_trial_leaves_some_for_others(tmp_path):
    plain, pruning = (
        search(pruner, sampler="random", pruner=pruner, budget=42) for pruner in ("none", "median")
    )
    whole, cut = (trials(one, go(one, tmp_path)) for one in (plain, pruning))
    assert whole["epochs"].tolist() == [4] * 10 and whole["spent"].iloc[-1] == 40
    assert 38 < cut["spent"].iloc[-1] <= 42  # no room for another four
    assert len(cut) > len(whole)
    stopped = cut[cut["state"] == "pruned"]
    assert (stopped["epochs"] == 2).all() and len(stopped) > 1
    assert stopped["validation_accuracy"].isna().all() and stopped["test_accuracy"].isna().all()
    assert (cut.loc[cut["state"] == "complete", "epochs"] == 4).all()
    assert [len(curve) for curve in cut["curve"]] == cut["epochs"].tolist()


def test_a_larger_budget_goes_on_with_the_same_journal(tmp_path):
    go(search(), tmp_path)
    more = go(search(budget=60), tmp_path)
    assert len(finished(more)) == 15 and is_done(search(budget=60), finished(more))
    straight = go(search("straight", budget=60), tmp_path)
    assert points(more) == points(straight)


def test_halving_stops_the_worse_ones(tmp_path):
    one = search(pruner="halving", sampler="random")
    frame = trials(one, go(one, tmp_path))
    assert set(frame["state"]) == {"complete", "pruned"}
    kept = frame[frame["state"] == "complete"]
    assert max(frame["curve"].map(lambda c: c[1])) == max(kept["curve"].map(lambda c: c[1]))


# ---- going on


def test_a_search_that_was_stopped_goes_on_as_if_it_had_not_been(tmp_path):
    straight = go(search("straight", pruner="median"), tmp_path)
    for most in (3, 5, 100):
        stopped = go(search("stopped", pruner="median"), tmp_path, trials=most)
        assert [trial.number for trial in finished(stopped)] == list(range(len(finished(stopped))))
    frames = [trials(search(), study).drop(columns="seconds") for study in (straight, stopped)]
    assert frames[0].equals(frames[1])
    assert len({repr(point) for point in points(stopped)}) == len(finished(stopped))
    before = journal_path(search("stopped"), tmp_path).read_bytes()
    go(search("stopped", pruner="median"), tmp_path)
    assert journal_path(search("stopped"), tmp_path).read_bytes() == before  # nothing left to do


def test_interrupted_trials_are_failed_and_their_finished_epochs_count(tmp_path):
    def interrupted(experiment: Experiment, report: Report) -> dict:
        report(1, 30.0)
        raise TrainingInterrupted([{}])

    with pytest.raises(KeyboardInterrupt):
        go(search(), tmp_path, objective=interrupted)
    (trial,) = finished(read_search(search(), tmp_path))
    assert trial.state == optuna.trial.TrialState.FAIL
    assert spent(search(), [trial]) == 1
    study = go(search(), tmp_path)
    frame = trials(search(), study)
    assert frame["epochs"].tolist() == [1] + [4] * 9 and frame["spent"].iloc[-1] == 37
    assert best(study).number > 0


def test_ctrl_c_while_a_point_is_suggested_gives_its_epochs_back(tmp_path, monkeypatch):
    def stop(*args):
        raise KeyboardInterrupt

    go(search(), tmp_path, trials=2)
    with monkeypatch.context() as patched:
        patched.setattr(methods.Sampler, "sample_relative", stop)
        with pytest.raises(KeyboardInterrupt):
            go(search(), tmp_path)
    frame = trials(search(), go(search(), tmp_path))
    assert frame["state"].tolist() == ["complete"] * 2 + ["failed"] + ["complete"] * 8
    assert is_done(search(), finished(read_search(search(), tmp_path)))


def test_a_diverged_trial_counts_as_pruned_and_costs_the_epoch_it_died_in(tmp_path):
    def diverging(experiment: Experiment, report: Report) -> dict:
        if experiment.seed == 0:
            report(1, 10.0)
            error = DivergedError("not finite")
            error.history = [{}]
            raise error
        return hill(experiment, report)

    frame = trials(search(), go(search(), tmp_path, objective=diverging, trials=2))
    assert frame["state"].tolist() == ["pruned", "complete"]
    assert frame["epochs"].tolist() == [2, 4]


def test_an_error_in_a_trial_is_not_swallowed(tmp_path):
    def broken(experiment: Experiment, report: Report) -> dict:
        raise RuntimeError("no such thing")

    with pytest.raises(RuntimeError, match="no such thing"):
        go(search(), tmp_path, objective=broken)
    assert trials(search(), read_search(search(), tmp_path))["state"].tolist() == ["failed"]


@pytest.mark.skipif(os.name != "posix", reason="asks the system which processes live")
def test_after_a_kill_the_trial_is_failed_and_the_search_goes_on(tmp_path):
    flag = tmp_path / "hangs"
    process = subprocess.Popen(
        [sys.executable, tiny_search.__file__, str(tmp_path)],
        env={**os.environ, "TINY_PAUSE": str(flag)},
    )
    try:
        limit = time.monotonic() + 120
        while not flag.exists():
            assert process.poll() is None and time.monotonic() < limit
            time.sleep(0.05)
        alive = finished(read_search(search(), tmp_path))
        assert [trial.state.name for trial in alive] == ["COMPLETE", "RUNNING"]
        assert spent(search(), alive) == 8  # four of them reserved
        go(search(), tmp_path, trials=1)
        assert trials(search(), read_search(search(), tmp_path))["state"].tolist() == [
            "complete",
            "running",  # its process lives: left alone
            "complete",
        ]
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    frame = trials(search(), go(search(), tmp_path))
    assert frame["state"].tolist() == ["complete", "failed"] + ["complete"] * 8
    assert frame["epochs"].tolist()[:3] == [4, 1, 4] and frame["spent"].iloc[-1] == 37


@pytest.mark.skipif(os.name != "posix", reason="asks the system which processes live")
@pytest.mark.parametrize(
    ("where", "lives", "gone"),
    [
        (("host", "start", "space"), True, False),
        (("host", "start", "space"), False, True),
        (("host", "start", "container"), False, False),  # its numbers are not ours
        (("host", "before", "space"), True, True),  # the number is another process's by now
        (("elsewhere", "start", "space"), False, False),
    ],
)
def test_a_process_is_gone_where_that_is_certain(where, lives, gone, monkeypatch):
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    monkeypatch.setattr(workers, "this_machine", lambda: where)
    number = os.getpid() if lives else process.pid
    name = f"{workers.worker_name().partition(':')[0]}:{number}"
    monkeypatch.setattr(workers, "this_machine", lambda: ("host", "start", "space"))
    assert workers.is_gone(SimpleNamespace(user_attrs={"worker": name})) is gone


@pytest.mark.parametrize("attrs", [{}, {"worker": "0123abcd:1"}])
def test_of_a_process_without_a_full_name_nothing_is_known(attrs):
    assert not workers.is_gone(SimpleNamespace(user_attrs=attrs))


def test_two_processes_share_one_journal(tmp_path):
    one = search(budget=42)

    def together(experiment: Experiment, report: Report) -> dict:
        """Waits until both have begun a trial."""
        limit = time.monotonic() + 60
        while len({t.user_attrs.get("worker") for t in finished(read_search(one, tmp_path))}) < 2:
            assert time.monotonic() < limit
            time.sleep(0.05)
        return hill(experiment, report)

    study = go(one, tmp_path, jobs=2, objective=together)
    frame = trials(search(), study)
    used = frame[frame["epochs"] > 0]
    assert used["spent"].iloc[-1] == 40 and (used["state"] == "complete").all()
    assert frame["number"].tolist() == list(range(len(frame)))
    assert len({repr(point) for point in points(study)}) == len(frame)
    workers = {trial.user_attrs["worker"] for trial in finished(study)}
    assert len(workers) == 2 and any(worker.endswith(f":{os.getpid()}") for worker in workers)


def test_a_search_in_one_process_leaves_the_number_of_threads_alone(tmp_path):
    """Several searches run side by side, each with its share of the threads."""
    threads, seen = torch.get_num_threads(), []

    def counting(experiment: Experiment, report: Report) -> dict:
        seen.append(torch.get_num_threads())
        return hill(experiment, report)

    try:
        torch.set_num_threads(3)
        go(search(), tmp_path, objective=counting, trials=1)
    finally:
        torch.set_num_threads(threads)
    assert seen == [3]


def test_of_two_that_begin_at_once_the_earlier_number_has_the_last_room(tmp_path):
    one = search(budget=4)
    study = open_study(one, tmp_path)
    first, second = (study.ask(distributions(SPACE)) for _ in range(2))
    assert running._has_room(one, study, first.number)
    assert not running._has_room(one, study, second.number)


# ---- real training


def digits(**options) -> Search:
    space = (Range("lr", 0.02, 0.2, log=True), Range("label_smoothing", 0.0, 0.1))
    model = ModelSpec.of("lenet_300_100", image_size=8)
    fixed = {"model": model, "data": DataSpec("digits", 8, 128), "train": (("batch_size", 32),)}
    return Search(space=space, **{"name": "digits", "budget": 6, "epochs": 3, **fixed, **options})


def test_a_trial_is_the_experiment_that_it_names(monkeypatch):
    """State and numbers are those of the recipe, with one validation for each epoch."""
    one, told, states = digits(), [], []
    experiment = one.experiment({"lr": 0.1, "label_smoothing": 0.05}, 7)
    expected, steps = run_experiment(experiment)
    last = finish(expected, steps)[-1]

    real, validated = epochs.evaluate, []
    monkeypatch.setattr(epochs, "evaluate", lambda *a, **k: validated.append(a[1]) or real(*a, **k))
    monkeypatch.setattr(
        running, "finish", lambda state, steps: states.append(state) or finish(state, steps)
    )
    measured = run_trial(experiment, lambda epoch, accuracy: told.append((epoch, accuracy)))
    history = steps[0]["history"]
    assert told == [(epoch["epoch"], epoch["validation_accuracy"]) for epoch in history]
    assert len(validated) == len(history) == one.epochs
    assert measured == {
        "validation_accuracy": history[-1]["validation_accuracy"],
        "test_accuracy": last["test_accuracy"],
    }
    assert same_states(states[0], expected)


def test_a_search_runs_the_experiments_of_its_trials(tmp_path):
    one = digits(budget=3)
    (trial,) = finished(run_search(one, tmp_path, progress=False))
    experiment = one.experiment(trial.params, 0)
    _, (step,) = run_experiment(experiment)
    curve = [epoch["validation_accuracy"] for epoch in step["history"]]
    assert [value for _, value in sorted(trial.intermediate_values.items())] == curve
    assert trial.value == curve[-1]
    assert trial.user_attrs["experiment"] == experiment.key


def test_a_pruned_trial_stops_at_once_and_leaves_the_random_state_alone(monkeypatch):
    seen, real = [], evaluation.evaluate
    for module in (epochs, "squeeze_utils.experiments.run_experiment"):
        name = module if isinstance(module, str) else module.__name__
        monkeypatch.setattr(f"{name}.evaluate", lambda *a, **k: seen.append(a[1]) or real(*a, **k))

    def stop(epoch: int, accuracy: float) -> None:
        raise optuna.TrialPruned

    one = digits()
    data, before = one.data.load(), torch.get_rng_state()
    with pytest.raises(optuna.TrialPruned):
        run_trial(one.experiment({"lr": 0.1, "label_smoothing": 0.0}, 0), stop, data)
    assert torch.equal(torch.get_rng_state(), before)
    assert [len(split) for split in seen] == [len(data.validation)]  # never the test split


def test_a_real_search_keeps_test_accuracies_and_provenance(tmp_path):
    one = digits()
    study = run_search(one, tmp_path, progress=False)
    frame = trials(one, study)
    assert frame["state"].tolist() == ["complete"] * 2
    assert frame["test_accuracy"].between(20, 100).all() and (frame["seconds"] > 0).all()
    assert best(study).value == frame["validation_accuracy"].max()
    text = journal_path(one, tmp_path).read_text()
    assert platform.node() not in text and str(tmp_path) not in text


# ---- trials that another search has already trained


def test_a_trial_that_another_search_finished_is_not_trained_again(tmp_path, monkeypatch):
    options = {"budget": 6, "epochs": 3, "startup": 8, "sampler": "random"}
    first = digits(name="first", **options)
    one = trials(first, run_search(first, tmp_path, progress=False))
    monkeypatch.setattr(running, "run_trial", lambda *a, **k: pytest.fail("run again"))
    second = digits(name="second", **options | {"sampler": "tpe"})  # begins like random search
    two = trials(second, run_search(second, tmp_path, progress=False))
    for name in ("curve", "validation_accuracy", "test_accuracy", "epochs", "lr"):
        assert two[name].tolist() == one[name].tolist(), name


@pytest.fixture(scope="module")
def group(tmp_path_factory) -> tuple[Path, optuna.trial.FrozenTrial]:
    """A folder with a finished search, and its first trial."""
    folder = tmp_path_factory.mktemp("group")
    one = digits(name="first", sampler="random", budget=3)
    return folder, finished(run_search(one, folder, progress=False))[0]


def test_a_known_trial_is_pruned_like_a_trained_one(group):
    (_, known), told = group, []

    def stop(epoch: int, accuracy: float) -> None:
        told.append((epoch, accuracy))
        if epoch == 2:
            raise optuna.TrialPruned

    with pytest.raises(optuna.TrialPruned):
        running.tell_again(known, stop)
    assert told == sorted(known.intermediate_values.items())[:2]


@pytest.mark.parametrize(
    "options",
    [
        {"repetition": 1},  # another seed
        {"data": DataSpec("digits", 8, 64)},
        {"train": (("batch_size", 16),)},
        {"model": ModelSpec.of("lenet_300_100", image_size=8, num_classes=11)},
        {"epochs": 2},
    ],
    ids=lambda options: next(iter(options)),
)
def test_only_the_very_same_experiment_counts_as_known(options, group):
    folder, known = group

    def found(one: Search, number: int = 0, **changed: float) -> optuna.trial.FrozenTrial | None:
        return same_trial(one, folder, one.experiment({**known.params, **changed}, number))

    again = digits(name="second", sampler="random", pruner="median", startup=3)
    assert found(again).params == known.params
    assert found(again, number=1) is None
    assert found(again, lr=0.05) is None
    assert found(digits(name="first")) is None  # its own journal does not count
    assert found(digits(**{"name": "second", **options})) is None


def test_a_damaged_journal_of_another_search_is_passed_over(group, tmp_path):
    folder, known = group
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    first, again = digits(name="first"), digits(name="second")
    experiment = again.experiment(known.params, 0)
    assert same_trial(again, tmp_path, experiment).params == known.params
    journal_path(first, tmp_path).write_text("damaged")
    assert same_trial(again, tmp_path, experiment) is None


# ---- journals


@pytest.mark.parametrize(
    "damage",
    [
        lambda text: text[:-30],  # the last line is cut
        lambda text: text.replace("\n", "\n{oops\n", 1),
        lambda text: text.replace("\n", "\n[1]\n", 1),
        lambda text: text.replace("\n", '\n{"op_code": 99, "worker_id": "x"}\n', 1),
        lambda text: text.replace('"tiny"', '"other"'),
    ],
    ids=["cut", "no-json", "no-object", "unknown-operation", "other-name"],
)
def test_a_damaged_journal_is_named(damage, tmp_path):
    go(search(), tmp_path, trials=2)
    path = journal_path(search(), tmp_path)
    path.write_text(damage(path.read_text()))
    content = path.read_bytes()
    with pytest.raises(JournalError, match=r"damaged journal tiny\.journal: .*move the file"):
        read_search(search(), tmp_path)
    assert path.read_bytes() == content


def test_a_damaged_journal_is_not_gone_on_with(tmp_path):
    go(search(), tmp_path, trials=2)
    path = journal_path(search(), tmp_path)
    path.write_text(path.read_text()[:-30])
    with pytest.raises(JournalError, match=r"line \d+ of \d+ is not a whole JSON object"):
        go(search(), tmp_path)


def test_a_journal_of_another_search_is_refused(tmp_path):
    go(search(), tmp_path, trials=1)
    with pytest.raises(JournalError, match=r"tiny\.journal is of another search: sampler, epochs"):
        go(search(sampler="random", epochs=5), tmp_path)
    wider = replace(search(), space=(Range("lr", 1e-4, 1.0, log=True), SPACE[1]))
    with pytest.raises(JournalError, match="another search: space differ"):
        read_search(wider, tmp_path)


def test_without_a_journal_there_is_nothing_and_reading_makes_none(tmp_path):
    assert read_search(search(), tmp_path) is None
    assert list(tmp_path.iterdir()) == []
    frame = trials(search(), None)
    assert frame.empty and {"lr", "optimizer", "curve", "spent"} <= set(frame.columns)
    assert best(None) is None


def test_the_committed_journals_are_read_as_they_are():
    """They were written before trials named their experiments."""
    files = sorted((paths.shipped("runs") / "tuning").glob("*.journal"))
    assert len(files) == 9
    for path in files:
        study = running.journal._load(path)
        made = study.user_attrs["search"]
        assert made["sampler"] + "-" + made["pruner"] in path.stem
        complete = [trial for trial in finished(study) if trial.state.name == "COMPLETE"]
        assert len(complete) >= 4 and best(study).value == max(trial.value for trial in complete)
        assert all(len(trial.intermediate_values) == made["epochs"] for trial in complete)


# ---- what is refused


def test_unknown_names_and_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match="unknown sampler 'grid'; accepted: tpe, random"):
        search(sampler="grid")
    with pytest.raises(ValueError, match="unknown pruner 'axe'; accepted: none, median, halving"):
        search(pruner="axe")
    with pytest.raises(ValueError, match="unknown sampler 'grid'"):
        Sampler("grid", 0)
    with pytest.raises(ValueError, match="unknown pruner 'axe'"):
        pruner("axe")
    with pytest.raises(ValueError, match="unknown option of training 'speed'; accepted: epochs"):
        Search("x", (Range("speed", 0, 1),))
    with pytest.raises(ValueError, match="budget of 3 epochs has no room for 4"):
        search(budget=3)
    with pytest.raises(ValueError, match="repetition must be a whole number"):
        search(repetition=-1)
    with pytest.raises(ValueError, match="axes with different names"):
        Search("x", (SPACE[0], SPACE[0]))
    with pytest.raises(ValueError, match="jobs must be a whole number of at least 1"):
        run_search(search(), Path("nowhere"), jobs=0)


def test_axes_refuse_what_is_no_range_and_no_choice():
    with pytest.raises(ValueError, match="lr: low must be below high"):
        Range("lr", 1.0, 0.1)
    with pytest.raises(ValueError, match="logarithmic range begins above 0"):
        Range("lr", 0.0, 0.1, log=True)
    with pytest.raises(ValueError, match="unknown part 'wall'; accepted: train, model"):
        Range("lr", 0.0, 0.1, of="wall")
    with pytest.raises(ValueError, match="at least two different values"):
        Choice("optimizer", ("muon", "muon"))
