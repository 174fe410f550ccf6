"""The best rates of a pilot's arms, and the accuracies at each rate, in words."""

from __future__ import annotations

import pandas as pd

from squeeze_utils.results import pilot_rates
from squeeze_utils.results.tables import NO_RECORDS

PILOT = [
    ("plain", 0.02, 80.0),
    ("plain", 0.02, 82.0),
    ("plain", 0.04, 85.0),
    ("fast", 0.02, 82.5),
    ("fast", 0.04, 84.0),
    ("fast", 0.08, 90.0),
]


def test_the_best_rate_of_each_arm_is_told_and_whether_the_grid_ends_there():
    frame = pd.DataFrame(PILOT, columns=["rule", "lr", "validation_accuracy"])
    inside = [("inside", lr, value) for lr, value in ((0.02, 80.0), (0.04, 82.0), (0.08, 81.0))]
    frame = pd.concat([frame, pd.DataFrame(inside, columns=frame.columns)])
    table = pilot_rates.best_rates(frame, "rule")
    assert table["best rate"].to_dict() == {"plain": 0.04, "fast": 0.08, "inside": 0.04}
    assert table["at the edge"].tolist() == [True, True, False]
    assert pilot_rates.best_rates(pd.DataFrame(), "rule").empty


def test_one_rate_for_all_is_judged_over_several_pilots():
    frame = pd.DataFrame(PILOT, columns=["rule", "lr", "validation_accuracy"])
    several = pilot_rates.one_rate_for_all([(frame, "rule"), (pd.DataFrame(), "rule")])
    assert several == (
        "Best rates: 0.04 for 1, 0.08 for 1 of 2 networks. At the edge of the rates tried: "
        "plain, fast. The prediction of one rate for all fails."
    )
    alone = pilot_rates.one_rate_for_all([(frame[frame["rule"] == "plain"], "rule")])
    assert alone.endswith("holds.")
    again = frame.replace("fast", "quick").rename(columns={"rule": "kind"})
    both = pilot_rates.one_rate_for_all([(frame, "rule"), (again, "kind")])
    assert "of 2 networks. At the edge of the rates tried: plain, fast (also called quick)." in both
    assert pilot_rates.one_rate_for_all([]) == f"{NO_RECORDS}."


def test_the_accuracies_of_a_pilot_are_means_at_each_rate():
    frame = pd.DataFrame(PILOT[:3], columns=["rule", "lr", "validation_accuracy"])
    assert pilot_rates.accuracies_by_rate(frame, "rule") == (
        "Validation accuracy (%): **plain** 81.0 at 0.02, 85.0 at 0.04."
    )
    assert pilot_rates.accuracies_by_rate(pd.DataFrame(), "rule") == f"{NO_RECORDS}."
