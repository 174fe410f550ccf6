"""The last three exercises of notebook 08: maxima of noise, the journal, two splits."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from scipy import stats

from squeeze_utils.experiments.search import JournalError
from squeeze_utils.notebook.exercises.answers import as_number, ask, close, items, named
from squeeze_utils.notebook.exercises.exercise import Claims, Wrong


def exact_maxima(answer: Any) -> Claims:
    def expected(sx: float, sy: float, rho: float) -> float:
        return as_number(ask(answer, sx, sy, rho), "the expected maximum")

    draws = np.random.standard_normal((2, 400_000))
    draws = np.concatenate((draws, -draws), axis=1)  # the mean is exactly zero

    def simulated(sx: float, sy: float, rho: float) -> float:
        x, y = draws[0], rho * draws[0] + np.sqrt(1 - rho**2) * draws[1]
        return float(np.maximum(sx * x, sy * y).mean())

    free, right = expected(1.0, 1.0, 0.0), simulated(1, 1, 0)
    twice = "this is the mean of |x − y|. The maximum is half of it above the mean of both."
    yield "independent", not close(free, 2 * right, 0.01), twice
    one = "x − y has the variance 2, not 1."
    yield "independent", not close(free, right / np.sqrt(2), 0.01), one
    yield "independent", close(free, right, 0.01), f"for two independent ones it gives {free:.4f}."
    for rho in (0.5, -0.6, 0.9):
        found, right = expected(1.0, 1.0, rho), simulated(1, 1, rho)
        same = "two that go together differ less: the correlation counts."
        yield "correlated", not close(found, free, 1e-3), same
        sign = simulated(1, 1, -rho)
        yield "correlated", not close(found, sign, 0.01), "the sign of the covariance is wrong."
        yield "correlated", close(found, right, 0.01), f"for ρ = {rho:g} it gives {found:.4f}."
    for case in ((2.0, 1.0, 0.0), (3.0, 1.0, 0.5), (0.5, 2.0, -0.3)):
        off = f"for deviations {case[0]:g} and {case[1]:g}, ρ = {case[2]:g} it differs."
        yield "unequal", close(expected(*case), simulated(*case), 0.01), off
    yield "equal twins", close(expected(1.0, 1.0, 1.0), 0, absolute=1e-6), "for x = y it must be 0."


CREATES_A_TRIAL = 4  # Optuna's code of this operation in a journal


def journal(answer: Any) -> Claims:
    given = named(answer, "lines", "trial_0", "caught")
    lines = [str(line) for line in items(given["lines"], what="lines")]
    try:
        entries = list(map(json.loads, lines))
    except json.JSONDecodeError:
        raise Wrong(
            "lines has a line that is not whole: read the journal before you cut."
        ) from None
    if not all(isinstance(entry, dict) and "op_code" in entry for entry in entries):
        raise Wrong("lines are those of the journal, as text: path.read_text().splitlines().")
    created = [i for i, entry in enumerate(entries) if entry["op_code"] == CREATES_A_TRIAL]
    some = "no trial is created in this journal: run the search first."
    yield "a search", bool(created), some
    later = {i for i, entry in enumerate(entries) if entry.get("trial_id") == 0}
    wanted = [lines[i] for i in sorted({created[0]} | later)]
    found = [str(line) for line in items(given["trial_0"], what="trial_0")]
    other = "a line is not from this journal: give the lines as they stand."
    yield "trial 0", set(found) <= set(lines), other
    begin = "the line that creates the trial is missing; it has no trial_id."
    yield "trial 0", lines[created[0]] in found or len(found) != len(wanted) - 1, begin
    extra = "a line of another trial, or of the study, is among them."
    yield "trial 0", set(found) <= set(wanted), extra
    yield "trial 0", set(found) == set(wanted), f"{len(wanted) - len(found)} lines are missing."
    error = given["caught"]
    asked = "caught is the exception itself: except JournalError as error, then caught = error."
    yield "damage", isinstance(error, BaseException), asked
    kind = f"give a JournalError, not a {type(error).__name__}. Read with searching.read_search."
    yield "damage", isinstance(error, JournalError), kind


def _largest_of(k: int, m: int, p: float) -> float:
    """The expected best share of k binomial ones, exactly."""
    below = stats.binom.cdf(np.arange(m), m, p) ** k
    return float((1 - below).sum() / m)


def two_splits(answer: Any) -> Claims:
    names = ("whole_bias", "halves_bias", "loss_equal", "loss_different")
    given = named(answer, *names)
    found = {name: as_number(given[name], name) for name in names}
    k, m, p = 20, 143, 0.7
    right = 100 * (_largest_of(k, m, p) - p)
    whole = found["whole_bias"]
    yield "all images", abs(100 * whole - right) > 0.3, "give points of accuracy."
    yield "all images", abs(whole + right) > 0.3, "the sign: reported minus true."
    half = 100 * (_largest_of(k, m // 2, p) - p)
    small = "this is the bias on 71 images. Choose and report on all 143."
    yield "all images", abs(whole - half) > 0.3, small
    yield "all images", abs(whole - right) < 0.3, f"{whole:.2f} points is not the bias."
    again = "this is the winner's accuracy where it was chosen. Report that on the other half."
    yield "halves", abs(found["halves_bias"] - half) > 0.5, again
    bias = "the other half took no part in the choice, so nothing should be left."
    yield "halves", abs(found["halves_bias"]) < 0.2, bias
    equal = "equally good settings: no choice can lose anything."
    yield "loss, equal", abs(found["loss_equal"]) < 0.02, equal
    true = np.clip(p + 0.02 * np.random.standard_normal((40_000, k)), 0, 1)
    chosen = [np.random.binomial(n, true).argmax(1) for n in (m, m // 2)]
    accuracy = [float(true[np.arange(len(true)), best].mean()) for best in chosen]
    right, loss = 100 * (accuracy[0] - accuracy[1]), found["loss_different"]
    yield "loss, different", abs(loss + right) > 0.1, "the sign: true on 143 minus true on 71."
    yield "loss, different", abs(100 * loss - right) > 0.1, "give points of accuracy."
    yield "loss, different", abs(loss - right) < 0.12, f"{loss:.2f} points is not what it costs."
