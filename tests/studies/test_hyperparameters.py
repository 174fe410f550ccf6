"""Chapter 08: winners of searches against the settings of the series, trained in full."""

from __future__ import annotations

from tiny_search import hill

from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.search.journal import read_search
from squeeze_utils.experiments.search.running import run_search
from squeeze_utils.studies import hyperparameters
from squeeze_utils.studies.catalogue import find


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
    monkeypatch.setattr(hyperparameters, "read_search", lambda one: read_search(one, tmp_path))

    done, begun = (hyperparameters.search(Scale("reference"), "random", r) for r in (0, 1))
    run_search(done, tmp_path, objective=hill, progress=False)
    run_search(begun, tmp_path, objective=hill, trials=2, progress=False)
    found = hyperparameters.winners()
    assert list(found) == ["random"] and list(found["random"]) == [0]
    assert set(found["random"][0]) == {axis.name for axis in hyperparameters.SPACE}
    names = {dict(arm.labels)["settings"] for arm in find("tuned", Scale("reference")).arms}
    assert names == {"default", "random"}
