"""Bytes against error of the two LeNets: chapter 13's files beside published ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from squeeze_utils.results.figures import curve_style
from squeeze_utils.results.size_and_error import PUBLISHED
from squeeze_utils.results.statistics import binomial_interval
from squeeze_utils.results.tables import ACCURACY

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from squeeze_utils.results.study_results import Results

LENETS = ("LeNet-300-100", "LeNet-5")
PICTURES = 10_000  # of MNIST's test split
TICKS = [2, 5, 10, 20, 50]  # kB


def two_lenets(found: Results) -> Figure:
    """A panel for each LeNet: the mean of recipe "ours" of `deep_compression`, and others' files.

    The bar of ours says how far another draw of test pictures could move one network's error.
    """
    import matplotlib.pyplot as plt

    fig, panels = plt.subplots(1, len(LENETS), figsize=(9, 3.6))
    for ax, network in zip(panels, LENETS, strict=True):
        _draw_ours(ax, found.where(network=network, recipe="ours").frame)
        _draw_published(ax, network)
        ax.set(xscale="log", title=network, xlabel="file (kB, log scale)", ylabel="test error (%)")
        ax.set(xlim=(1.2, 60), xticks=TICKS, xticklabels=TICKS)
        ax.minorticks_off()
    panels[0].legend(fontsize=8)
    return fig


def _draw_ours(ax: Axes, frame: pd.DataFrame) -> None:
    if frame.empty:
        return
    size, score = frame[["file_bytes", ACCURACY]].mean()
    ends = np.array(binomial_interval(round(PICTURES * score / 100), PICTURES))
    ax.vlines(size / 1e3, *(100 - ends), color=curve_style(0)["color"])
    look = curve_style(0) | {"linestyle": "none"}
    ax.plot(size / 1e3, 100 - score, label="ours, 95 % over test pictures", **look)


def _draw_published(ax: Axes, network: str) -> None:
    """Each source of either LeNet has a look of its own, also where it has no point here."""
    every = pd.DataFrame(p for p in PUBLISHED if p.network in LENETS)
    for i, (source, part) in enumerate(every.groupby("source"), 1):
        x, y = part[part["network"] == network][["bytes", "error"]].T.to_numpy()
        ax.plot(x / 1e3, y, label=source, **curve_style(i) | {"linestyle": "none"})
