"""How arms learn: accuracy against epochs and seconds, epochs to a level, and against the rate.

`looks` says how an arm is drawn: its name, and keyword arguments of ``plot``. Arms keep that order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from squeeze_utils.results.study_results import Results, Sentence
from squeeze_utils.results.tables import ACCURACY, NO_RECORDS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Looks = Mapping[str, Mapping[str, Any]]
VALIDATION = "validation_accuracy"
AXES = {
    VALIDATION: "validation accuracy (%)",
    "train_loss": "training loss (nats)",
    "epoch": "epochs",
    "seconds": "seconds of training steps",
}


def curves_figure(
    found: Results,
    by: str,
    looks: Looks,
    epoch_seconds: Mapping[str, float] | None = None,
    title: str = "",
) -> Figure | None:
    """Means over seeds, in bands from the lowest seed to the highest, after every epoch.

    Left the training loss, right the accuracy on validation images. With `epoch_seconds`, what an
    epoch of each arm takes, it is the accuracy against epochs and against seconds. None without
    records.
    """
    import matplotlib.pyplot as plt

    if not found:
        return None
    frame = found.epochs()
    frame = frame[frame[by].isin(list(looks))]
    panels = [("epoch", "train_loss"), ("epoch", VALIDATION)]
    if epoch_seconds is not None:
        frame["seconds"] = frame["epoch"] * frame[by].map(epoch_seconds)
        panels = [("epoch", VALIDATION), ("seconds", VALIDATION)]
    fig, axes = plt.subplots(1, 2, figsize=(8.8, 3.8), sharey=epoch_seconds is not None)
    for ax, (x, y) in zip(axes, panels, strict=True):
        _draw_curves(ax, frame, by, looks, x, y)
        if epoch_seconds is not None:
            ax.label_outer()
    axes[0].legend(ncols=2, fontsize=8)
    several = ": mean, and range of the seeds" if frame["seed"].nunique() > 1 else ""
    fig.suptitle((title or found.study.title.rstrip("?")) + several, fontsize=11)
    return fig


def _draw_curves(ax: Axes, frame: pd.DataFrame, by: str, looks: Looks, x: str, y: str) -> None:
    """Draw a line and a band for each arm; accuracies below those at a third are cut off."""
    starts = []
    for name, part in _parts(frame, by, looks):
        groups = part.groupby("epoch")
        at, values = groups[x].mean(), groups[y].mean()
        ax.plot(at, values, label=name, markevery=max(1, len(at) // 8), **looks[name])
        low, high = groups[y].min(), groups[y].max()
        ax.fill_between(at, low, high, color=looks[name]["color"], alpha=0.15, linewidth=0)
        starts.append(values.iloc[len(values) // 3])
    if y == VALIDATION and len(frame["epoch"].unique()) > 3:
        ax.set_ylim(bottom=math.floor(min(starts)))
    ax.set(xlabel=AXES[x], ylabel=AXES[y])
    if x == "epoch":
        ax.xaxis.get_major_locator().set_params(integer=True)


def _parts(frame: pd.DataFrame, by: str, looks: Looks) -> Iterator[tuple[str, pd.DataFrame]]:
    """The rows of each arm that has any, in the order of `looks`."""
    for name in looks:
        part = frame[frame[by] == name]
        if len(part):
            yield name, part


def epochs_to(
    found: Results,
    by: str,
    control: str,
    below: float = 2.0,
    epoch_seconds: Mapping[str, float] | None = None,
) -> pd.DataFrame:
    """How soon each arm reaches a level: `below` points under the control's last mean accuracy.

    Accuracies are on validation images. Median of the first such epoch over the seeds, and how
    many of the seeds get there; empty while the control has no run.
    """
    frame = found.epochs()
    if frame.empty or control not in set(frame[by]):
        return pd.DataFrame()
    own = frame[frame[by] == control]
    level = own.loc[own["epoch"] == own["epoch"].max(), VALIDATION].mean() - below
    rows = {}
    for name, part in frame.groupby(by, sort=False):
        first = part[part[VALIDATION] >= level].groupby("seed")["epoch"].min()
        first = first.reindex(part["seed"].unique()).fillna(math.inf)
        there, median = int(np.isfinite(first).sum()), float(np.median(first))
        shown = f"{median:g}" if math.isfinite(median) else "not reached"
        rows[name] = {f"epochs to {level:.1f} %": shown}
        if epoch_seconds is not None and name in epoch_seconds:
            shown = f"{median * epoch_seconds[name]:.0f}" if math.isfinite(median) else ""
            rows[name]["seconds"] = shown
        rows[name]["seeds that reach it"] = f"{there} of {len(first)}"
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)


def plateaus(frame: pd.DataFrame, by: str, within: float = 3.0) -> pd.DataFrame:
    """The range of learning rates at most `within` points below the best, for each arm of a pilot.

    Between the rates tried accuracy is taken to be a straight line in the logarithm of the rate.
    `cut off` says that the range reaches an end of the rates tried: then `factor`, highest over
    lowest rate, is a lower bound.

    >>> frame = pd.DataFrame({"rule": "a", "lr": [0.01, 0.1, 1], VALIDATION: [50, 56, 50]})
    >>> float(plateaus(frame, "rule").loc["a", "factor"])
    10.0
    """
    rows = {}
    for name, part in frame.groupby(by, sort=False) if len(frame) else ():
        means = part.groupby("lr")[VALIDATION].mean()
        rates = np.log(means.index.to_numpy(dtype=float))
        low, high = _range(rates, means.to_numpy(dtype=float), within)
        rows[name] = {"best rate": means.idxmax(), "accuracy (%)": round(means.max(), 1)}
        rows[name] |= {"from": float(f"{math.exp(low):.2g}"), "to": float(f"{math.exp(high):.2g}")}
        rows[name]["factor"] = round(math.exp(high - low), 1)
        rows[name]["cut off"] = bool(low == rates[0] or high == rates[-1])
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)


def _range(x: np.ndarray, accuracy: np.ndarray, within: float) -> tuple[float, float]:
    """Ends of the interval around the best x where the broken line is not below the level."""
    best, level = int(accuracy.argmax()), accuracy.max() - within

    def end(order: Sequence[int]) -> float:
        for inner, outer in pairwise(order):
            if accuracy[outer] < level:
                share = (accuracy[inner] - level) / (accuracy[inner] - accuracy[outer])
                return float(x[inner] + share * (x[outer] - x[inner]))
        return float(x[order[-1]])

    return end(range(best, -1, -1)), end(range(best, len(x)))


def ahead_by_rate(
    pilot: Results, by: str, arm: str, control: str, *, predicted: bool = False
) -> Sentence:
    """By how much an arm of a pilot is ahead of the control at each rate that both were tried at.

    Means of accuracy on validation images, in points. Where it was `predicted` to be ahead at
    every rate, the sentence judges that. There is nothing to say before both have all their runs.
    """
    both = pilot.where(**{by: (arm, control)})
    done, runs = len(both.frame), len(both.study.planned)
    if done < runs or not runs:
        return Sentence(
            f"{arm} against {control} at each rate: not complete yet, {done} of {runs} runs."
        )
    means = both.frame.pivot_table(VALIDATION, "lr", by)
    ahead = (means[arm] - means[control]).dropna()
    gaps = ", ".join(f"{gap:+.2f} at {lr:g}" for lr, gap in ahead.items())
    found = f"Ahead at {(ahead > 0).sum()} of {len(ahead)} rates."
    if predicted and len(ahead):
        found += f" Predicted: at all of them. It {'holds' if (ahead > 0).all() else 'fails'}."
    return Sentence(f"{arm} minus {control}, in points on validation images: {gaps}. {found}")


def means_by_epochs(*parts: Results) -> Sentence:
    """Mean test accuracy of each part of a study, with the epochs that its networks trained."""
    known = [part.frame for part in parts if part]
    means = (f"{one[ACCURACY].mean():.2f} % after {one['epochs'].iloc[0]}" for one in known)
    return Sentence(f"{', '.join(means)} epochs" if known else NO_RECORDS)


def rates_figure(
    frame: pd.DataFrame, by: str, looks: Looks, families: Sequence[Sequence[str]], title: str
) -> Figure | None:
    """Validation accuracy of a pilot's runs against the peak rate, a panel for each family.

    A line leads through the means of each rate, a dot is a run.
    """
    import matplotlib.pyplot as plt

    if frame.empty:
        return None
    size = (4.4 * len(families), 3.9)
    fig, axes = plt.subplots(1, len(families), figsize=size, sharey=True, squeeze=False)
    for ax, family in zip(axes[0], families, strict=True):
        for name, part in _parts(frame, by, {name: looks[name] for name in family}):
            means = part.groupby("lr")[VALIDATION].mean()
            ax.plot(means.index, means, label=name, **looks[name])
            ax.plot(part["lr"], part[VALIDATION], ".", color=looks[name]["color"], alpha=0.5)
        rates = sorted(frame.loc[frame[by].isin(list(family)), "lr"].unique())
        ax.set(xscale="log", xlabel="peak learning rate")
        ax.set_xticks(rates, labels=[f"{rate:g}" for rate in rates], fontsize=8)
        ax.minorticks_off()
        ax.legend(fontsize=8)
    axes[0][0].set(ylabel=AXES[VALIDATION])
    fig.suptitle(title, fontsize=11)
    return fig
