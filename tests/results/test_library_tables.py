"""Tables of what libraries make of our networks."""

from __future__ import annotations

import pytest

from squeeze_utils.base import measurements, paths
from squeeze_utils.results.library_tables import library_table


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)


def test_a_table_shows_what_was_measured_and_leaves_out_what_was_not(kept):
    rows = [
        {"tool": "as it is", "accuracy": 91.234, "bytes": 743210, "milliseconds": None},
        {"tool": "packed", "accuracy": None, "bytes": 1000, "milliseconds": 1.5},
    ]
    measurements.keep_measurement("libraries/coding", rows)
    found = library_table("coding")
    html = found._repr_html_()
    assert found.source == measurements.read_measurement("libraries/coding").source
    assert html.startswith(f"<p>{found.source}</p>") and repr(found).startswith(found.source)
    for text in ("accuracy, %", "91.23", "743,210", "1.50"):
        assert text in html
    assert "nan" not in html and "None" not in html and "divergence" not in html


def test_the_network_and_what_same_answer_means_are_named(kept):
    rows, about = [{"tool": "as it is", "agreement": 100.0}], {"batch": 160, "repetitions": 30}
    measurements.keep_measurement("libraries/pruning", rows, network="small", **about)
    words = "small, batches of 160, medians of 30 rounds in which the tools take turns. Same answer"
    assert words in library_table("pruning").source


def test_no_time_is_shown_of_what_only_simulates(kept):
    rows = [
        {"tool": "as it is", "accuracy": 90.0, "milliseconds": 0.2, "note": ""},
        {"tool": "NNCF int8", "accuracy": 89.0, "milliseconds": 0.48, "note": "of earlier"},
    ]
    measurements.keep_measurement("libraries/quantization", rows)
    found = library_table("quantization").frame
    assert found["ms a picture"].tolist() == ["0.20", "–"]
    assert found["note"].tolist() == ["", "rounds in float: not timed"]
    assert found["accuracy, %"].tolist() == ["90.00", "89.00"]


def test_without_a_measurement_one_sentence_says_how_to_make_it(kept):
    found = library_table("pruning")
    assert found.frame.empty and repr(found).count("make libraries") == 1
    assert found._repr_html_().count("make libraries") == 1 and "<table" not in found._repr_html_()


def test_an_unknown_topic_lists_the_known_ones(kept):
    with pytest.raises(ValueError, match="'prunning'; accepted: coding, kept_up, pruning"):
        library_table("prunning")
