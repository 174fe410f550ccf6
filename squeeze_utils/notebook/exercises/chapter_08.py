"""The exercises of notebook 08, hyperparameter tuning; the last three are in `chapter_08_noise`."""

from __future__ import annotations

from functools import partial
from statistics import median
from typing import Any

import numpy as np
from scipy import stats

from squeeze_utils.experiments.search.replay import replay, tpe
from squeeze_utils.notebook.exercises.answers import as_number, ask, close, items, named, number
from squeeze_utils.notebook.exercises.chapter_08_noise import (
    exact_maxima,
    journal,
    two_splits,
)
from squeeze_utils.notebook.exercises.exercise import Claims, Exercise


def how_many(answer: Any) -> Claims:
    given = named(answer, "best_percent", "each_of_three")

    def fewest(share: float, searches: int, probability: float) -> int:
        """By trying: the first number of points with which all searches succeed."""
        return next(
            n
            for n in range(1, 9999)
            if stats.binom.sf(0, n, share) ** searches >= probability - 1e-12
        )

    one = fewest(0.01, 1, 0.99)
    known = {
        one - 1: "one point fewer is not quite enough.",
        fewest(0.01, 1, 0.95): "this is enough with probability 95 %.",
        fewest(0.05, 1, 0.99): "this is enough for the best 5 %.",
    }
    yield from number("best 1 %", given["best_percent"], one, known)
    each = fewest(0.05, 3, 0.95)
    known = {
        fewest(0.05, 1, 0.95): "with these all three succeed with probability 86 % only.",
        3 * fewest(0.05, 1, 0.95): "three times the points of one search are more than needed.",
        3 * each: "this is the sum of the three searches.",
        each - 1: "one point fewer is not quite enough.",
        -(-each // 3): "each search has to succeed with its own points.",
    }
    yield from number("each of three", given["each_of_three"], each, known)


def wrong_scale(answer: Any) -> Claims:
    given = named(answer, "even", "by_exponent")
    quantiles = (np.arange(100_000) + 0.5) / 100_000
    for low, high, limit in ((0.001, 1.0, 0.1), (0.001, 1.0, 0.01), (0.01, 10.0, 1.0)):
        even = float((low + quantiles * (high - low) < limit).mean())
        log = float((np.geomspace(low, high, 100_001)[1:] < limit).mean())
        where = f"below {limit:g} of {low:g} to {high:g}"
        found = as_number(ask(given["even"], limit, low, high), "even")
        yield "even", not close(found, 100 * even, 0.01), "give a share between 0 and 1."
        yield "even", not close(found, log, 1e-3), "this is the share for an even exponent."
        whole = "the range begins at its lower end, not at 0."
        yield "even", close(found, even, 1e-3) or not close(found, limit / high), whole
        yield "even", close(found, even, 2e-3, 2e-5), f"{where} it gives {found:.4f}."
        found = as_number(ask(given["by_exponent"], limit, low, high), "by_exponent")
        above = "this is the share above the limit."
        yield "by exponent", close(log, 0.5) or not close(found, 1 - log, 1e-3), above
        yield "by exponent", close(found, log, 1e-3), f"{where} it gives {found:.4f}."


def _lower_hill(width: int) -> float:
    """Percent of replayed searches that end on the lower hill."""
    x = np.linspace(0, 1, 101)
    scores = np.zeros_like(x)
    for height, centre, half in ((1.0, 0.73, 0.08), (0.6, 0.25, 0.15)):
        scores += height / np.exp(((x - centre) / half) ** 2)
    found = replay(scores.reshape(-1, 1, 1), partial(tpe, width=width), 20, 120)
    return 100 * float(np.mean([best < 0.61 for best in found.measured[:, -1]]))


def wider_bells(answer: Any) -> Claims:
    given = named(answer, 2, 5, 10, 20)
    found = {width: as_number(share, f"width {width}") for width, share in given.items()}
    yield "per cent", max(found.values()) > 1, "give per cent of the 200 runs."
    right = {width: _lower_hill(width) for width in (2, 20)}
    higher = "this is how often a run ends on the higher hill."
    yield "lower hill", abs(found[2] - (100 - right[2])) > 15, higher
    for width, share in right.items():
        off = f"with a width of {width}, {found[width]:.0f} % is not what a replay gives."
        yield "lower hill", abs(found[width] - share) < 12, off
    ordered = [found[width] for width in (2, 5, 10, 20)]
    rising = "from the narrowest bell to the widest the share rises."
    yield "from narrow to wide", ordered[0] < ordered[1] < ordered[3], rising
    between = "widths 5 and 10 lie between the narrowest bell and the widest."
    yield "from narrow to wide", ordered[1] - 3 < ordered[2] < ordered[3] + 6, between


#: The notebook's table: the accuracy of each trial after epochs 1 to 4.
TABLE = "A 20 35 50 60, B 30 50 62 70, C 10 20 35 45, D 25 30 33 35, E 15 40 55 68, F 5 15 70 90"
ROWS = [row.split() for row in TABLE.split(", ")]
CURVES = {name: [int(value) for value in values] for name, *values in ROWS}


def _stops(begin: int) -> dict[str, int]:
    """The epochs that each trial trains, by following the trials epoch by epoch."""
    finished: list[str] = []
    trained = {}
    for name, curve in CURVES.items():
        for epoch in range(1, 5):
            trained[name] = epoch
            judged = len(finished) >= 3 and begin <= epoch < 4
            if judged and max(curve[:epoch]) < median(CURVES[o][epoch - 1] for o in finished):
                break
        else:
            finished.append(name)
    return trained


def stopping(answer: Any) -> Claims:
    given = named(answer, "stopped", "saved", "complete_from")
    parts = {what: named(given[what], 1, 3, what=what) for what in ("stopped", "saved")}
    for begin in (1, 3):
        trained = _stops(begin)
        right = {name for name, epochs in trained.items() if epochs < 4}
        found = {str(name) for name in items(parts["stopped"][begin], what="stopped")}
        early = "the rule waits until three trials have run to their end."
        yield f"stopped from {begin}", not found & set("ABC"), early
        many = f"{', '.join(sorted(found - right))}: not below the median when the rule looks."
        yield f"stopped from {begin}", found <= right, many
        few = f"beginning after epoch {begin}, one more trial falls below the median."
        yield f"stopped from {begin}", found == right, few
        saved = 24 - sum(trained.values())
        known = {
            sum(trained.values()): "these are the epochs trained. How many of 24 are saved?",
            saved / 24: "give a number of epochs.",
            3 * len(right) if begin == 1 else -1: "D is stopped later: its first epoch is good.",
        }
        known.pop(saved, None)
        yield from number(f"saved from {begin}", parts["saved"][begin], saved, known)
    whole = [begin for begin in (1, 2, 3) if _stops(begin)["F"] == 4]
    known = {2: "after epoch 2 F has 15; the median of A, B, C and E there is 37.5."}
    yield from number("F complete", given["complete_from"], min(whole), known)


EXERCISES = {
    1: Exercise(
        "How many?",
        how_many,
        "k points all miss with probability (1 − q)ᵏ. Take logarithms and round up. Each of the "
        "three searches needs the probability 0.95 ** (1 / 3).",
    ),
    2: Exercise(
        "A wrong scale",
        wrong_scale,
        "(limit − low) / (high − low); for an even exponent the same with the logarithm of all "
        "three.",
    ),
    3: Exercise(
        "Wider bells",
        wider_bells,
        "A run is on the lower hill if its best score is below 0.61, just above the top of that "
        "hill: 100 * (best < 0.61).mean().",
    ),
    4: Exercise(
        "Stopping earlier or later",
        stopping,
        "median_rule says after how many epochs each configuration ends. One that ends before the "
        "last epoch was stopped. What is saved is the difference to all epochs of all.",
    ),
    5: Exercise(
        "Exact maxima",
        exact_maxima,
        "x − y is normal; its variance is the sum of both variances minus twice the covariance. "
        "E|z| = √(2/π) for a standard normal z.",
    ),
    6: Exercise(
        "The journal by hand",
        journal,
        'Every line is JSON. Lines about trial 0 have "trial_id": 0, except the one that creates '
        "it: there the trial has no number yet. In `except JournalError as error:` keep it: "
        "caught = error.",
    ),
    7: Exercise(
        "Two splits against the curse",
        two_splits,
        "measured = rng.binomial(m, true) / m for 20 settings; argmax; compare what was measured "
        "with the true accuracy of that setting. For the halves draw anew for the winner.",
    ),
}
