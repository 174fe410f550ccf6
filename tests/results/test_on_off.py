from __future__ import annotations

import pandas as pd
import pytest
from priced_results import DENSE, PHOTOGRAPHS, every_recipe, row, with_rows

import squeeze_utils as sq
from squeeze_utils.results import on_off
from squeeze_utils.studies import priced


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


def lenet(changed: dict[str, tuple[float, float]]) -> list[dict]:
    """A row for each seed of each recipe of LeNet-5, with these bytes and accuracies.

    Other prices are so good that nothing is as good; other recipes are bad.
    """
    rows = every_recipe("LeNet-5", 16_000, 98.0)
    for one in rows:
        usual = (1, 99.9) if one["recipe"].startswith("price ") else (16_000, 98.0)
        one["file_bytes"], one["test_accuracy"] = changed.get(one["recipe"], usual)
    return rows


TWO = {"price 1e-6": (4_000, 99.2), "dense": (8_000, 99.4)}


def test_a_network_with_all_its_recipes_gets_an_answer():
    alone = with_rows(*lenet({"price 1e-6": (4_000, 99.2)}))
    assert "no recipe without a price" in on_off.advantage_sentence(alone)
    assert "the others need 2.0 times" in on_off.advantage_sentence(with_rows(*lenet(TWO)))
    fewer = [one for one in lenet(TWO) if one["recipe"] != "dense"] + lenet(TWO)[:2]
    assert "still open, not trained yet: dense" in on_off.advantage_sentence(with_rows(*fewer))


def test_only_files_of_equally_many_epochs_are_compared():
    rows = lenet(TWO | {f"dense, {priced.TWICE}": (4_100, 99.9)})
    fewer = [one for one in rows if not one["recipe"].endswith(priced.TWICE)]
    assert len(fewer) < len(rows)
    for known in (rows, fewer):  # nor does anything wait for them
        assert "the others need 2.0 times" in on_off.advantage_sentence(with_rows(*known))


def test_one_finished_network_can_decide_the_prediction():
    finished = with_rows(*lenet({"price 1e-6": (3_000, 99.2), "dense": (3_900, 99.4)}))
    told = on_off.prediction_sentence(finished)
    assert "of 2 times the bytes fails: the smallest ratio is 1.3" in told
    assert "still open" in on_off.prediction_sentence(finished, times=1.2)
    assert "still open" in on_off.prediction_sentence(with_rows(*lenet(TWO)[1:]))


def test_a_prediction_without_anything_to_compare_cannot_be_tested():
    rows = [one for network in priced.NETWORKS for one in every_recipe(network, 4_000, 98.0)]
    for one in rows:
        one["test_accuracy"] += one["recipe"].startswith("price ")
    assert "cannot be tested" in on_off.prediction_sentence(with_rows(*rows))


def large(accuracies: dict[str, float]) -> list[dict]:
    """Rows of both networks of photographs that have a limit; named recipes are small files."""
    sizes = {"SqueezeNet": 90e3, "VGG-11": 140e3}
    return [
        {**one, "file_bytes": size, "test_accuracy": accuracies[one["recipe"]]}
        if one["recipe"] in accuracies
        else one
        for network, size in sizes.items()
        for one in every_recipe(network, 5e6, 92.0, PHOTOGRAPHS)
    ]


@pytest.mark.parametrize(
    ("accuracies", "word", "named"),
    [
        ({"price 5e-7": 91.5, "price 2e-7": 91.6}, "holds", "“price 2e-7”"),
        ({"price 5e-7": 91.5, "price 2e-7": 91.4}, "fails", "VGG-11 in 150,000 bytes: none"),
        (
            {"price 5e-7": 91.5, "price 2e-7": 91.6, "pruned and shared": 92.0},
            "fails",
            "“pruned and shared”",
        ),
    ],
)
def test_a_priced_file_fits_and_no_other(accuracies, word, named):
    limits = {"SqueezeNet": 100_000, "VGG-11": 150_000}
    found = with_rows(*large(accuracies), study=PHOTOGRAPHS)
    told = on_off.fits_sentence(found, limits, 0.5, "dense")
    assert told.startswith(f"In the means the prediction {word}.") and named in told
    fewer = with_rows(*large(accuracies)[1:], study=PHOTOGRAPHS)
    assert on_off.fits_sentence(fewer, limits, 0.5, "dense") == (
        "The prediction is still open: SqueezeNet: not trained yet."
    )
    nothing = with_rows(study=PHOTOGRAPHS)
    assert "SqueezeNet, VGG-11" in on_off.fits_sentence(nothing, limits, 0.5, "dense")


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


def test_between_two_files_the_bytes_are_interpolated():
    rows = [row("dense", 800_000, 99.4), row("pruned and shared", 16_000, 99.3)]
    rows += [
        row("pruned, learned steps", 1_000, 98.9),
        row("rounded after training, 24 kB", 20_000, 99.0),
    ]
    rows += [row("price 1e-6", 400, 99.1), row("price 2e-6", 500, 98.0)]
    found = on_off.advantage(with_rows(*rows))
    assert found["times"].tolist() == [40, 2]
    assert found["between"].tolist() == pytest.approx([10, 2])  # 4,000 bytes: half-way in logs


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
    sizes = {"pruned and shared": 8_000, "pruned, learned steps": 12_000, "price 1e-6": 4_000}
    found = with_rows(*lenet({recipe: (size, 99.2) for recipe, size in sizes.items()}))
    assert set(on_off.advantage(found)["times"].dropna()) == {2}
    assert set(on_off.advantage(found, same_coder=True)["times"].dropna()) == {3}
    assert on_off.same_coder_sentence(found) == (
        "Another coder wrote the files of “pruned and shared”. Against files of the same coder "
        "alone, the others need 3.0 times the bytes."
    )
    assert "no reference records yet" in on_off.same_coder_sentence(with_rows(*found.rows[1:]))


@pytest.mark.parametrize(("values", "text"), [((1.04, 1.01), "1.0"), ((2, 1), "1.0 to 2.0")])
def test_a_span_has_two_ends_only_where_they_read_differently(values, text):
    assert on_off.span(pd.Series(values), ".1f") == text


def test_the_largest_difference_is_named():
    reference = sq.study("priced").records()
    told, rows = on_off.agreement_sentence(reference), on_off.agreement(reference)
    assert len(rows) >= 24 and told.startswith(f"In the {len(rows)} files")
    assert f"at most {rows['percent'].abs().max():.1f} %" in told
