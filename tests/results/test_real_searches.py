"""The recorded searches of chapter 08: winners, what stands out, and what selection adds."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from squeeze_utils.results import real_searches
from squeeze_utils.results.real_searches import RealSearches
from squeeze_utils.results.tables import NO_RECORDS
from squeeze_utils.studies.hyperparameters import METHODS, REPETITIONS


@pytest.fixture(scope="module")
def recorded():
    return RealSearches.recorded()


def made_up(trials: int = 60) -> RealSearches:
    """Random searches in which the learning rate alone decides, the larger the better."""
    rng = np.random.default_rng(0)
    rates = 10 ** rng.uniform(-3, 0, trials)
    frame = pd.DataFrame(
        {
            "lr": rates,
            "weight_decay": 10 ** rng.uniform(-5, -0.6, trials),
            "optimizer": rng.choice(["nesterov", "muon"], trials),
            "schedule": rng.choice(["constant", "linear", "cosine", "one_cycle"], trials),
            "batch_size": rng.choice([32, 64, 128, 256], trials),
            "label_smoothing": rng.uniform(0, 0.2, trials),
            "shift": rng.integers(0, 5, trials),
            "dropout": rng.uniform(0, 0.5, trials),
            "number": np.arange(trials),
            "state": "complete",
            "method": "random",
            "repetition": 0,
            "validation_accuracy": 50 + 10 * np.log10(rates),
            "test_accuracy": 49 + 10 * np.log10(rates),
        }
    )
    return RealSearches(frame, real_searches._source(None, []))


def test_the_records_hold_a_winner_of_every_search(recorded):
    winners = recorded.winners()
    assert len(winners) == len(METHODS) * REPETITIONS
    searches = dict(iter(recorded.frame.groupby(["method", "repetition"])))
    for name, row in winners.iterrows():
        own = searches[name]
        assert row["validation_accuracy"] == own["validation_accuracy"].max()
        assert row["pruned"] <= row["points"] == (own["state"] != "failed").sum()
    assert (winners.loc["random", "pruned"] == 0).all()
    for part in ("CIFAR-10 (5,000 training images)", "3 repetitions", "4 epochs a trial", "2026-"):
        assert part in recorded.source
    said = recorded.winners_compared()
    assert "**TPE + pruning**" in said and "in 3 of 3 repetitions" in said


def test_after_the_start_muon_is_counted_in_percent(recorded):
    table = recorded.after_the_start()
    assert len(table) == REPETITIONS and table.shape[1] == 4
    shares = table.filter(like="Muon later")
    assert ((shares >= 0) & (shares <= 100)).all(axis=None)
    everything = recorded.after_the_start(startup=0)
    assert everything.filter(like="best of the start").empty


def test_only_the_setting_that_decides_stands_out():
    found = made_up()
    assert found.standing_out()[0] == "lr" and "dropout" not in found.standing_out()
    rng = np.random.default_rng(1)
    luck = found.frame.assign(validation_accuracy=rng.permutation(found.frame["test_accuracy"]))
    assert "lr" not in RealSearches(luck, found.source).standing_out()


def test_selection_adds_what_the_winner_has_above_the_mean_gap():
    found = made_up()
    assert found.added_by_selection() == pytest.approx(0)
    frame = found.frame.copy()
    frame.loc[frame["validation_accuracy"].idxmax(), "validation_accuracy"] += 6
    assert RealSearches(frame, found.source).added_by_selection() == pytest.approx(6 - 6 / 60)


def test_without_journals_there_are_sentences_and_empty_tables(monkeypatch):
    monkeypatch.setattr(real_searches, "read_search", lambda search: None)
    found = RealSearches.recorded()
    assert found.source == found.winners_compared() == f"{NO_RECORDS}."
    assert found.winners().empty and found.after_the_start().empty
    assert found.standing_out() == [] and math.isnan(found.added_by_selection())
