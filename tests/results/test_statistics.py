from __future__ import annotations

import doctest
import math
import pickle
import statistics as standard

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from squeeze_utils.results import contrast_intervals, differences, statistics
from squeeze_utils.results.statistics import (
    Difference,
    binomial_interval,
    family,
    mcnemar,
    mcnemar_counts,
    mean_sd,
    paired,
    pooled,
    seed_correlation,
    seeds_needed,
    welch,
)

STUDIES = 2000
DECIDED = {"higher", "lower"}
EQUAL_DEVIATIONS = (1, 1, 1, 1, 1)
RISING_DEVIATIONS = (1, 1.5, 2, 2.5, 3)  # the control first
FALLING_DEVIATIONS = (3, 2.5, 2, 1.5, 1)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def _samples(rng, count: int = 30):
    """Pairs of samples of 2 to 6 networks, of different means and deviations."""
    for _ in range(count):
        n, m = rng.integers(2, 7, 2)
        deviation, other = rng.uniform(0.1, 3, 2)
        yield rng.normal(91, deviation, n), rng.normal(91.5, other, m)


def _limits(difference: Difference) -> tuple[float, float]:
    return difference.low, difference.high


def _with_interval(low: float, high: float) -> Difference:
    """A difference with three degrees of freedom and exactly this 95 % interval."""
    half = (high - low) / 2
    error = half / stats.t.ppf(0.975, 3)
    return differences.student((low + high) / 2, error, 3.0, 4, 4, "made up", 0.95)


@pytest.mark.parametrize("module", [contrast_intervals, differences, statistics])
def test_the_examples_in_the_docstrings_are_true(module):
    result = doctest.testmod(module)
    assert result.attempted >= 5
    assert result.failed == 0


# Intervals of two arms


@pytest.mark.parametrize("confidence", [0.8, 0.95, 0.99])
def test_welch_is_scipys(rng, confidence):
    for values, control in _samples(rng):
        expected = stats.ttest_ind(values, control, equal_var=False)
        interval = expected.confidence_interval(confidence)
        found = welch(values, control, confidence)
        assert _limits(found) == pytest.approx((interval.low, interval.high))
        assert found.p == pytest.approx(expected.pvalue)
        assert found.df == pytest.approx(expected.df)
        assert found.estimate == pytest.approx(values.mean() - control.mean())
        assert (found.n, found.n_control, found.method) == (len(values), len(control), "Welch")


def test_pooled_over_two_arms_is_students_test(rng):
    for values, control in _samples(rng):
        expected = stats.ttest_ind(values, control, equal_var=True)
        interval = expected.confidence_interval(0.95)
        found = pooled({"a": values, "b": control}, "a", "b")
        assert _limits(found) == pytest.approx((interval.low, interval.high))
        assert (found.p, found.df) == pytest.approx((expected.pvalue, expected.df))


def test_pooled_over_three_arms_takes_its_deviation_from_all(rng):
    groups = {"a": rng.normal(0, 1, 3), "b": rng.normal(0, 2, 5), "c": rng.normal(0, 3, 4)}
    found = pooled(groups, "a", "b")
    squares = sum(((arm - arm.mean()) ** 2).sum() for arm in groups.values())
    error = math.sqrt(squares / (12 - 3) * (1 / 3 + 1 / 5))
    half = stats.t.ppf(0.975, 9) * error
    gap = groups["a"].mean() - groups["b"].mean()
    assert _limits(found) == pytest.approx((gap - half, gap + half))
    assert found.df == 9


def test_pooled_takes_an_arm_of_one_network():
    found = pooled({"a": [92.0], "b": [91.0, 91.2], "c": [90.0, 90.4]}, "a", "b")
    assert found.df == 2
    assert found.error == pytest.approx(math.sqrt((0.02 + 0.08) / 2 * (1 + 1 / 2)))


def test_paired_is_scipys(rng):
    for n in (2, 3, 5):
        shared = rng.normal(0, 5, n)
        values, control = shared + rng.normal(0.5, 1, n), shared + rng.normal(0, 1, n)
        expected = stats.ttest_rel(values, control)
        interval = expected.confidence_interval(0.95)
        found = paired(values, control)
        assert _limits(found) == pytest.approx((interval.low, interval.high))
        assert (found.p, found.df) == pytest.approx((expected.pvalue, n - 1))


@pytest.mark.parametrize("compare", [welch, paired, lambda a, b: pooled({1: a, 2: b}, 1, 2)])
def test_where_nothing_varies_the_interval_is_a_point(compare):
    other = compare([90.1, 90.1, 90.1], [91.3, 91.3, 91.3])
    assert _limits(other) == pytest.approx((-1.2, -1.2))
    assert (other.p, other.verdict()) == (0, "lower")
    same = compare([0.1 + 0.2] * 3, [0.3] * 3)  # differ by rounding only
    assert (same.estimate, same.low, same.high, same.p) == (0, 0, 0, 1)
    assert same.verdict() == "undecided"
    assert same.verdict(margin=0.01) == "equal within ±0.01"


def test_one_constant_arm_leaves_the_degrees_of_freedom_to_the_other():
    found = welch([90.0, 91.0, 92.0], [90.5, 90.5, 90.5, 90.5])
    assert found.df == pytest.approx(2)
    assert found.error == pytest.approx(1 / math.sqrt(3))


def test_a_frames_columns_are_taken_as_they_are():
    frame = pd.DataFrame({"arm": list("aabb"), "acc": [91.0, 92.0, 90.0, 90.5]}, index=[7, 3, 1, 0])
    by_arm = frame.groupby("arm")["acc"]
    assert welch(by_arm.get_group("a"), by_arm.get_group("b")).estimate == 1.25
    assert pooled(dict(list(by_arm)), "a", "b").estimate == 1.25


def test_a_difference_is_a_value():
    found = welch([91.0, 92.0], [90.0, 90.5])
    assert pickle.loads(pickle.dumps(found)) == found
    assert pickle.loads(pickle.dumps(found)).limits(0.5) == found.limits(0.5)
    with pytest.raises(AttributeError):
        found.low = 0


# Verdicts


@pytest.mark.parametrize(
    "low, high, margin, expected",
    [
        (0.1, 0.9, None, "higher"),
        (-0.9, -0.1, None, "lower"),
        (-0.1, 0.9, None, "undecided"),
        (-0.1, 0.9, 0.5, "undecided"),
        (-0.4, 0.3, 0.5, "equal within ±0.5"),
        (0.1, 0.4, 0.5, "equal within ±0.5"),  # above zero, and too small to matter
        (0.1, 0.6, 0.5, "higher"),
        (-0.6, -0.1, 0.5, "lower"),
        (-0.6, -0.1, 1, "equal within ±1"),
    ],
)
def test_the_verdict_is_read_off_the_interval(low, high, margin, expected):
    assert _with_interval(low, high).verdict(margin) == expected


def test_p_interval_and_verdict_agree_alone_and_in_a_family(rng):
    for values, control in _samples(rng, 200):
        alone = welch(values, control, confidence=0.7)
        for found in (alone, family({i: alone for i in range(3)})[0]):
            assert (found.p < 1 - 0.7) == (found.verdict() in DECIDED)
            assert (found.low > 0 or found.high < 0) == (found.verdict() in DECIDED)


def test_equal_is_two_one_sided_tests(rng):
    seen = set()
    for values, control in _samples(rng, 200):
        above = stats.ttest_ind(values + 1, control, equal_var=False, alternative="greater")
        below = stats.ttest_ind(values - 1, control, equal_var=False, alternative="less")
        is_equal = max(above.pvalue, below.pvalue) < 0.05
        verdict = welch(values, control, confidence=0.9).verdict(margin=1)
        assert (verdict == "equal within ±1") == is_equal
        seen.add(is_equal)
    assert seen == {True, False}


# Families


def test_a_family_widens_each_interval_by_its_size(rng):
    alone = {i: welch(*pair) for i, pair in enumerate(_samples(rng, 5))}
    together = family(alone)
    assert list(together) == list(alone)
    for name, found in together.items():
        assert _limits(found) == pytest.approx(alone[name].limits(0.99))
        assert found.p == pytest.approx(min(1, 5 * alone[name].p))
        assert (found.comparisons, found.confidence) == (5, 0.95)
        assert found.estimate == alone[name].estimate


def test_a_family_of_one_is_the_difference_alone():
    found = welch([91.0, 92.0, 91.7], [90.0, 90.5, 90.1])
    assert family({"a": found})["a"].p == found.p
    assert _limits(family({"a": found})["a"]) == pytest.approx(_limits(found))


# What the corrections hold, and what they cost, by simulation


def _simulated(rng, deviations: tuple[float, ...], n: int, studies: int = STUDIES) -> np.ndarray:
    """Values without any difference, (studies, arms, networks); the control is the first arm."""
    noise = rng.normal(size=(studies, len(deviations), n))
    return 91 + noise * np.array(deviations)[:, None]


def _rows(p: np.ndarray) -> float:
    """Share of studies in which a family of these p values (studies, arms) decides anything."""
    return float((p.min(axis=1) * p.shape[1] < 0.05).mean())


@pytest.mark.parametrize("deviations", [EQUAL_DEVIATIONS, RISING_DEVIATIONS, FALLING_DEVIATIONS])
def test_few_families_without_effect_report_one(rng, deviations):
    """Of 2,000 studies of four arms against a control, five seeds each, at most 6 % claim."""
    claims = claims_alone = 0
    for control, *arms in _simulated(rng, deviations, 5):
        alone = {i: welch(arm, control) for i, arm in enumerate(arms)}
        claims += any(found.verdict() in DECIDED for found in family(alone).values())
        claims_alone += any(found.verdict() in DECIDED for found in alone.values())
    assert claims / STUDIES <= 0.06
    assert claims_alone / STUDIES > 0.09  # which is why a family is corrected


def test_all_intervals_of_a_family_hold_together(rng):
    """With true differences 0, 1, 2, 3 all four intervals cover theirs in 94 % or more."""
    truth = np.arange(4.0)
    covered = 0
    for control, *arms in _simulated(rng, (1, 1, 2, 3, 1), 4, studies=500):
        alone = {i: welch(arm + truth[i], control) for i, arm in enumerate(arms)}
        covered += all(d.low <= truth[i] <= d.high for i, d in family(alone).items())
    assert covered / 500 >= 0.94


def test_welch_is_kept_by_equal_numbers_and_lost_by_two_against_five(rng):
    def found(n: int, m: int, deviation: float) -> float:
        a, b = rng.normal(0, deviation, (50_000, n)), rng.normal(0, 1, (50_000, m))
        return float((stats.ttest_ind(a, b, axis=1, equal_var=False).pvalue < 0.05).mean())

    shares = [found(n, n, deviation) for n in (2, 3, 5) for deviation in (1, 3, 10)]
    assert min(shares) > 0.015 and max(shares) < 0.07
    assert 0.09 < found(2, 5, 3) < 0.12


def test_what_pooling_costs_where_deviations_differ(rng):
    """Without a difference, n = 5, alone: 5 % if alike, 13 % at worst with deviations 1 to 3.

    With the control the arm that deviates most, the pooled interval is too short for every arm,
    and a corrected family claims something in 9 % of studies where 5 % are promised. With the
    control the arm that deviates least, only the arms that deviate most are found too often.
    """

    def p_values(deviations: tuple[float, ...]) -> np.ndarray:
        values = _simulated(rng, deviations, 5, studies=20_000)
        error = np.sqrt(values.var(axis=2, ddof=1).mean(axis=1) * 2 / 5)
        gaps = (values[:, 1:] - values[:, :1]).mean(axis=2)
        p = 2 * stats.t.sf(np.abs(gaps) / error[:, None], 20)
        arms = dict(enumerate(values[0]))  # the same as our own function
        assert p[0, 3] == pytest.approx(pooled(arms, 4, 0).p)
        return p

    alike = p_values(EQUAL_DEVIATIONS)
    assert (alike < 0.05).mean() == pytest.approx(0.05, abs=0.005)
    assert _rows(alike) <= 0.05
    rising = (p_values(RISING_DEVIATIONS) < 0.05).mean(axis=0)
    assert rising[0] < 0.01 and 0.055 < rising[3] < 0.08
    falling = p_values(FALLING_DEVIATIONS)
    assert 0.11 < (falling[:, 0] < 0.05).mean() < 0.15
    assert 0.07 < _rows(falling) < 0.11


def test_one_level_for_all_intervals_costs_the_power_that_the_docstring_says(rng):
    """Four arms two deviations above the control, n = 5: Bonferroni finds 47 %, Holm 59 %."""
    values = _simulated(rng, EQUAL_DEVIATIONS, 5, studies=4000)
    values[:, 1:] += 2
    p = stats.ttest_ind(values[:, 1:], values[:, :1], axis=2, equal_var=False).pvalue
    smallest_first = np.sort(p, axis=1) * np.arange(4, 0, -1)
    by_holm = np.maximum.accumulate(smallest_first, axis=1)
    assert (4 * p < 0.05).mean() == pytest.approx(0.47, abs=0.03)
    assert (by_holm < 0.05).mean() == pytest.approx(0.59, abs=0.03)


# The same pictures


def _answers(only_a: int, only_b: int, pictures: int) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.ones(pictures, dtype=bool), np.ones(pictures, dtype=bool)
    b[:only_a] = False
    a[only_a : only_a + only_b] = False
    return a, b


def test_mcnemar_is_the_exact_binomial_test(rng):
    for _ in range(30):
        only_a, only_b = (int(count) for count in rng.integers(0, 40, 2))
        found = mcnemar(*_answers(only_a, only_b, 400))
        expected = stats.binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1
        assert found.p == pytest.approx(expected)
        assert found.estimate == pytest.approx(100 * (only_a - only_b) / 400)
        assert found == mcnemar_counts(only_a, only_b, 400)
        assert (found.n, found.n_control, found.method) == (400, 400, "McNemar")


def test_mcnemar_is_that_of_statsmodels():
    tables = pytest.importorskip("statsmodels.stats.contingency_tables")
    expected = tables.mcnemar([[900, 31], [14, 55]], exact=True).pvalue
    assert mcnemar_counts(31, 14, 1000).p == pytest.approx(expected)


def test_mcnemars_interval_is_that_of_bonett_and_price():
    """The example of R's statpsych::ci.prop.ps(.05, 12, 4, 26, 6)."""
    assert _limits(mcnemar_counts(26, 4, 48)) == pytest.approx((25.48067, 62.51933), abs=1e-5)
    assert mcnemar_counts(26, 4, 48).error == pytest.approx(9.448809)


def test_two_networks_that_agree_everywhere():
    found = mcnemar_counts(0, 0, 1000)
    assert (found.estimate, found.p, found.verdict()) == (0, 1, "undecided")
    assert found.low == pytest.approx(-found.high)
    assert 0.2 < found.high < 0.37  # of 1,000 pictures, 3.7 are the exact limit for none
    assert found.verdict(margin=0.5) == "equal within ±0.5"


def test_mcnemars_interval_never_contradicts_its_exact_p():
    decided = 0
    for only_a in range(0, 40):
        for only_b in range(0, 40, 6):
            alone = mcnemar_counts(only_a, only_b, 200)
            for found in (alone, family({i: alone for i in range(13)})[0]):
                assert (found.p < 0.05) == (found.verdict() in DECIDED)
                assert -100 <= found.low <= found.estimate <= found.high <= 100
                decided += found.verdict() in DECIDED
    assert decided > 200


@pytest.mark.parametrize("wins, losses", [(0.05, 0.05), (0.06, 0.04), (0.03, 0.002), (0.01, 0.01)])
def test_mcnemars_interval_covers_the_true_difference(rng, wins, losses):
    counts = rng.multinomial(1000, [wins, losses, 1 - wins - losses], size=500)
    truth = 100 * (wins - losses)
    found = [mcnemar_counts(int(a), int(b), 1000) for a, b, _ in counts]
    assert np.mean([d.low <= truth <= d.high for d in found]) >= 0.935


def test_wilsons_interval(rng):
    for hits, n in ((0, 50), (50, 50), (9120, 10_000), (3, 7)):
        z, share = stats.norm.ppf(0.975), hits / n
        centre = (share + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * math.sqrt(share * (1 - share) / n + z**2 / (4 * n**2))
        expected = (100 * (centre - half), 100 * (centre + half))
        assert binomial_interval(hits, n) == pytest.approx(expected, abs=1e-9)
        scipys = stats.binomtest(hits, n).proportion_ci(0.9, method="wilson")
        assert binomial_interval(hits, n, 0.9) == pytest.approx((100 * scipys[0], 100 * scipys[1]))


# Seeds


@pytest.mark.parametrize(
    "effect, power, level", [(0.5, 0.8, 0.05), (1.5, 0.9, 0.01), (3, 0.8, 0.05)]
)
def test_seeds_needed_is_the_first_number_with_the_power(effect, power, level):
    n = seeds_needed(2, 2 * effect, power, level)

    def reached(n: int) -> float:  # by the noncentral t itself
        df, shift = 2 * n - 2, effect * math.sqrt(n / 2)
        bound = stats.t.ppf(1 - level / 2, df)
        return stats.nct.sf(bound, df, shift) + stats.nct.cdf(-bound, df, shift)

    assert reached(n) >= power > reached(n - 1)
    assert seeds_needed(2, -2 * effect, power, level) == n


def test_seeds_needed_is_that_of_statsmodels():
    power = pytest.importorskip("statsmodels.stats.power").TTestIndPower()
    for effect in (0.2, 0.5, 1, 1.7, 2.5):
        n = power.solve_power(effect, alpha=0.05, power=0.8)
        assert seeds_needed(1, effect) == math.ceil(n)


@pytest.mark.parametrize("effect", [0.75, 1, 2, 2.5])
def test_welch_finds_what_seeds_needed_promises(rng, effect):
    n = seeds_needed(1, effect) + (seeds_needed(1, effect) < 5)
    a, b = rng.normal(effect, 1, (20_000, n)), rng.normal(0, 1, (20_000, n))
    found = (stats.ttest_ind(a, b, axis=1, equal_var=False).pvalue < 0.05).mean()
    assert found > 0.79


def test_a_huge_difference_needs_two_seeds():
    assert [seeds_needed(1, effect) for effect in (10, 100, 1e6, 1e9)] == [2, 2, 2, 2]


def test_seeds_that_share_nothing_are_uncorrelated(rng):
    frame = pd.DataFrame(
        [(arm, seed, rng.normal(arm, 1)) for arm in range(30) for seed in range(5)],
        columns=["arm", "seed", "test_accuracy"],
    )
    bound = 4 / math.sqrt(30 * 29 / 2 * 4)
    assert abs(seed_correlation(frame, "arm")) < bound


def test_seeds_that_share_something_are_correlated(rng):
    luck = rng.normal(0, 1, 400)
    frame = pd.DataFrame(
        [(arm, s, arm + luck[s] + rng.normal()) for arm in range(3) for s in range(400)],
        columns=["arm", "seed", "acc"],
    )
    assert seed_correlation(frame, "arm", "acc") == pytest.approx(0.5, abs=0.1)


def test_arms_with_few_common_seeds_or_constant_values_do_not_count():
    values = {"a": [1, 2, 4], "b": [2, 4, 8], "constant": [5, 5, 5]}
    rows = [(arm, seed, value) for arm, row in values.items() for seed, value in enumerate(row)]
    rows += [("short", 0, 9.0), ("short", 1, 1.0)]
    frame = pd.DataFrame(rows, columns=["arm", "seed", "acc"])
    assert seed_correlation(frame, "arm", "acc") == pytest.approx(1)


def test_mean_and_deviation_as_text():
    values = [1234.5, 1236.5, 1235.2]
    assert mean_sd(values, 2) == f"{np.mean(values):,.2f} ± {standard.stdev(values):.2f}"
    assert mean_sd([91.2]) == "91.2"
    assert mean_sd([91.2, math.nan, None, pd.NA]) == "91.2"
    assert mean_sd([math.nan]) == mean_sd([]) == "–"


# What is refused

GOOD = welch([91.0, 92.0], [90.0, 90.5])
FRAME = pd.DataFrame({"arm": list("aabb"), "seed": [0, 1, 0, 1], "acc": [1.0, 2.0, 3.0, 5.0]})
YES, NO = np.ones(3, dtype=bool), np.zeros(4, dtype=bool)


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: welch([91.0], [90.0, 90.5]), "the arm has n = 1; this needs at least 2"),
        (lambda: welch([91.0, 92.0], []), "the control has n = 0"),
        (lambda: welch([91.0, math.nan], [90.0, 90.5]), "missing or infinite"),
        (lambda: welch([91.0, math.inf], [90.0, 90.5]), "missing or infinite"),
        (lambda: welch([91.0, 92.0], [90.0, 90.5], confidence=95), "between 0 and 1"),
        (lambda: paired([91.0, 92.0, 93.0], [90.0, 90.5]), "equal lengths, not 3 and 2"),
        (lambda: paired([91.0], [90.0]), "n = 1"),
        (lambda: pooled({"a": [1, 2], "b": [1, 2]}, "c", "a"), "no arm .*c.*; there are: a, b"),
        (lambda: pooled({}, "a", "b"), "no arm"),
        (lambda: pooled({"a": [1.0], "b": [2.0]}, "a", "b"), "at least one arm of two"),
        (lambda: pooled({"a": [1, 2], "b": []}, "a", "b"), "arm 'b' has n = 0"),
        (lambda: pooled({"a": [1, 2], "b": [1, math.nan]}, "a", "b"), "arm 'b' has a missing"),
        (lambda: GOOD.verdict(margin=0), "positive number"),
        (lambda: GOOD.verdict(margin=-0.5), "positive number"),
        (lambda: GOOD.verdict(margin=math.nan), "positive number"),
        (lambda: family({}), "at least one difference"),
        (lambda: family(family({"a": GOOD, "b": GOOD})), "already"),
        (lambda: family({"a": GOOD, "b": welch([1, 2], [1, 2], 0.9)}), "same confidence"),
        (lambda: mcnemar(YES, NO), r"same pictures are needed, not shapes \(3,\) and \(4,\)"),
        (lambda: mcnemar(np.ones(3), np.ones(3)), "boolean"),
        (lambda: mcnemar(YES[:0], NO[:0]), "0 of 0"),
        (lambda: mcnemar_counts(-1, 2, 10), "-1 of 10 pictures"),
        (lambda: mcnemar_counts(6, 5, 10), "11 of 10 pictures"),
        (lambda: mcnemar_counts(1.5, 1, 10), "whole number"),
        (lambda: binomial_interval(5, 0), "5 of 0"),
        (lambda: binomial_interval(0.9, 1), "whole number"),
        (lambda: binomial_interval(1, 2, confidence=1), "between 0 and 1"),
        (lambda: seeds_needed(0, 1), "a deviation > 0"),
        (lambda: seeds_needed(-1, 1), "a deviation > 0"),
        (lambda: seeds_needed(1, 0), "a deviation > 0 and a difference"),
        (lambda: seeds_needed(1, math.nan), "a deviation > 0 and a difference"),
        (lambda: seeds_needed(1, 1, power=1), "level < power"),
        (lambda: seeds_needed(1, 1, power=0.04), "level < power"),
        (lambda: seeds_needed(1, 0.001), "not even 10,000"),
        (lambda: seed_correlation(FRAME, "arm", "acc"), "three seeds"),
        (lambda: seed_correlation(pd.concat([FRAME, FRAME]), "arm", "acc"), "more than one row"),
    ],
)
def test_bad_input_is_refused_in_words(call, message):
    with pytest.raises(ValueError, match=message):
        call()
