"""Does a network know how sure it may be? Reliability diagram and expected calibration error."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from squeeze_utils.results.figures import curve_style

if TYPE_CHECKING:
    from matplotlib.figure import Figure

BINS = 10
FEWEST = 20  # answers of a bin that a figure shows


def reliability(share: ArrayLike, right: ArrayLike) -> pd.DataFrame:
    """One row for each bin of probability that has pictures: count, mean probability, accuracy.

    `share` is the probability of each answer, `right` whether it was the true class. Bins are
    equally wide; probabilities and accuracies are in per cent.

    >>> reliability([0.95, 0.95, 0.55], [True, False, True])["accuracy"].tolist()
    [100.0, 50.0]
    """
    share, right = np.asarray(share, dtype=float), np.asarray(right, dtype=bool)
    if share.ndim != 1 or share.shape != right.shape or not len(share):
        raise ValueError(f"one probability for each answer, got {share.shape} and {right.shape}")
    if not (share.min() >= 0 and share.max() <= 1):
        raise ValueError("probabilities must lie from 0 to 1")
    place = np.minimum((share * BINS).astype(int), BINS - 1)
    frame = pd.DataFrame({"bin": place, "probability": 100 * share, "accuracy": 100.0 * right})
    found = frame.groupby("bin").mean()
    return found.assign(pictures=frame.groupby("bin").size()).reset_index()


def calibration_error(share: ArrayLike, right: ArrayLike) -> float:
    """The expected calibration error in points (Naeini et al. 2015).

    ECE = sum over bins of n_b / n |accuracy_b - mean probability_b|.

    >>> calibration_error([0.75, 0.75, 0.75, 0.75], [True, True, True, False])
    0.0
    """
    found = reliability(share, right)
    gap = (found["accuracy"] - found["probability"]).abs()
    return float((gap * found["pictures"]).sum() / found["pictures"].sum())


def reliability_figure(cases: Mapping[str, tuple[ArrayLike, ArrayLike]]) -> Figure:
    """Accuracy against probability for each network; on the diagonal it is as right as it says.

    Bins of fewer than `FEWEST` answers are left out: they count in the error, but show chance.
    """
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(4.6, 3.8))
    ax.plot([0, 100], [0, 100], color="0.4", linewidth=1, linestyle=":")
    for i, (name, (share, right)) in enumerate(cases.items()):
        found = reliability(share, right)
        found = found[found["pictures"] >= FEWEST]
        label = f"{name}: error {calibration_error(share, right):.1f} points"
        ax.plot(found["probability"], found["accuracy"], label=label, **curve_style(i))
    ax.set(xlabel="probability of the answer (%)", ylabel="right (%)", xlim=(0, 101))
    ax.legend(loc="upper left")
    return fig
