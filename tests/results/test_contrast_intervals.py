"""Intervals of contrasts over seeds: right by hand, and in simulated studies."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from squeeze_utils.results.contrast_intervals import sum_of_means, with_one_deviation
from squeeze_utils.results.differences import paired, welch


def half(difference) -> float:
    return (difference.high - difference.low) / 2


def test_rows_have_the_mean_of_their_variances_and_all_degrees_of_freedom():
    rows = {"a": [1.0, 1.2, 1.4], "b": [5.0, 5.1, 5.2], "short": [2.0, 2.2]}
    found = with_one_deviation(rows)
    squares = 2 * 0.04 + 2 * 0.01 + 1 * 0.02
    for name, values in rows.items():
        assert found[name].df == 5 and found[name].n == len(values)
        assert found[name].estimate == pytest.approx(np.mean(values))
        error = math.sqrt(squares / 5 / len(values))
        assert half(found[name]) == pytest.approx(stats.t.ppf(0.975, 5) * error)


def test_one_row_has_the_interval_of_its_own_pairs():
    (found,) = with_one_deviation({"a": [1.0, 1.2, 1.7]}).values()
    own = paired([1.0, 1.2, 1.7], [0.0, 0.0, 0.0])
    assert (found.low, found.high) == pytest.approx((own.low, own.high))


def test_what_no_seed_changes_is_known_exactly_and_hides_no_noise():
    rows = {"a": [1.0, 1.2, 1.4], "certain": [3.0, 3.0, 3.0]}
    found = with_one_deviation(rows)
    assert (found["certain"].low, found["certain"].high) == (3.0, 3.0)
    assert found["a"] == with_one_deviation({"a": rows["a"]})["a"]
    assert with_one_deviation({}) == {}


def test_parts_that_share_nothing_have_welchs_interval():
    a, b, c = [92.1, 92.4, 92.3], [91.0, 91.5, 91.1], [1.0, 1.0, 4.0, 2.0]
    found, known = sum_of_means([a, [-x for x in b]]), welch(a, b)
    assert (found.low, found.high, found.df) == pytest.approx((known.low, known.high, known.df))
    errors = np.array([np.var(x, ddof=1) / len(x) for x in (a, b, c)])
    df = errors.sum() ** 2 / (errors**2 / [2, 2, 3]).sum()
    three = sum_of_means([a, b, c])
    assert half(three) == pytest.approx(stats.t.ppf(0.975, df) * math.sqrt(errors.sum()))
    assert sum_of_means([a, [-x for x in a]]).estimate == 0


def test_too_few_seeds_are_refused():
    with pytest.raises(ValueError, match="row 'a' has n = 1; this needs at least 2"):
        with_one_deviation({"a": [1.0]})
    with pytest.raises(ValueError, match="a group has n = 1"):
        sum_of_means([[1.0, 2.0], [1.0]])


def test_nominal_and_simulated_coverage_agree():
    rng, tries = np.random.default_rng(0), 2000
    pooled = split = 0
    for values in rng.normal(0, 1, (tries, 2, 3)):
        row = with_one_deviation(dict(enumerate(values)))[0]
        pooled += row.low <= 0 <= row.high
        apart = sum_of_means(values * [[1.0], [2.0]])
        split += apart.low <= 0 <= apart.high
    assert pooled / tries == pytest.approx(0.95, abs=0.015)
    assert 0.93 < split / tries < 0.99  # Welch's interval is too wide rather than too short
