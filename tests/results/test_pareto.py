"""The Pareto front, which every figure of bytes against accuracy draws."""

from __future__ import annotations

import pandas as pd

from squeeze_utils.results.pareto import front


def test_the_front_holds_what_nothing_beats():
    frame = pd.DataFrame({"bytes": [30, 10, 20, 40], "error": [2.0, 3.0, 3.5, 1.0]})
    frame["accuracy"] = 100 - frame["error"]
    assert front(frame, "accuracy")["bytes"].tolist() == [10, 30, 40]


def test_what_has_no_accuracy_is_left_out_and_hides_nothing():
    frame = pd.DataFrame({"bytes": [10, 20, 30], "accuracy": [50.0, float("nan"), 60.0]})
    assert front(frame, "accuracy")["bytes"].tolist() == [10, 30]
