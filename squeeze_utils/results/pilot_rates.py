"""What a pilot says about learning rates: the best of each arm, and whether the grid ends there."""

from __future__ import annotations

from collections.abc import Iterable

import pandas as pd

from squeeze_utils.results.learning_curves import VALIDATION
from squeeze_utils.results.study_results import Sentence
from squeeze_utils.results.tables import NO_RECORDS


def best_rates(frame: pd.DataFrame, by: str) -> pd.DataFrame:
    """The best rate of each arm of a pilot, and whether it is the lowest or highest one tried.

    >>> frame = pd.DataFrame({"rule": "a", "lr": [0.01, 0.1, 1], VALIDATION: [50, 53, 56]})
    >>> best_rates(frame, "rule")["at the edge"].to_dict()
    {'a': True}
    """
    rows = {}
    for name, part in frame.groupby(by, sort=False) if len(frame) else ():
        means = part.groupby("lr")[VALIDATION].mean()
        best = means.idxmax()
        rows[name] = {"best rate": best, "at the edge": best in (means.index[0], means.index[-1])}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)


def one_rate_for_all(pilots: Iterable[tuple[pd.DataFrame, str]]) -> Sentence:
    """Whether all networks of some pilots (frame, label) have the same best rate.

    Those are told too whose best rate is the lowest or highest one that was tried. A network that
    several pilots share, under names of their own, counts once: all its results are equal.
    """
    networks: dict[frozenset[tuple[float, float]], tuple[dict[str, None], pd.Series]] = {}
    for frame, by in pilots:
        for name, row in best_rates(frame, by).iterrows():
            part = frame[frame[by] == name]
            results = frozenset(zip(part["lr"], part[VALIDATION], strict=True))
            names, _ = networks.setdefault(results, ({}, row))
            names[str(name)] = None
    if not networks:
        return Sentence(f"{NO_RECORDS}.")
    best = pd.DataFrame({_all_names(*names): row for names, row in networks.values()}).T
    votes = best["best rate"].value_counts().sort_index()
    counted = ", ".join(f"{lr:g} for {n}" for lr, n in votes.items())
    edge = ", ".join(map(str, best.index[best["at the edge"].astype(bool)])) or "none"
    return Sentence(
        f"Best rates: {counted} of {len(best)} networks. At the edge of the rates tried: {edge}. "
        f"The prediction of one rate for all {'holds' if len(votes) == 1 else 'fails'}."
    )


def _all_names(first: str, *others: str) -> str:
    return f"{first} (also called {', '.join(others)})" if others else first


def accuracies_by_rate(frame: pd.DataFrame, by: str) -> Sentence:
    """Mean validation accuracy of each arm of a pilot at each rate that it was tried at."""
    if frame.empty:
        return Sentence(f"{NO_RECORDS}.")
    parts = []
    for name, part in frame.groupby(by, sort=False):
        means = part.groupby("lr")[VALIDATION].mean()
        found = ", ".join(f"{mean:.1f} at {lr:g}" for lr, mean in means.items())
        parts.append(f"**{name}** {found}")
    return Sentence(f"Validation accuracy (%): {'; '.join(parts)}.")
