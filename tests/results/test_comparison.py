from __future__ import annotations

import dataclasses

import matplotlib
import pytest
from tiny import tiny_spec

from squeeze_utils.experiments.recipe import DataSpec, Experiment
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Arm, Study
from squeeze_utils.results import comparison
from squeeze_utils.results.tables import NO_RECORDS
from squeeze_utils.training.loop import Train

matplotlib.use("Agg")

# Test accuracies by kind and seed: "up" is one point better for every seed, "noisy" is not.
ACCURACY = {"plain": (50.0, 60.0, 70.0), "up": (51.0, 61.01, 71.0), "noisy": (58.0, 60.0, 66.0)}


def arms(seeds: int) -> list[Arm]:
    return [
        Arm.of(Experiment(tiny_spec(), DataSpec(), (Train(1, lr=lr),), seed), kind=kind, lr=lr)
        for kind, lr in (("plain", 0.1), ("up", 0.2), ("noisy", 0.3))
        for seed in range(seeds)
    ]


def study_of(seeds: int) -> tuple[Study, dict[str, Record]]:
    study = Study("kinds", "which kind?", arms(seeds))
    records = {}
    for arm in study.arms:
        labels = dict(arm.labels)
        step = {
            "step": arm.experiment.recipe[0].as_dict(),
            "seconds": 1.0,
            "validation_accuracy": 10 * labels["lr"],
            "test_accuracy": ACCURACY[labels["kind"]][arm.experiment.seed],
        }
        records[arm.experiment.key] = Record.of(
            arm.experiment,
            [step],
            labels=labels,
            device="none",
            data_fingerprint="0",
            commit="none",
        )
    return study, records


def test_the_table_says_accuracy_n_rate_and_costs():
    study, records = study_of(3)
    table = comparison.summary(study, records, "kind")
    assert list(table.index) == ["plain", "up", "noisy"]
    assert table.loc["plain", "test accuracy (%)"] == "60.00 ± 10.00"
    assert table.loc["noisy", "learning rate"] == "0.3" and (table["n"] == 3).all()
    parameters = sum(p.numel() for p in tiny_spec().build().parameters())
    assert table.loc["up", "parameters"] == f"{parameters:,}"
    assert "ms per step" not in table  # digits are not what the kept timings are of


def test_an_empty_study_gives_an_empty_table_and_says_so():
    study = Study("kinds", "which kind?", [])
    assert comparison.summary(study, {}, "kind").empty
    assert comparison.verdict(study, {}, "kind", "plain") == NO_RECORDS


def test_the_verdict_keeps_noise_and_differences_apart():
    said = comparison.verdict(*study_of(3), "kind", "plain")
    assert "better than plain: **up** (+1.00" in said
    assert "not told apart from plain by these seeds: noisy" in said and "worse" not in said
    turned = comparison.verdict(*study_of(3), "kind", "up")
    assert "worse than up: **plain** (-1.00" in turned


def test_a_name_with_a_comma_stays_one_name():
    study, records = study_of(3)
    renamed = [
        dataclasses.replace(arm, labels=(("kind", f"{dict(arm.labels)['kind']}, twice"),))
        for arm in study.arms
    ]
    said = comparison.verdict(
        dataclasses.replace(study, arms=renamed), records, "kind", "plain, twice"
    )
    assert "**“up, twice”** (+1.00" in said and "seeds: “noisy, twice”." in said


def test_one_seed_is_called_luck():
    said = comparison.verdict(*study_of(1), "kind", "plain")
    assert said == "One seed only: **noisy** came out ahead here, which may be luck."


@pytest.mark.parametrize("seeds", [1, 3])
def test_the_figure_shows_every_seed_and_every_interval(seeds):
    fig = comparison.figure(*study_of(seeds), "kind", "plain", "Three kinds")
    left, right = fig.axes
    shown = [line for line in left.lines if line.get_marker() == "o"]
    assert [len(line.get_xdata()) for line in shown] == [seeds] * 3
    assert len(right.collections) == (2 if seeds > 1 else 0)  # intervals
    assert ("95 % interval, n = 3" in right.get_xlabel()) == (seeds > 1)


def test_curves_of_rates_have_one_line_for_each_variant():
    import matplotlib.pyplot as plt

    study, records = study_of(1)
    fig, ax = plt.subplots()
    comparison.rate_curves(ax, study, records, "kind")
    assert [line.get_label() for line in ax.lines] == ["plain", "up", "noisy"]
    assert ax.get_xscale() == "log"
    plt.close(fig)


def test_a_study_that_still_grows_is_shown_as_far_as_it_went():
    study, records = study_of(3)
    without = {k: r for k, r in records.items() if r.labels["kind"] != "plain"}
    assert "plain has no run yet" in comparison.verdict(study, without, "kind", "plain")
    fig = comparison.figure(study, without, "kind", "plain", "Two kinds")
    assert "plain, which has no run yet" in fig.axes[1].get_xlabel()
    alone = {k: r for k, r in records.items() if r.labels["kind"] == "plain"}
    assert comparison.verdict(study, alone, "kind", "plain") == "Only plain has run so far."
    cut = dataclasses.replace(study, arms=study.arms[:1])
    assert list(comparison.summary(cut, records, "kind").index) == ["plain"]
