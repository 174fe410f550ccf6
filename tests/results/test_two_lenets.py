"""The figure of the two LeNets beside published files."""

from __future__ import annotations

from dataclasses import replace

import pytest

import squeeze_utils as sq
from squeeze_utils.results.size_and_error import PUBLISHED
from squeeze_utils.results.two_lenets import LENETS, two_lenets


def points(ax) -> dict[str, list[tuple[float, float]]]:
    """What is drawn, by label: kB and error."""
    return {line.get_label(): list(zip(*line.get_data(), strict=True)) for line in ax.lines}


def test_each_panel_holds_our_mean_and_all_published_files():
    found = sq.study("deep_compression").records()
    for ax, network in zip(two_lenets(found).axes, LENETS, strict=True):
        drawn = points(ax)
        ours = found.where(network=network, recipe="ours").frame
        ((size, error),) = drawn.pop("ours, 95 % over test pictures")
        assert size == pytest.approx(ours["file_bytes"].mean() / 1e3)
        assert error == pytest.approx(100 - ours["test_accuracy"].mean())
        known = {(p.bytes / 1e3, p.error) for p in PUBLISHED if p.network == network}
        assert {point for each in drawn.values() for point in each} == known


def test_a_source_has_one_look_in_both_panels():
    one, other = two_lenets(sq.study("deep_compression").records()).axes
    looks = [{line.get_label(): line.get_color() for line in ax.lines} for ax in (one, other)]
    assert looks[0] == looks[1]


def test_without_records_the_published_files_stand_alone():
    found = replace(sq.study("deep_compression").records(), by_key={})
    for ax, network in zip(two_lenets(found).axes, LENETS, strict=True):
        known = {(p.bytes / 1e3, p.error) for p in PUBLISHED if p.network == network}
        assert {point for each in points(ax).values() for point in each} == known != set()
