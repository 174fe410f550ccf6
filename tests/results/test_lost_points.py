from __future__ import annotations

import matplotlib.pyplot as plt
import pandas as pd
import pytest

from squeeze_utils.results import lost_points

CONTROL = {"method": "float"}


@pytest.fixture
def runs() -> pd.DataFrame:
    rows = [
        ("float", 32, 0, 90.0),
        ("float", 32, 1, 92.0),
        ("after", 3, 0, 88.0),
        ("after", 3, 1, 91.0),
        ("after", 2, 0, 20.0),
        ("in", 2, 1, 92.5),
        ("in", 2, 2, 80.0),
    ]
    return pd.DataFrame(rows, columns=["method", "weights", "seed", "test_accuracy"])


def test_each_run_is_compared_with_the_control_of_its_seed(runs):
    found = lost_points.lost(runs, CONTROL)
    assert found["lost"].tolist() == [2.0, 1.0, 70.0, -0.5]  # seed 2 has no control


def test_one_panel_for_each_table_that_has_runs(runs):
    fig = lost_points.figure(
        {"long": runs.iloc[:0], "short": runs, "control only": runs.iloc[:2]},
        x="weights",
        by="method",
        control=CONTROL,
    )
    (ax,) = fig.axes
    assert ax.get_title() == "short" and ax.get_yscale() == "symlog"
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["after", "in"]
    marks = [bar[0].get_ydata().tolist() for bar in ax.containers]
    assert marks == [[70.0, 1.5], [-0.5]]
    plt.close(fig)


def test_nothing_is_drawn_without_runs(runs):
    assert lost_points.figure({"long": pd.DataFrame()}, "weights", "method", CONTROL) is None
