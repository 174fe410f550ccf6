"""Gains over the controls of several groups: one family, a sentence, a figure."""

from __future__ import annotations

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from squeeze_utils.results.figures import curve_style
from squeeze_utils.results.gains import gains_figure, gains_in_groups, gains_sentence
from squeeze_utils.results.statistics import welch
from squeeze_utils.results.tables import NO_RECORDS

VALUES = {
    ("weak", "none"): (60.0, 61.0, 62.0),
    ("weak", "simple"): (60.5, 61.5, 62.6),
    ("strong", "none"): (70.0, 71.0, 72.0),
    ("strong", "simple"): (80.0, 81.0, 82.0),
}


def frame(values=VALUES) -> pd.DataFrame:
    rows = [(*key, seed, a) for key, found in values.items() for seed, a in enumerate(found)]
    return pd.DataFrame(rows, columns=["recipe", "bypass", "seed", "test_accuracy"])


def test_each_arm_is_compared_with_the_control_of_its_own_group():
    gains = gains_in_groups(frame(), "recipe", "bypass", "none")
    assert gains["mean"].round(2).to_dict() == {("weak", "simple"): 0.53, ("strong", "simple"): 10}
    assert gains["verdict"].to_dict() == {
        ("weak", "simple"): "undecided",
        ("strong", "simple"): "higher",
    }


def test_the_intervals_of_all_groups_hold_at_once():
    gap = gains_in_groups(frame(), "recipe", "bypass", "none").loc[("strong", "simple")]
    alone = welch(VALUES["strong", "simple"], VALUES["strong", "none"])
    assert gap["low"] < alone.low < alone.high < gap["high"]


def test_a_group_without_the_control_is_named():
    values = {key: found for key, found in VALUES.items() if key != ("weak", "none")}
    with pytest.raises(ValueError, match="recipe weak has no bypass called 'none'; there are: sim"):
        gains_in_groups(frame(values), "recipe", "bypass", "none")


def test_the_sentence_names_every_arm_and_the_size_of_the_family():
    said = gains_sentence(gains_in_groups(frame(), "recipe", "bypass", "none"))
    assert said.startswith("In points (95 % intervals for 2 comparisons together): weak recipe, ")
    assert "strong recipe, **simple** +10.00 (" in said and said.endswith("*higher*.")
    assert gains_sentence(pd.DataFrame()) == f"{NO_RECORDS}."
    nothing = gains_in_groups(frame().iloc[:0], "recipe", "bypass", "none")
    assert gains_sentence(nothing) == f"{NO_RECORDS}."
    strong = frame()[frame()["recipe"] == "strong"]
    alone = gains_sentence(gains_in_groups(strong, "recipe", "bypass", "none"))
    assert alone.startswith("In points (95 % intervals): strong recipe, ")


def test_the_figure_has_a_line_for_each_study_with_rows_and_bars_for_ours_alone():
    gains = gains_in_groups(frame(), "recipe", "bypass", "none")
    rows = {name: gains.loc[name] for name in ("weak", "strong")}
    published = pd.DataFrame({"simple": [3.0], "complex": [np.nan]}, index=["paper"])
    looks = {name: curve_style(i) for i, name in enumerate(published)}
    fig = gains_figure({**rows, "none yet": gains.iloc[:0]}, looks, "Gains", published)
    (ax,) = fig.axes
    assert [label.get_text() for label in ax.get_yticklabels()] == ["paper", "weak", "strong"]
    assert len(ax.containers) == 2 and ax.get_title().startswith("Gains (bars")
    assert [text.get_text() for text in ax.get_legend().texts] == ["simple", "complex"]
    plt.close(fig)
