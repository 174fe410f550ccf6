"""The ladder and the headline in words: none, a part, and all of their records."""

from __future__ import annotations

from dataclasses import replace

import pytest
from finished import finish, pretend

from squeeze_utils.base import paths
from squeeze_utils.results.headlines import best_networks, rungs
from squeeze_utils.results.named_study import study
from squeeze_utils.studies import headline
from squeeze_utils.training.evaluation import count_views


@pytest.fixture
def runs(tmp_path, monkeypatch):
    """A folder of records, empty at first."""
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)
    return tmp_path / "runs"


def recorded(name, change):
    found = study(name).records()
    for record in found.by_key.values():
        record.steps[-1].update(change(dict(record.labels)))
    return found


def test_rungs_are_told_and_judged_when_all_are_there(runs):
    assert rungs(study("ladder").records()) == "The ladder: not trained yet."
    finish("ladder_lr", runs)
    arms = study("ladder").records().study.arms
    pretend(arms[0], runs / "ladder")
    partly = rungs(recorded("ladder", lambda labels: {"test_accuracy": 91.0}))
    assert partly == "- base: 91.00 % (n = 1)\n\nThat every change gains is open."
    finish("ladder", runs)
    order = [name for name, _ in headline.CHANGES]

    def rising(labels):
        return {"test_accuracy": 90.0 + order.index(labels["rung"])}

    words = rungs(recorded("ladder", rising))
    gain = "+1.00 points (+1.00 to +1.00) against the one before: **higher**"
    assert f"- + mixup: 93.00 % (n = 2), {gain}\n" in words
    assert words.startswith("- base: 90.00 % (n = 2)\n")  # nothing comes before it
    assert words.endswith("gains holds in the means.")
    fallen = rungs(
        recorded("ladder", lambda labels: {"test_accuracy": -rising(labels)["test_accuracy"]})
    )
    assert "**lower**" in fallen and fallen.endswith("gains fails in the means.")


def test_the_gains_of_the_ladder_are_judged_together_and_against_neighbours_only(runs):
    finish("ladder_lr", runs)
    finish("ladder", runs)
    order = [name for name, _ in headline.CHANGES]
    found = recorded("ladder", lambda labels: {"test_accuracy": 90.0 + order.index(labels["rung"])})
    for number, record in enumerate(found.by_key.values()):
        record.steps[-1]["test_accuracy"] += number % 2 / 10
    alone = rungs(found.where(rung=tuple(order[:2]))).splitlines()[1]
    among = rungs(found).splitlines()[1]
    assert "+1.00 points (+0.70 to +1.30)" in alone
    assert "+1.00 points (" in among and among != alone  # four intervals hold at once: wider
    early = {key: r for key, r in found.by_key.items() if r.labels["rung"] in order[:2]}
    before = rungs(replace(found, by_key=early)).splitlines()[1]
    assert "(+0.37 to +1.63)" in before and "(+0.73 to +1.27)" in among  # more rungs, a surer one
    gone = {key: r for key, r in found.by_key.items() if r.labels["rung"] != order[1]}
    assert "against" not in rungs(replace(found, by_key=gone)).splitlines()[1]
    one = {key: r for key, r in found.by_key.items() if r.labels["rung"] != order[1] or not r.seed}
    assert rungs(replace(found, by_key=one)).splitlines()[1].endswith("% (n = 1)")


def test_a_study_without_rungs_is_refused(runs):
    finish("residual_lr_long", runs)
    pretend(study("residual_long").records().study.arms[0], runs / "residual_long")
    found = recorded("residual_long", lambda labels: {"test_accuracy": 90.0})
    with pytest.raises(KeyError, match="rung"):
        rungs(found)


def test_the_best_networks_are_told_with_averaged_answers_and_their_goals(runs):
    assert best_networks(study("headline").records()) == "The headline: not trained yet."
    finish("ladder_lr", runs)
    finish("ladder", runs)
    finish("headline", runs)
    views = {
        "mirrored": {"test_accuracy": 94.5, "views": count_views(0)},
        "mirrored_shifted": {"test_accuracy": 94.7, "views": count_views(1)},
    }
    accuracy = {headline.BEST: 94.1, headline.LATE: 94.9}
    words = best_networks(
        recorded(
            "headline",
            lambda labels: {"test_accuracy": accuracy.get(labels["network"], 95.0), **views},
        )
    )
    name = "- SqueezeNet, best training"
    assert words.splitlines()[:3] == [
        f"{name}: 94.10 % (n = 3). The goal of 94 % is reached.",
        f"{name}, with mirrored images, 2 times the multiply-adds: 94.50 % (n = 3).",
        f"{name}, with mirrored and shifted images, 18 times the multiply-adds: 94.70 % (n = 3).",
    ]
    assert "The goal of 95 % is missed in the mean, not decided." in words  # a single network
    assert words.count("goal") == 2
    found = recorded("headline", lambda labels: {"test_accuracy": 94.0})
    first = {key: r for key, r in found.by_key.items() if not r.seed}
    partly = best_networks(replace(found, by_key=first))
    assert "- SqueezeNet, best training: 94.00 % (n = 1). The goal of 94 % is still open." in partly
    plain = best_networks(found)
    assert len(plain.splitlines()) == 3  # no views: no rows for them
