from __future__ import annotations

from priced_results import with_rows

import squeeze_utils as sq
from squeeze_utils.results import file_contents


def test_without_records_both_sentences_say_so():
    nothing = with_rows()
    assert file_contents.biases(nothing).empty and file_contents.removed_units(nothing).empty
    assert "no reference records yet" in file_contents.biases_sentence(nothing)
    told = file_contents.removed_units_sentence(nothing, "LeNet-300-100", "classifier.0")
    assert "no reference records yet" in told


def test_rounded_files_hold_biases_as_half_floats_and_priced_ones_as_whole_numbers():
    rows = file_contents.biases(sq.study("priced").records())
    forms = rows.groupby("recipe")["form"].unique().map(list)
    assert forms["rounded after training, 8 kB"] == [file_contents.HALVES]
    assert forms["price 1e-6"] == [file_contents.CODED] and "dense" not in forms
    assert set(rows["network"]) >= {"LeNet-300-100", "LeNet-5"}
    eight = rows[rows["recipe"] == "rounded after training, 8 kB"]
    assert eight["bytes"].between(660, 680).all() and eight["share"].between(8, 9).all()
    assert rows.loc[rows["form"] == file_contents.CODED, "bytes"].max() < 300


def test_biases_of_chosen_recipes_are_told_with_their_share():
    few = sq.study("few_bytes").records()
    pair = ("rounded after training, 66 kB", "rounded, trained on, 66 kB")
    assert file_contents.biases_sentence(few, *pair) == (
        "Bytes of biases as half floats, with their share: rounded after training, 66 kB: 4,185 to "
        "4,206 (6.4 %). Bytes of biases as whole numbers (estimated), with their share: rounded, "
        "trained on, 66 kB: 1,901 to 1,909 (3.0 %)."
    )
    assert "no reference records yet" in file_contents.biases_sentence(few, "no such recipe")


def test_units_are_counted_from_the_records_of_one_layer():
    kept = sq.study("priced").records()
    told = file_contents.removed_units_sentence(kept, "LeNet-300-100", "classifier.0")
    assert told.startswith("Units of classifier.0 that were removed, of 300: ")
    assert "pruned, learned steps: 16 to 21; " in told and "; learned steps, price 0: 0; " in told
    assert "price 2e-6: 116 to 127" in told and "dense" not in told
    rows = file_contents.removed_units(kept)
    layers = rows.groupby("network")["layer"].unique().map(set)
    assert layers["LeNet-300-100"] == {"classifier.0", "classifier.2"}
    assert "features.2" in layers["LeNet-5"]
    assert "no reference" in file_contents.removed_units_sentence(kept, "LeNet-300-100", "other")
