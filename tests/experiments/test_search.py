from __future__ import annotations

import os
import platform
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import optuna
import pytest
import tiny_search
import torch
from tiny_search import SPACE, Hill, search

from squeeze_utils.base import paths
from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments import search as rooms
from squeeze_utils.experiments.recipe import DataSpec
from squeeze_utils.experiments.search import (
    Choice,
    JournalError,
    Range,
    Search,
    Training,
    best,
    commands,
    is_done,
    journal_path,
    read_search,
    running,
    spent,
    trials,
)
from squeeze_utils.experiments.search.journal import same_trial
from squeeze_utils.experiments.search.running import run_search
from squeeze_utils.models import ModelSpec
from squeeze_utils.studies import hyperparameters
from squeeze_utils.studies.catalogue import find
from squeeze_utils.training import evaluation
from squeeze_utils.training.loop import DivergedError, Train, TrainingInterrupted, fit


def go(one: Search, folder: Path, **options) -> optuna.Study:
    return run_search(one, folder, **{"prepare": Hill, "progress": False, **options})


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
    hill, found = Hill(search()), {}
    for name in ("tpe", "random"):
        study = optuna.create_study(direction="maximize", sampler=rooms.sampler(name, 0, 4))
        for _ in range(30):
            trial = study.ask(rooms.distributions(SPACE))
            measured = hill(trial.params, 0, lambda epoch, accuracy: None)
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
    class Interrupted(Hill):
        def __call__(self, params, number, report):
            report(1, 30.0)
            raise TrainingInterrupted([{}])

    with pytest.raises(KeyboardInterrupt):
        go(search(), tmp_path, prepare=Interrupted)
    (trial,) = finished(read_search(search(), tmp_path))
    assert trial.state == optuna.trial.TrialState.FAIL
    assert spent(search(), [trial]) == 1
    study = go(search(), tmp_path)
    frame = trials(search(), study)
    assert frame["epochs"].tolist() == [1] + [4] * 9 and frame["spent"].iloc[-1] == 37
    assert best(study).number > 0


def test_a_diverged_trial_counts_as_pruned_and_costs_the_epoch_it_died_in(tmp_path):
    class Diverging(Hill):
        def __call__(self, params, number, report):
            if number == 0:
                report(1, 10.0)
                error = DivergedError("not finite")
                error.history = [{}]
                raise error
            return super().__call__(params, number, report)

    frame = trials(search(), go(search(), tmp_path, prepare=Diverging, trials=2))
    assert frame["state"].tolist() == ["pruned", "complete"]
    assert frame["epochs"].tolist() == [2, 4]


def test_an_error_in_a_trial_is_not_swallowed(tmp_path):
    class Broken(Hill):
        def __call__(self, params, number, report):
            raise RuntimeError("no such thing")

    with pytest.raises(RuntimeError, match="no such thing"):
        go(search(), tmp_path, prepare=Broken)
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


def test_two_processes_share_one_journal(tmp_path):
    study = go(search(budget=42), tmp_path, jobs=2)
    frame = trials(search(), study)
    used = frame[frame["epochs"] > 0]
    assert used["spent"].iloc[-1] == 40 and (used["state"] == "complete").all()
    assert frame["number"].tolist() == list(range(len(frame)))
    assert len({repr(point) for point in points(study)}) == len(frame)
    workers = {trial.user_attrs["worker"] for trial in finished(study)}
    assert workers and not any(worker.endswith(f":{os.getpid()}") for worker in workers)


def test_of_two_that_begin_at_once_the_earlier_number_has_the_last_room(tmp_path):
    one = search(budget=4)
    study = rooms.open_study(one, tmp_path)
    first, second = (study.ask(rooms.distributions(SPACE)) for _ in range(2))
    assert running._has_room(one, study, first.number)
    assert not running._has_room(one, study, second.number)


# ---- real training


def digits(**options) -> Search:
    space = (Range("lr", 0.02, 0.2, log=True), Range("label_smoothing", 0.0, 0.1))
    model = ModelSpec.of("lenet_300_100", image_size=8)
    fixed = {"model": model, "data": DataSpec("digits", 8, 128), "train": (("batch_size", 32),)}
    return Search(space=space, **{"name": "digits", "budget": 6, "epochs": 3, **fixed, **options})


def test_training_reports_what_the_history_says_and_reads_the_test_split_at_the_end():
    one = digits()
    params, told = {"lr": 0.1, "label_smoothing": 0.05}, []
    objective = Training(one)
    measured = objective(params, 0, lambda epoch, accuracy: told.append((epoch, accuracy)))
    experiment = one.experiment(params, 0)
    with torch.random.fork_rng():
        torch.manual_seed(experiment.seed)
        model = experiment.model.build()
    history = fit(
        model,
        objective.data,
        experiment.recipe[0],
        generator=torch.Generator().manual_seed(experiment.seed),
    )
    assert told == [(epoch["epoch"], epoch["validation_accuracy"]) for epoch in history]
    assert measured["validation_accuracy"] == told[-1][1]
    test = evaluation.evaluate(model, objective.data.test, objective.data)
    assert measured["test_accuracy"] == pytest.approx(test.accuracy, abs=1.5)


def test_a_pruned_training_stops_at_once_and_leaves_the_random_state_alone(monkeypatch):
    seen = []
    real = running.evaluate
    monkeypatch.setattr(running, "evaluate", lambda *a, **k: seen.append(a[1]) or real(*a, **k))

    def stop(epoch: int, accuracy: float) -> None:
        raise optuna.TrialPruned

    objective = Training(digits())
    before = torch.get_rng_state()
    with pytest.raises(optuna.TrialPruned):
        objective({"lr": 0.1, "label_smoothing": 0.0}, 0, stop)
    assert torch.equal(torch.get_rng_state(), before)
    assert len(seen) == 1 and seen[0] is objective.data.validation  # never the test split


def test_a_real_search_keeps_test_accuracies_and_provenance(tmp_path):
    one = digits()
    study = run_search(one, tmp_path, progress=False)
    frame = trials(one, study)
    assert frame["state"].tolist() == ["complete"] * 2
    assert frame["test_accuracy"].between(20, 100).all() and (frame["seconds"] > 0).all()
    assert best(study).value == frame["validation_accuracy"].max()
    assert f"optuna {optuna.__version__}" in rooms.source_of_searches({"digits": study})
    assert rooms.source_of_searches({}) == "no search has been run yet"
    text = journal_path(one, tmp_path).read_text()
    assert platform.node() not in text and str(tmp_path) not in text


# ---- trials that another search has already trained


def test_a_trial_that_another_search_finished_is_not_trained_again(tmp_path, monkeypatch):
    options = {"budget": 6, "epochs": 3, "startup": 8, "sampler": "random"}
    first = digits(name="first", **options)
    one = trials(first, run_search(first, tmp_path, progress=False))
    monkeypatch.setattr(running, "fit", lambda *a, **k: pytest.fail("trained again"))
    second = digits(name="second", **options | {"sampler": "tpe"})  # begins like random search
    two = trials(second, run_search(second, tmp_path, progress=False))
    for name in ("curve", "validation_accuracy", "test_accuracy", "epochs", "lr"):
        assert two[name].tolist() == one[name].tolist(), name


def test_a_known_trial_is_pruned_like_a_trained_one(tmp_path):
    first = digits(name="first", sampler="random")
    known = finished(run_search(first, tmp_path, progress=False))[0]
    told = []

    def stop(epoch: int, accuracy: float) -> None:
        told.append((epoch, accuracy))
        if epoch == 2:
            raise optuna.TrialPruned

    objective = Training(digits(name="second", pruner="median"), tmp_path)
    with pytest.raises(optuna.TrialPruned):
        objective(known.params, 0, stop)
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
def test_only_the_very_same_trial_counts_as_known(options, tmp_path):
    first = digits(name="first", sampler="random")
    known = finished(run_search(first, tmp_path, progress=False))[0]
    again = digits(name="second", pruner="median", startup=3)
    assert same_trial(again, tmp_path, known.params, 0).params == known.params
    assert same_trial(again, tmp_path, known.params, 1) is None
    assert same_trial(again, tmp_path, {**known.params, "lr": 0.05}, 0) is None
    assert same_trial(first, tmp_path, known.params, 0) is None  # its own journal does not count
    other = digits(**{"name": "second", "sampler": "random", **options})
    assert same_trial(other, tmp_path, known.params, 0) is None
    journal_path(first, tmp_path).write_text("damaged")
    assert same_trial(again, tmp_path, known.params, 0) is None


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


# ---- what is refused


def test_unknown_names_and_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match="unknown sampler 'grid'; accepted: tpe, random"):
        search(sampler="grid")
    with pytest.raises(ValueError, match="unknown pruner 'axe'; accepted: none, median, halving"):
        search(pruner="axe")
    with pytest.raises(ValueError, match="unknown sampler 'grid'"):
        rooms.sampler("grid", 0)
    with pytest.raises(ValueError, match="unknown pruner 'axe'"):
        rooms.pruner("axe")
    with pytest.raises(ValueError, match="unknown option of training 'speed'; accepted: epochs"):
        Search("x", (Range("speed", 0, 1),))
    with pytest.raises(ValueError, match="budget of 3 epochs has no room for 4"):
        search(budget=3)
    with pytest.raises(ValueError, match="repetition must be a whole number"):
        search(repetition=-1)
    with pytest.raises(ValueError, match="axes with different names"):
        Search("x", (SPACE[0], SPACE[0]))
    with pytest.raises(ValueError, match="jobs must be at least 1"):
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


# ---- the command and the chapter's study


@pytest.fixture
def command(tmp_path, monkeypatch):
    known = {one.name: one for one in (search("one"), search("two", repetition=1))}
    monkeypatch.setattr(commands, "catalogue", lambda scale: known)
    monkeypatch.setattr(commands, "run", lambda one, folder, **how: go(one, folder, **how))
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / "shipped" / name)
    monkeypatch.delenv("SQUEEZE_SCALE", raising=False)
    return commands.main


def test_the_command_goes_on_with_a_search_or_a_group(command, tmp_path, capsys):
    assert command(["run", "one", "--scale", "reference"]) == 0
    assert command(["list"]) == 0
    shown = capsys.readouterr().out.splitlines()
    assert shown[0].split() == ["one", "40/40", "epochs", "10", "trials"]
    assert shown[1].split() == ["two", "0/40", "epochs", "0", "trials"]
    assert command(["run", "tuning", "--scale", "reference"]) == 0
    folder = tmp_path / "shipped" / "runs" / "tuning"
    assert sorted(path.name for path in folder.iterdir()) == ["one.journal", "two.journal"]
    assert command(["run", "two"]) == 0
    assert (tmp_path / "cache" / "runs" / "tuning" / "two.journal").is_file()


def test_the_command_refuses_clearly(command, monkeypatch, capsys):
    assert command(["run", "nothing"]) == 2
    assert "unknown search 'nothing'; accepted: tuning, one, two" in capsys.readouterr().err
    assert command(["run", "one", "--jobs", "0"]) == 2
    assert "jobs must be at least 1, got 0" in capsys.readouterr().err

    def interrupt(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(commands, "run", interrupt)
    assert command(["run", "one"]) == 130
    assert "start again to go on" in capsys.readouterr().err


def test_the_searches_of_the_series_differ_in_method_and_repetition_only():
    found = commands.catalogue(Scale("reference"))
    assert len(found) == len(hyperparameters.METHODS) * hyperparameters.REPETITIONS
    plain = [one.as_dict() for one in found.values()]
    for one in plain:
        for key in ("sampler", "pruner", "repetition"):
            one.pop(key)
    assert all(one == plain[0] for one in plain)
    assert {one.budget for one in found.values()} == {64}
    for one in found.values():  # every corner of the space is a valid experiment
        for end in (0, -1):
            point = {
                axis.name: axis.values[end]
                if isinstance(axis, Choice)
                else (axis.low, axis.high)[end]
                for axis in one.space
            }
            assert isinstance(one.experiment(point, 0).recipe[0], Train)


def test_the_contest_has_a_row_for_each_method_and_no_run_twice():
    point = {"lr": 0.1, "optimizer": "muon", "dropout": 0.3, "shift": 2}
    other = {**point, "lr": 0.2}
    found = {"TPE": {0: point, 1: point}, "random": {0: dict(point), 1: other}}
    study = hyperparameters.contest(Scale("reference"), found)
    rows = [(dict(arm.labels)["settings"], arm.experiment.seed) for arm in study.arms]
    assert rows == [("default", seed) for seed in (0, 1, 2)] + [
        ("TPE", 0),
        ("TPE", 1),
        ("random", 0),
        ("random", 1),
    ]
    keys = [arm.experiment.key for arm in study.arms]
    assert keys[3] == keys[5] and len(set(keys)) == 6  # both found the same point
    winner = study.arms[3].experiment
    (step,) = winner.recipe
    assert dict(winner.model.options)["dropout"] == 0.3 and step.lr == 0.1 and step.epochs == 8
    assert winner.data.train_limit == 20_000 and step.shift == 2


def test_the_default_of_the_contest_is_what_the_other_chapters_train():
    study = hyperparameters.contest(Scale("reference"), {})
    plain = find("activations", Scale("reference")).where(activation="relu")
    assert [a.experiment.key for a in study.arms] == [a.experiment.key for a in plain.arms]


def test_only_finished_searches_send_a_winner(tmp_path, monkeypatch):
    monkeypatch.setattr(hyperparameters, "read", lambda one: read_search(one, tmp_path))

    done, begun = (hyperparameters.search(Scale("reference"), "random", r) for r in (0, 1))
    go(done, tmp_path)
    go(begun, tmp_path, trials=2)
    found = hyperparameters.winners()
    assert list(found) == ["random"] and list(found["random"]) == [0]
    assert set(found["random"][0]) == {axis.name for axis in hyperparameters.SPACE}
    names = {dict(arm.labels)["settings"] for arm in find("tuned", Scale("reference")).arms}
    assert names == {"default", "random"}
