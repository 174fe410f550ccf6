"""Chapter 15's figure of two grids: a made-up source, and what was measured."""

from __future__ import annotations

import pytest

pytest.importorskip("matplotlib").use("agg")

from squeeze_utils.base.measurements import Measurement  # noqa: E402
from squeeze_utils.results import dependent_rounding as shown  # noqa: E402

ROWS = [
    {"layer": "a", "bits": 2.0, "one_bytes": 100, "two_bytes": 95.0, "inside": True},
    {"layer": "b", "bits": 2.0, "one_bytes": 300, "two_bytes": 291.0, "inside": True},
    {"layer": "c", "bits": 2.0, "one_bytes": 300, "two_bytes": 1.0, "inside": False},
]


@pytest.fixture
def kept(monkeypatch):
    rows = [row | {"one_seconds": 0.1, "two_seconds": 3.0} for row in ROWS]
    found = Measurement(rows, {"device": "a machine", "date": "today"})
    monkeypatch.setattr(shown, "read_measurement", {f"{shown.PREFIX}squeezenet1_0": found}.get)


def test_two_grids_save_bytes_at_many_bits_and_cost_some_at_few():
    found = shown.of_a_source((1.5, 0.08))
    few, many = found["saved"]
    assert found["bits"].iloc[0] < 0.6 and few < 0
    assert found["bits"].iloc[1] > 2 and 2 < many < 7


def test_layers_are_added_up_where_their_errors_could_be_compared(kept):
    found = shown.of_a_network("squeezenet1_0")
    assert found.loc[2.0, "saved"] == pytest.approx(100 * 14 / 400)
    assert (found.loc[2.0, "low"], found.loc[2.0, "high"]) == pytest.approx((3, 5))
    assert found.loc[2.0, "layers"] == 2
    said = str(shown.savings_sentence(found))
    assert "+3.5 % (+3.0 to +5.0)" in said and "30 times as long" in said and "a machine" in said


def test_the_figure_has_the_source_and_the_layers(kept):
    figure = shown.savings_figure(shown.of_a_source((0.25,)), [shown.of_a_network("squeezenet1_0")])
    assert len(figure.axes[0].get_legend().get_texts()) == 2


def test_without_a_measurement_the_source_stands_alone(monkeypatch):
    monkeypatch.setattr(shown, "read_measurement", {}.get)
    empty = shown.of_a_network("squeezenet1_0")
    assert empty.empty and "Not measured" in str(shown.savings_sentence(empty))
    figure = shown.savings_figure(shown.of_a_source((0.25,)), [empty])
    assert len(figure.axes[0].get_legend().get_texts()) == 1


@pytest.mark.parametrize("name", shown.TITLES)
def test_the_kept_tables_have_most_layers_at_every_number_of_bits(name):
    found = shown.of_a_network(name)
    assert len(found) == 5 and (found["layers"] >= 15).all()
