from __future__ import annotations

import pytest

from squeeze_utils.base.verdicts import verdict_of


@pytest.mark.parametrize(
    ("low", "high", "margin", "word"),
    [
        (0.1, 0.3, None, "higher"),
        (-0.3, -0.1, None, "lower"),
        (-0.3, 0.1, None, "undecided"),
        (0.0, 0.3, None, "undecided"),
        (0.1, 0.3, 0.5, "equal within ±0.5"),  # this word comes first
        (0.1, 0.5, 0.5, "higher"),
        (-0.6, 0.1, 0.5, "undecided"),
    ],
)
def test_one_word_for_each_interval(low, high, margin, word):
    assert verdict_of(low, high, margin) == word


@pytest.mark.parametrize("margin", [0, -1, float("inf"), float("nan")])
def test_a_margin_is_positive_and_finite(margin):
    with pytest.raises(ValueError, match="a margin is a positive number"):
        verdict_of(-0.1, 0.1, margin)
