from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from squeeze_utils.base.scale import Scale
from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Study
from squeeze_utils.results import on_off
from squeeze_utils.results.smallest_files import saved_sentence, smallest_files, without_floats
from squeeze_utils.results.study_results import Results
from squeeze_utils.studies import priced

QUICK = Scale("quick")
STUDY = priced.on_digits(QUICK).where(network="LeNet-5")
CODERS = priced.with_more_coders(QUICK).where(network="LeNet-5")
BYTES = {"price 2e-5": 4_000, "price 6e-5": 3_000}
USUAL = 10_000


def results(study: Study, of: Mapping[str, dict[str, int]] | None = None) -> Results:
    """Results whose files all have `USUAL` bytes, but those of a price; `of` has other coders'."""
    found = {}
    for arm in study.arms:
        recipe = dict(arm.labels)["recipe"]
        other = (of or {}).get(recipe, {})
        steps = [{"step": step.as_dict()} for step in arm.experiment.recipe]
        steps[0]["dense_bytes"] = 1_000_000
        for step in steps:
            if step["step"]["step"] == "Encode":
                step["file_bytes"] = BYTES.get(recipe, USUAL)
        if other:
            parts = {"floats": 300, "coded together": 200, "codes": 1}
            steps[-1] |= {"file_bytes": other["best"], "coder_bytes": other, "file_parts": parts}
        accurate = 99.0 if recipe.startswith("price ") else 99.5
        steps[-1] |= {"test_accuracy": accurate}
        how: dict[str, Any] = {"device": "cpu", "data_fingerprint": "", "commit": ""}
        for step in steps:
            step["seconds"] = 1.0
        record = Record.of(arm.experiment, steps, labels=dict(arm.labels), **how)
        found[arm.experiment.key] = record
    return Results(study, found)


ALL = {dict(arm.labels)["recipe"]: {"best": 9_000, "contexts": 9_500} for arm in CODERS.arms}
STEPPED = {**ALL, priced.STEPPED: {"best": 7_000, "contexts": 6_000}}


def test_each_file_without_a_price_counts_with_its_smallest_coder():
    reference = results(STUDY)
    assert set(on_off.advantage(reference)["times"]) == {2.5, 10 / 3}
    fair = smallest_files(reference, results(CODERS, STEPPED))
    assert set(on_off.advantage(fair)["times"]) == {1.5, 2}
    assert set(on_off.advantage(fair)["as good without a price"]) == {priced.STEPPED}
    sizes = fair.frame.set_index("recipe")["file_bytes"]
    assert sizes["price 2e-5"] == 4_000 and sizes[priced.PRUNED] == 9_000
    assert sizes[priced.FREE] == USUAL  # it is no arm of the coders' study
    assert reference.frame.set_index("recipe")["file_bytes"][priced.PRUNED] == USUAL


def test_the_floats_of_files_without_a_price_can_be_left_out():
    coders = results(CODERS, STEPPED)
    fair = smallest_files(results(STUDY), coders)
    sizes = without_floats(fair, coders).frame.set_index("recipe")["file_bytes"]
    assert sizes[priced.STEPPED] == 6_000 - 500 and sizes["price 2e-5"] == 4_000
    assert fair.frame.set_index("recipe")["file_bytes"][priced.STEPPED] == 6_000


def test_a_coder_that_writes_more_changes_nothing():
    large = {recipe: {"best": 11_000, "contexts": 12_000} for recipe in ALL}
    fair = smallest_files(results(STUDY), results(CODERS, large))
    sizes = fair.frame.set_index("recipe")["file_bytes"]
    assert set(sizes[list(ALL)]) == {USUAL}


def test_what_other_coders_have_not_written_yet_is_still_open():
    coders = results(CODERS.where(recipe=[r for r in ALL if r != priced.STEPPED]), ALL)
    fair = smallest_files(results(STUDY), Results(CODERS, coders.by_key))
    assert priced.STEPPED not in set(fair.frame["recipe"])
    assert f"not trained yet: {priced.STEPPED}" in on_off.advantage_sentence(fair)
    nothing = smallest_files(Results(STUDY, {}), Results(CODERS, {}))
    assert nothing.frame.empty and "still open" in on_off.advantage_sentence(nothing)


def test_the_table_has_a_column_of_the_smallest_files():
    coders = results(CODERS.where(recipe=[r for r in ALL if r != priced.STEPPED]), ALL)
    reference = results(STUDY)
    fair = smallest_files(reference, Results(CODERS, coders.by_key))
    table = on_off.on_off_table(reference, smallest=fair).loc["LeNet-5", on_off.BEST_CODER]
    assert table[priced.PRUNED] == "9,000" and table[priced.STEPPED] == "–"
    assert table["price 2e-5"] == "4,000"
    nothing = on_off.on_off_table(Results(STUDY, {}), smallest=fair)
    assert nothing.empty and on_off.BEST_CODER in nothing.columns


def test_a_study_may_have_written_its_own_files_with_more_coders():
    own = results(STUDY, {priced.STEPPED: {"best": 7_000, "contexts": 6_000}})
    sizes = smallest_files(own).frame.set_index("recipe")["file_bytes"]
    assert sizes[priced.STEPPED] == 6_000 and sizes[priced.PRUNED] == USUAL


@pytest.mark.parametrize(
    ("of", "text"), [(ALL, "LeNet-5 10.0 %."), (STEPPED, "LeNet-5 10.0 to 40.0 %.")]
)
def test_what_other_coders_save_is_told(of, text):
    assert saved_sentence(results(CODERS, of)).endswith(text)


def test_without_records_nothing_is_said_of_other_coders():
    assert "no reference records yet" in saved_sentence(Results(CODERS, {}))
