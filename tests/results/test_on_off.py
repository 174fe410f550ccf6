from __future__ import annotations

import pandas as pd
import pytest
from priced_results import DENSE, STUDY, row, with_rows

import squeeze_utils as sq
from squeeze_utils.results import on_off


def test_without_records_everything_is_empty_and_says_so():
    nothing = with_rows()
    assert on_off.on_off_table(nothing).empty and on_off.advantage(nothing).empty
    assert "still open" in on_off.advantage_sentence(nothing)
    assert "still open" in on_off.prediction_sentence(nothing)
    assert on_off.agreement(nothing).empty and on_off.recipes(nothing).empty
    assert "no reference records yet" in on_off.agreement_sentence(nothing)


def test_one_arm_alone_is_compared_with_nothing():
    only_priced = with_rows(row("price 1e-6", 3000, 99.3))
    assert "LeNet-5: still open, not trained yet: dense" in on_off.advantage_sentence(only_priced)
    only_dense = with_rows(row("dense", 8e5, 99.3))
    assert on_off.advantage(only_dense).empty and len(on_off.on_off_table(only_dense)) == 1
    assert "still open" in on_off.advantage_sentence(only_dense)


def test_a_network_with_all_its_recipes_gets_an_answer():
    labels = [dict(arm.labels) for arm in STUDY.arms]
    recipes = dict.fromkeys(one["recipe"] for one in labels if one["network"] == "LeNet-5")
    worse = [row(recipe, 16_000, 99.3 if "price" in recipe else 98.0) for recipe in recipes]
    free = next(one for one in worse if one["recipe"].endswith("price 0"))
    free["test_accuracy"] = 98.0
    assert "no recipe without a price" in on_off.advantage_sentence(with_rows(*worse))
    free |= {"test_accuracy": 99.4, "file_bytes": 32_000}
    assert "the others need 2.0 times" in on_off.advantage_sentence(with_rows(*worse))


def test_one_finished_network_can_decide_the_prediction():
    rows = [row("dense", 4000, 99.4), row("price 1e-6", 3000, 99.2)]
    labels = {arm.experiment.key: dict(arm.labels)["network"] for arm in STUDY.arms}
    finished = {key: None for key, network in labels.items() if network == "LeNet-5"}
    found = type("Some", (type(with_rows()),), {"rows": rows})(STUDY, finished)
    assert "of 2 times the bytes fails: the smallest ratio is 1.3" in on_off.prediction_sentence(
        found
    )
    assert "still open" in on_off.prediction_sentence(found, times=1.2)
    assert "still open" in on_off.prediction_sentence(with_rows(*rows))


def test_a_prediction_without_anything_to_compare_cannot_be_tested():
    rows = [row("dense", 4000, 98.0), row("price 1e-6", 3000, 99.2)]
    every = dict.fromkeys(arm.experiment.key for arm in STUDY.arms)
    found = type("Some", (type(with_rows()),), {"rows": rows})(STUDY, every)
    assert "cannot be tested" in on_off.prediction_sentence(found)


def test_the_smallest_other_file_that_is_as_good_is_what_counts():
    found = on_off.advantage(
        with_rows(
            row("dense", 800_000, 99.4),
            row("pruned and shared", 16_000, 99.3),
            row("pruned, learned steps", 12_000, 99.0),
            row("price 1e-6", 4_000, 99.2),
            row("price 4e-6", 2_000, 99.5),
        )
    )
    assert found["times"].iloc[0] == 4 and pd.isna(found["times"].iloc[1])
    assert found["as good without a price"].tolist() == ["pruned and shared", "none"]


def test_the_ratio_is_to_the_whole_network_and_means_are_over_seeds():
    table = on_off.on_off_table(
        with_rows(row("price 1e-6", 4000, 99.2), row("price 1e-6", 2000, 99.0))
    )
    assert (
        table.iloc[0]["n"] == 2
        and table.iloc[0]["times smaller than float32"] == f"{DENSE / 3000:,.0f}"
    )
    assert table.index[0] == ("LeNet-5", "price 1e-6")


@pytest.mark.parametrize("name", ["priced", "priced_large"])
def test_estimates_and_code_sections_of_every_committed_record_agree_within_2_per_cent(name):
    study = sq.study(name).records()
    if not study and name == "priced_large":
        pytest.skip("it has no committed records yet")
    rows = on_off.agreement(study)
    assert len(rows) and (rows["percent"].abs() <= 2).all()


def test_the_estimate_is_an_upper_bound_for_files_with_contexts():
    rows = on_off.agreement(sq.study("few_bytes").records())
    assert len(rows) == 21 and rows["contexts"].all()
    assert rows["percent"].between(-10, -4).all()


def test_files_with_contexts_are_spoken_of_apart():
    told = on_off.agreement_sentence(sq.study("few_bytes").records())
    assert told == (
        "In the 21 files written with contexts, the code section is 4.9 to 9.6 % smaller than the "
        "estimate, which knows no contexts."
    )
    assert "contexts" not in on_off.agreement_sentence(sq.study("priced").records())


def test_with_the_same_coder_files_of_another_do_not_count():
    rows = (
        row("pruned and shared", 8_000, 99.3),
        row("pruned, learned steps", 12_000, 99.3),
        row("price 1e-6", 4_000, 99.2),
    )
    assert on_off.advantage(with_rows(*rows))["times"].tolist() == [2]
    assert on_off.advantage(with_rows(*rows), same_coder=True)["times"].tolist() == [3]
    assert on_off.same_coder_sentence(with_rows(*rows)) == (
        "Another coder wrote the files of “pruned and shared”. Against files of the same coder "
        "alone, the others need 3.0 times the bytes."
    )
    assert "no reference records yet" in on_off.same_coder_sentence(with_rows(*rows[:1]))


@pytest.mark.parametrize(("values", "text"), [((1.04, 1.01), "1.0"), ((2, 1), "1.0 to 2.0")])
def test_a_span_has_two_ends_only_where_they_read_differently(values, text):
    assert on_off.span(pd.Series(values), ".1f") == text


def test_the_largest_difference_is_named():
    reference = sq.study("priced").records()
    told, rows = on_off.agreement_sentence(reference), on_off.agreement(reference)
    assert len(rows) >= 24 and told.startswith(f"In the {len(rows)} files")
    assert f"at most {rows['percent'].abs().max():.1f} %" in told
