from __future__ import annotations

from dataclasses import replace

import matplotlib.pyplot as plt
import pytest

from squeeze_utils.results.figures import curve_style
from squeeze_utils.results.named_study import study
from squeeze_utils.results.observed import LEVELS, blocks_figure, observations, surfaces_figure


@pytest.fixture
def seen() -> dict:
    return observations(study("residual_views").records(), "bypass")


@pytest.fixture(autouse=True)
def closed():
    yield
    plt.close("all")


def test_every_network_has_its_surface_and_its_blocks(seen):
    assert list(seen) == ["none", "simple", "complex"]
    for view in seen.values():
        assert view["grid"].shape == (13, 13) and view["span"] == 0.5
    assert list(seen["simple"]["without"]) == ["fire3", "fire5", "fire7", "fire9"]
    assert len(seen["complex"]["without"]) == 8  # each has a bypass, so each can go


def test_a_study_without_records_has_no_observations():
    found = replace(study("residual_views").records(), by_key={})
    assert observations(found, "bypass") == {}


def test_the_surfaces_share_their_levels(seen):
    figure = surfaces_figure(seen, "Short training")
    assert figure.get_suptitle() == "Short training"
    panels = figure.axes
    assert [ax.get_title() for ax in panels] == list(seen)
    contours = [c for ax in panels for c in ax.collections if hasattr(c, "levels")]
    assert len(contours) == 2 * len(seen)  # areas and lines
    assert all(tuple(c.levels) == LEVELS for c in contours)


def test_the_blocks_stand_in_order_and_every_network_has_a_label(seen):
    looks = {name: curve_style(i) for i, name in enumerate(seen)}
    (ax,) = blocks_figure(seen, looks, "Short training").axes
    assert ax.get_title() == "Short training"
    assert [label.get_text() for label in ax.get_xticklabels()] == [
        f"fire{i}" for i in range(2, 10)
    ]
    assert len(ax.get_legend().get_texts()) == 3
