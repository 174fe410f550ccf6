from __future__ import annotations

import math

import numpy as np
import pytest

from squeeze_utils.base.checks import choose, real_number, true_or_false, whole_number


def test_a_choice_comes_back_and_an_unknown_one_lists_all():
    assert choose("colour", "red", ("red", "blue")) == "red"
    with pytest.raises(ValueError, match="unknown colour 'green'; accepted: red, blue"):
        choose("colour", "green", {"red": 1, "blue": 2})


def test_a_whole_number_within_its_limits_comes_back():
    assert whole_number("bits", 1, 1) == 1
    assert whole_number("bits", 16, 1, 16) == 16


@pytest.mark.parametrize("wrong", [0, -3, 1.0, True, "2", None, np.int64(2), math.nan])
def test_what_is_no_whole_number_of_that_size_is_refused(wrong):
    with pytest.raises(ValueError, match="bits must be a whole number of at least 1, got "):
        whole_number("bits", wrong, 1)


def test_an_upper_limit_is_named_and_the_error_can_be_chosen():
    class OwnError(ValueError):
        pass

    with pytest.raises(OwnError, match="bits must be a whole number from 1 to 16, got 17"):
        whole_number("bits", 17, 1, 16, OwnError)
    with pytest.raises(OwnError, match="x must be positive, got 0"):
        real_number("x", 0, above=0, error=OwnError)


@pytest.mark.parametrize(
    ("limits", "fine", "wrong", "words"),
    [
        ({"above": 0}, (0.1, 3), (0, -1, math.nan, math.inf, "1", True, None), "be positive"),
        ({"above": 2}, (2.5,), (2, 1), "be above 2"),
        ({"least": 0}, (0, 0.5, np.float32(0.1), np.int64(2)), (-0.1, math.nan), "be at least 0"),
        ({"most": 1}, (1, -5), (1.1, -math.inf), "be at most 1"),
        ({"below": 1}, (0.9,), (1,), "be below 1"),
        ({"least": 0, "below": 1}, (0, 0.9), (1, -0.1, math.nan), r"lie in \[0, 1\)"),
        ({"above": 0, "below": 1}, (0.5,), (0, 1), r"lie in \(0, 1\)"),
        ({"above": 0, "most": 1}, (1,), (0, 1.1), r"lie in \(0, 1\]"),
        ({}, (-3, 0.0), (math.inf, "x", 10**400), "be a finite number"),
    ],
)
def test_a_real_number_lies_within_its_limits(limits, fine, wrong, words):
    for value in fine:
        assert real_number("x", value, **limits) == value
    for value in wrong:
        with pytest.raises(ValueError, match=f"^x must {words}, got "):
            real_number("x", value, **limits)


def test_what_is_neither_true_nor_false_is_refused():
    assert true_or_false("flip", True) is True and true_or_false("flip", False) is False
    for wrong in (1, 0, "no", None):
        with pytest.raises(ValueError, match="flip must be True or False, got "):
            true_or_false("flip", wrong)
