"""Networks compared on the same pictures, as a mean over seeds."""

from __future__ import annotations

import math

import numpy as np
import pytest

from squeeze_utils.results.same_pictures import averaged
from squeeze_utils.results.statistics import family, mcnemar


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


def test_one_seed_is_mcnemar(rng):
    a, b = rng.random((2, 1, 300)) < 0.8
    one, other = averaged(a, b), mcnemar(a[0], b[0])
    assert one == other and family({0: one})[0].low == other.low


def test_equal_seeds_give_the_interval_of_one_of_them():
    a = np.arange(400) % 10 > 0
    b = np.arange(400) % 7 > 0
    one, three = mcnemar(a, b), averaged(np.stack([a] * 3), np.stack([b] * 3))
    assert three.estimate == pytest.approx(one.estimate)
    assert (three.low, three.high) == pytest.approx((one.low, one.high))


def test_the_interval_by_hand():
    right = np.array([[True, True, False, False], [True, False, False, False]])
    found = averaged(right, np.zeros_like(right))
    assert found.estimate == pytest.approx(37.5)  # d is 1, 0.5, 0, 0
    known = np.array([1, 0.5, 0, 0, 1, -1])
    half = 1.959964 * known.std() / math.sqrt(6)
    assert found.low == pytest.approx(100 * (known.mean() - half))
    assert found.high == pytest.approx(100 * (known.mean() + half))
    assert found.n == 4 and "2 seeds" in found.method


def test_nothing_changed_is_undecided_and_everything_is_not():
    same = np.ones((3, 50), dtype=bool)
    assert averaged(same, same).verdict() == "undecided"
    worse = averaged(~same, same)
    assert worse.verdict() == "lower" and worse.low >= -100


def test_p_and_interval_do_not_contradict_each_other(rng):
    for _ in range(200):
        a, b = rng.random((2, 3, 40)) < 0.85
        found = averaged(a, b)
        assert (found.p < 0.05) == (found.low > 0 or found.high < 0)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.ones((2, 3), dtype=bool), np.ones((2, 4), dtype=bool)),
        (np.ones(3, dtype=bool), np.ones(3, dtype=bool)),
        (np.ones((2, 3)), np.ones((2, 3))),
        (np.ones((0, 3), dtype=bool), np.ones((0, 3), dtype=bool)),
    ],
)
def test_bad_input_is_refused(one, other):
    with pytest.raises(ValueError, match=r"boolean arrays \(seeds, pictures\)"):
        averaged(one, other)
    with pytest.raises(ValueError, match="confidence"):
        averaged(np.ones((2, 3), dtype=bool), np.ones((2, 3), dtype=bool), 95)
