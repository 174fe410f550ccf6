from __future__ import annotations

import pytest
from priced_results import FEW_BYTES, PHOTOGRAPHS, STUDY, row, with_rows

import squeeze_utils as sq
from squeeze_utils.results.size_goals import GOALS, goals
from squeeze_utils.results.study_results import Results
from squeeze_utils.studies import few_bytes, priced


def lines(results: Results, network: str) -> list[str]:
    """The lines of `goals` that speak of a network."""
    return [line for line in goals(results).splitlines() if line.startswith(f"- {network},")]


def every_recipe(network: str, size: float, accuracy: float, study=STUDY) -> list[dict]:
    """A row for each seed of each recipe of a network."""
    labels = [dict(arm.labels) for arm in study.arms]
    mine = [one["recipe"] for one in labels if one["network"] == network]
    return [row(recipe, size, accuracy, network) for recipe in mine]


def with_price(rows: list[dict], price: str, *sizes: float, accuracy: float) -> list[dict]:
    """`rows`, but with these files and this accuracy at a price."""
    kept = [one for one in rows if one["recipe"] != price]
    return kept + [row(price, size, accuracy, rows[0]["network"]) for size in sizes]


def test_every_goal_is_of_a_network_that_is_trained():
    studies = (STUDY, PHOTOGRAPHS, FEW_BYTES)
    networks = {dict(a.labels)["network"] for study in studies for a in study.arms}
    assert {goal.network for goal in GOALS} <= networks


def test_without_records_every_goal_is_open():
    for study in (STUDY, PHOTOGRAPHS, FEW_BYTES):
        told = goals(with_rows(study=study)).splitlines()
        assert told and all(line.endswith("open, records are missing.") for line in told)


def test_a_goal_is_reached_by_the_mean_error_and_the_largest_file():
    three = [row("price 1e-6", size, 99.3) for size in (2_000, 2_500, 2_800)]
    first, further = lines(with_rows(*three), "LeNet-5")
    assert "reached by price 1e-6 (2,800 bytes at most, 2,433 in the mean" in first
    assert "mean error 0.70 %; n = 3" in first and first.endswith(").")
    assert "(further goal)" in further and further.endswith("open, records are missing.")
    three[0]["file_bytes"] = 2_801
    assert "open" in lines(with_rows(*three), "LeNet-5")[0]


def test_too_few_seeds_reach_nothing():
    two = [row("price 1e-6", 1_000, 99.9)] * 2
    assert all("open, records are missing" in line for line in lines(with_rows(*two), "LeNet-5"))


def test_a_network_with_all_its_records_misses_with_the_nearest_file():
    rows = with_price(every_recipe("LeNet-5", 16_000, 98), "price 2e-6", *[3e3] * 3, accuracy=99.2)
    first, further = lines(with_rows(*rows), "LeNet-5")
    for line in (first, further):
        assert "missed; nearest is price 2e-6 (3,000 bytes at most" in line
    assert "reached" not in goals(with_rows(*rows))


def test_the_dense_network_has_a_goal_of_its_own():
    rows = with_price(every_recipe(priced.FIRE, 9e3, 99.1), "price 4e-6", *[2e3] * 3, accuracy=99)
    assert "reached by price 4e-6" in lines(with_rows(*rows), priced.FIRE)[0]
    worse = [{**one, "test_accuracy": 98.5} if one["recipe"] == "dense" else one for one in rows]
    assert "missed: dense has 1.50 % error" in lines(with_rows(*worse), priced.FIRE)[0]
    without = [one for one in rows if one["recipe"] != "dense"]
    assert "open" in lines(with_rows(*without), priced.FIRE)[0]


@pytest.mark.parametrize(("accuracy", "answer"), [(91.23, "reached by"), (91.22, "missed")])
def test_points_are_those_lost_against_the_dense_network(accuracy, answer):
    rows = every_recipe("VGG-11", 36e6, 91.73, PHOTOGRAPHS)
    rows = with_price(rows, "price 2e-7", 140e3, accuracy=accuracy)
    first, _ = lines(with_rows(*rows, study=PHOTOGRAPHS), "VGG-11")
    assert answer in first and "price 2e-7" in first and "n = 1" in first


@pytest.mark.parametrize(("trained_on", "answer"), [(92.0, "reached by"), (92.3, "missed")])
def test_of_two_dense_networks_the_better_one_counts(trained_on, answer):
    rows = every_recipe(few_bytes.NETWORK, 90e3, 91.6, FEW_BYTES)
    dense = {"dense": 92.0, "dense, trained on": trained_on}
    rows = [{**one, "test_accuracy": dense.get(one["recipe"], 91.6)} for one in rows]
    last = lines(with_rows(*rows, study=FEW_BYTES), few_bytes.NETWORK)[-1]
    assert "100,000 bytes" in last and answer in last
    rows = [one for one in rows if one["recipe"] != "dense, trained on"]
    assert "open" in lines(with_rows(*rows, study=FEW_BYTES), few_bytes.NETWORK)[-1]


def test_the_committed_records_reach_the_goal_of_the_dense_lenet():
    first, further = lines(sq.study("priced").records(), "LeNet-300-100")
    assert "reached by price 2e-6 (5,007 bytes at most, 4,832 in the mean" in first
    assert "missed; nearest is price 2e-6" in further


def test_a_study_of_other_networks_is_refused():
    with pytest.raises(ValueError, match="no goal is set for a network of the study dsd"):
        goals(sq.study("dsd").records())
