"""Searches of a table: what they pay, what they know, what they find."""

from __future__ import annotations

import numpy as np
import pytest

from squeeze_utils.experiments.search.replay import (
    METHODS,
    BudgetSpent,
    Run,
    bracket,
    brackets,
    replay,
    run_once,
    tpe,
)


@pytest.fixture
def table():
    """64 points in two axes, 2 seeds, 6 epochs; the best is in the middle of the first axis."""
    place = np.indices((16, 4))[0]
    final = 90 - (place - 7.0) ** 2
    curve = np.linspace(0.5, 1, 6)
    noise = np.random.default_rng(0).normal(0, 0.3, (16, 4, 2, 6))
    return final[:, :, None, None] * curve + noise


def test_only_new_epochs_are_paid(table):
    run = Run(table, budget=10)
    first = run.train(3, 2)
    assert run.spent == 2 and run.best[-1] == -1
    assert run.train(3, 2) == first and run.spent == 2
    run.train(3)
    assert run.spent == 6 and run.best.tolist() == [-1] * 6 + [3] * 5
    with pytest.raises(BudgetSpent):
        run.train(4)
    assert run.spent == 6


def test_the_best_is_the_one_measured_best_and_the_other_seed_judges(table):
    run = Run(table, budget=24)
    scores = {point: run.train(point) for point in (28, 0, 1, 2)}
    assert run.best[6:].tolist() == [28] * 19
    flat = table.reshape(64, 2, 6)
    seen, other = run.measured[-1], run.judged[-1]
    assert seen == scores[28] and {seen, other} == set(flat[28, :, -1])
    assert np.isnan(run.measured[:6]).all() and np.isnan(run.judged[:6]).all()


def test_with_one_seed_nothing_can_judge(table):
    run = Run(table[:, :, :1], budget=24)
    run.train(28)
    assert np.isnan(run.judged).all() and run.measured[-1] > 0


@pytest.mark.parametrize("method", METHODS)
def test_every_method_keeps_its_budget_and_can_be_repeated(table, method):
    one, again = (replay(table, method, 70, 4) for _ in range(2))
    assert np.array_equal(one.best, again.best)
    assert one.best.shape == one.measured.shape == one.judged.shape == (4, 71)
    measured = one.measured[:, -1]
    assert np.isfinite(measured).all() and (np.diff(one.measured[:, 36:], axis=1) >= 0).all()
    run = run_once(table, method, 70)
    assert sum(after - before for _, before, after in run.log) == run.spent <= 70


def test_methods_of_a_repetition_begin_with_the_same_points(table):
    starts = {tuple(p for p, *_ in run_once(table, m, 48, 5).log[:8]) for m in ("random", "TPE")}
    assert len(starts) == 1
    assert run_once(table, "random", 48, 6).log != run_once(table, "random", 48, 5).log


def test_tpe_beats_random_search_on_a_hill(table):
    ours, chance = (replay(table, name, 90, 30).judged[:, -1].mean() for name in ("TPE", "random"))
    assert ours > chance
    assert np.array_equal(replay(table, tpe, 90, 3).best, replay(table, "TPE", 90, 3).best)


def test_a_small_table_is_used_up(table):
    run = run_once(table[:2, :2], "random", 100)
    assert run.spent == 24
    assert run_once(table[:2], "TPE", 100).spent == 48


def test_a_bracket_halves_and_goes_on(table):
    run = Run(table, budget=100)
    bracket(run, 8, (1, 3, 6))
    assert run.spent == 8 + 4 * 2 + 2 * 3 and len(run.log) == 14
    costs = [n * sum(np.diff([0, *at]) / 2 ** np.arange(len(at))) for n, at in brackets(6)]
    assert max(costs) / min(costs) < 1.1


def test_the_median_rule_stops_the_poor(table):
    log = run_once(table, "random + median rule", 100).log
    last = {}
    for point, _, after in log:
        last[point] = after
    assert set(last.values()) >= {2, 6}
    assert all(after == 6 for after in list(last.values())[:4])


def test_refusals(table):
    with pytest.raises(ValueError, match="axes for settings"):
        replay(table[0, 0], "random", 10)
    with pytest.raises(ValueError, match="method"):
        replay(table, "grid", 10)
    with pytest.raises(ValueError, match="budget"):
        replay(table, "random", 0)
