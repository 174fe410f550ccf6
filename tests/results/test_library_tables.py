"""Tables of what libraries make of our networks."""

from __future__ import annotations

import pytest

from squeeze_utils.base import measurements, paths
from squeeze_utils.results.library_tables import library_table


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)


def test_a_table_shows_what_was_measured_and_leaves_out_what_was_not(kept, capsys):
    rows = [
        {"tool": "as it is", "accuracy": 91.234, "bytes": 743210, "milliseconds": None},
        {"tool": "packed", "accuracy": None, "bytes": 1000, "milliseconds": 1.5},
    ]
    measurements.keep_measurement("libraries/coding", rows)
    html = library_table("coding").to_html()
    assert (
        capsys.readouterr().out.strip() == measurements.read_measurement("libraries/coding").source
    )
    for text in ("accuracy, %", "91.23", "743,210", "1.50"):
        assert text in html
    assert "nan" not in html and "None" not in html and "divergence" not in html


def test_the_network_and_what_same_answer_means_are_named(kept, capsys):
    rows = [{"tool": "as it is", "agreement": 100.0}]
    measurements.keep_measurement("libraries/pruning", rows, network="small", batch=160)
    library_table("pruning")
    assert "small, batches of 160; same answer: share of test images" in capsys.readouterr().out


def test_without_a_measurement_one_sentence_says_how_to_make_it(kept, capsys):
    assert library_table("pruning") is None
    assert capsys.readouterr().out.count("make libraries") == 1


def test_an_unknown_topic_lists_the_known_ones(kept):
    with pytest.raises(ValueError, match="'prunning'; there are: coding, kept_up, pruning"):
        library_table("prunning")
