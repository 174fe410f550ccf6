"""A goal is reached where the mean is, and decided where the interval is on the same side."""

from __future__ import annotations

import pytest

from squeeze_utils.results.goals import judge


def test_a_mean_whose_interval_holds_the_limit_does_not_decide():
    lost = [3.83, 0.55, 1.22]
    assert str(judge(lost, 2.0)) == "reached in the mean, not decided"
    assert str(judge(lost, 1.0)) == "missed in the mean, not decided"
    assert str(judge(lost, 7.0)) == "reached"
    assert str(judge(lost, -4.0)) == "missed"


def test_a_floor_is_the_mirror_image_of_a_ceiling():
    assert str(judge([84.0, 84.1, 84.2], 85, most=False)) == "missed"
    assert str(judge([84.0, 84.1, 84.2], 83, most=False)) == "reached"
    assert str(judge([84.0, 84.1, 84.2], 84.0, most=False)) == "reached in the mean, not decided"


def test_values_that_equal_their_limit_reach_it_and_one_network_decides_nothing():
    assert judge([0.7, 0.7, 0.7], 0.7) == (True, True)
    assert str(judge([86.0], 85, most=False)) == "reached in the mean, not decided"
    assert not judge([9.0, 9.1], [9.3]).decided


@pytest.mark.parametrize(("limits", "words"), [([9.3, 9.4], "reached"), ([8.0, 8.1], "missed")])
def test_a_limit_that_networks_set_has_an_interval_of_its_own(limits, words):
    assert str(judge([8.9, 9.0, 8.95], limits)) == words
    wide = [limit + spread for limit, spread in zip(limits, (-3, 3), strict=True)]
    assert str(judge([8.9, 9.0, 8.95], wide)) == f"{words} in the mean, not decided"
