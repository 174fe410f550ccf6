from __future__ import annotations

import pandas as pd
import pytest
from priced_results import FEW_BYTES, PHOTOGRAPHS, STUDY, every_recipe, row, with_rows

import squeeze_utils as sq
from squeeze_utils.results.size_goals import ANSWER, GOALS, goal_table
from squeeze_utils.results.study_results import Results
from squeeze_utils.studies import few_bytes, priced


def answers(results: Results, network: str) -> pd.DataFrame:
    """The rows of `goal_table` that speak of a network, in the order of the goals."""
    return goal_table(results).loc[network]


def verdicts(results: Results, network: str) -> list[str]:
    return answers(results, network)["verdict"].tolist()


def with_price(rows: list[dict], price: str, *sizes: float, accuracy: float) -> list[dict]:
    """`rows`, but with these files and this accuracy at a price."""
    kept = [one for one in rows if one["recipe"] != price]
    return kept + [row(price, size, accuracy, rows[0]["network"]) for size in sizes]


def test_every_goal_is_of_a_network_that_is_trained():
    studies = (STUDY, PHOTOGRAPHS, FEW_BYTES)
    networks = {dict(a.labels)["network"] for study in studies for a in study.arms}
    assert {goal.network for goal in GOALS} <= networks


def test_without_records_no_goal_is_trained_yet():
    table = goal_table(*(with_rows(study=study) for study in (STUDY, PHOTOGRAPHS, FEW_BYTES)))
    assert len(table) == len(GOALS) and table.columns.tolist() == list(ANSWER)
    assert set(table["verdict"]) == {"not trained yet"} and set(table["chosen file"]) == {"–"}


def test_a_goal_is_reached_by_the_largest_file_and_an_interval_below_the_limit():
    three = [row("price 1e-6", size, 99.4) for size in (2_000, 2_500, 2_800)]
    first, further = answers(with_rows(*three), "LeNet-5").to_dict("records")
    assert first["verdict"] == "reached" and further["verdict"] == "not trained yet"
    assert first["chosen file"] == "price 1e-6" and first["bytes at most"] == "2,800"
    assert (first["error (%)"], first["n"], first["epochs"]) == ("0.60 ± 0.00", "3", "50")
    three[0]["file_bytes"] = 2_801
    assert verdicts(with_rows(*three), "LeNet-5")[0] == "not trained yet"


@pytest.mark.parametrize(
    ("accuracies", "verdict"),
    [
        ((99.40, 99.42, 99.41), "reached"),
        ((99.45, 99.20, 99.30), "reached in the mean, not decided"),
        ((99.35, 99.10, 99.20), "missed in the mean, not decided"),
        ((99.00, 99.01, 99.02), "missed"),
    ],
)
def test_the_spread_of_the_seeds_decides(accuracies, verdict):
    rows = every_recipe("LeNet-5", 16_000, 98)
    rows = [one for one in rows if one["recipe"] != "price 1e-6"]
    rows += [row("price 1e-6", 2_500, accuracy) for accuracy in accuracies]
    assert verdicts(with_rows(*rows), "LeNet-5")[0] == verdict


def test_too_few_seeds_reach_nothing():
    two = [row("price 1e-6", 1_000, 99.9)] * 2
    assert set(verdicts(with_rows(*two), "LeNet-5")) == {"not trained yet"}


def test_where_no_file_is_small_enough_the_smallest_misses():
    rows = with_price(every_recipe("LeNet-5", 16_000, 98), "price 2e-6", *[3e3] * 3, accuracy=99.9)
    table = answers(with_rows(*rows), "LeNet-5")
    assert set(table["chosen file"]) == {"price 2e-6"} and set(table["verdict"]) == {"missed"}


def test_of_files_that_are_small_enough_validation_images_choose():
    rows = every_recipe("LeNet-5", 1_000, 99.9)
    for one in rows:
        one["validation_accuracy"] = 99.9 if one["recipe"] == "price 2e-6" else 99.0
        one["test_accuracy"] = 99.0 if one["recipe"] == "price 2e-6" else 99.9
    table = answers(with_rows(*rows), "LeNet-5")
    assert set(table["chosen file"]) == {"price 2e-6"} and set(table["verdict"]) == {"missed"}


def test_the_dense_network_has_a_goal_of_its_own():
    rows = with_price(every_recipe(priced.FIRE, 9e3, 99.1), "price 4e-6", *[2e3] * 3, accuracy=99)
    found = answers(with_rows(*rows), priced.FIRE).iloc[0]
    assert found["verdict"] == "reached" and found["dense error (%)"] == "0.90 ± 0.00"
    worse = [
        {**one, "test_accuracy": 98.5} if one["recipe"].startswith("dense") else one for one in rows
    ]
    assert verdicts(with_rows(*worse), priced.FIRE) == ["missed, by dense"]
    without = [one for one in rows if not one["recipe"].startswith("dense")]
    assert verdicts(with_rows(*without), priced.FIRE) == ["not trained yet"]


@pytest.mark.parametrize(
    ("accuracy", "verdict"),
    [
        (91.23, "reached in the mean, not decided"),
        (91.22, "missed in the mean, not decided"),
    ],
)
def test_one_network_beside_one_dense_network_decides_nothing(accuracy, verdict):
    rows = every_recipe("VGG-11", 36e6, 91.73, PHOTOGRAPHS)
    rows = with_price(rows, "price 2e-7", 140e3, accuracy=accuracy)
    found = answers(with_rows(*rows, study=PHOTOGRAPHS), "VGG-11").iloc[0]
    assert found["verdict"] == verdict and found["n"] == "1"
    assert found["chosen file"] == "price 2e-7"


@pytest.mark.parametrize(("trained_on", "verdict"), [(92.0, "reached"), (92.3, "missed")])
def test_of_two_dense_networks_the_better_one_counts(trained_on, verdict):
    rows = every_recipe(few_bytes.NETWORK, 90e3, 91.6, FEW_BYTES)
    dense = {"dense": 92.0, "dense, trained on": trained_on}
    rows = [{**one, "test_accuracy": dense.get(one["recipe"], 91.6)} for one in rows]
    last = answers(with_rows(*rows, study=FEW_BYTES), few_bytes.NETWORK).iloc[-1]
    assert last.name.startswith("100,000 bytes") and last["verdict"] == verdict
    rows = [one for one in rows if one["recipe"] != "dense, trained on"]
    assert verdicts(with_rows(*rows, study=FEW_BYTES), few_bytes.NETWORK)[-1] == "not trained yet"


def test_files_of_one_checkpoint_are_named_as_such():
    rows = every_recipe(few_bytes.NETWORK, 60e3, 92.0, FEW_BYTES)
    found = answers(with_rows(*rows, study=FEW_BYTES), few_bytes.NETWORK).iloc[0]
    assert found["n"] == "3, from 1 checkpoint" and found["epochs"] == "checkpoint's + 50"


def test_the_committed_records_reach_their_goals_in_the_mean_only():
    table = goal_table(sq.study("priced").records(), sq.study("few_bytes").records())
    first = table.loc["LeNet-300-100"].iloc[0]
    assert first["chosen file"].startswith("price 2e-6")
    assert first["verdict"] == "reached in the mean, not decided"
    best = table.loc[few_bytes.NETWORK, "verdict"].tolist()
    assert best == ["missed in the mean, not decided", "missed", "reached"]


def test_a_study_of_other_networks_is_refused():
    with pytest.raises(ValueError, match="no goal is set for a network of the study dsd"):
        goal_table(sq.study("dsd").records())
