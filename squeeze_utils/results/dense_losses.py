"""What fails first when bits get scarce: scores by class, and objects found by size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import matplotlib.pyplot as plt
import pandas as pd

from squeeze_utils.data.dense_sets import SETS
from squeeze_utils.results.figures import curve_style
from squeeze_utils.results.study_results import Results, Sentence
from squeeze_utils.results.tables import NO_RECORDS, measure_of
from squeeze_utils.studies.dense_answers import DENSE, FLOAT
from squeeze_utils.training.detection import THIRDS

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LEAST = 1.0  # per cent: where no class scores as much, nothing is left to compare


def by_class(found: Results) -> pd.DataFrame:
    """A row for each number of bits, a column for each class: mean score over seeds.

    The row DENSE is the network before pruning, FLOAT the pruned one without rounding.
    """

    def scores(final: Mapping[str, Any], images: str) -> dict[str, Any]:
        return dict(zip(SETS[images].classes, final["test_per_class"], strict=True))

    return _means(found, scores)


def by_size(found: Results) -> pd.DataFrame:
    """The same for the percent of objects found: the smallest third, the middle, the largest."""

    def shares(final: Mapping[str, Any], images: str) -> dict[str, Any]:
        known = final.get("test_found_by_size", {})
        return {name: known[name] for name in THIRDS if name in known}

    return _means(found, shares)


def _means(found: Results, values: Any) -> pd.DataFrame:
    rows = [
        {"bits": named["bits"], **values(record.final, record.data["name"])}
        for named, record in found.recorded()
    ]
    if not rows:
        return pd.DataFrame().rename_axis("bits")
    frame = pd.DataFrame(rows)
    numbers = frame.columns.drop("bits")
    frame[numbers] = frame[numbers].astype(float)
    return frame.groupby("bits", sort=False).mean()


def first_to_fail(found: Results) -> Sentence:
    """Which class and which size lose most, in points: at the fewest bits that leave anything.

    They are compared with FLOAT: the network that was pruned and trained on as they were.
    """
    classes, sizes = by_class(found), by_size(found)
    few = sorted(bits for bits in classes.index if bits not in (DENSE, FLOAT))
    if FLOAT not in classes.index or not few:
        return Sentence(f"What fails first is not known yet: {NO_RECORDS}.")
    left = [bits for bits in few if classes.loc[bits].max() >= LEAST]
    words = "".join(f"At {bits} bits nothing is found. " for bits in few if bits not in left)
    if not left:
        return Sentence(words.strip())
    fewest = left[0]
    lost = (classes.loc[FLOAT] - classes.loc[fewest]).dropna()
    words += (
        f"At {fewest} bits the class that loses most in the mean is *{lost.idxmax()}* "
        f"({lost.max():.1f} points of its score; the least loss is {lost.min():.1f}); three "
        "seeds, no interval."
    )
    if len(sizes.columns):
        fell = sizes.loc[FLOAT] - sizes.loc[fewest]
        listed = ", ".join(f"{name} {value:.1f}" for name, value in fell.items())
        words += f" Points fewer of the objects found, by size: {listed}."
    return Sentence(words)


def file_prediction(
    found: Results, bits: int = 4, most_bytes: int = 400_000, points: float = 2.0
) -> Sentence:
    """Whether the file with `bits` is small enough and loses few enough points, in the mean."""
    frame = found.frame
    if frame.empty or not {DENSE, bits} <= set(frame["bits"]):
        return Sentence("Part (1) of the prediction is open: not trained yet.")
    means = frame.groupby("bits", sort=False)["test_accuracy"].mean()
    lost = means[DENSE] - means[bits]
    size = frame.loc[frame["bits"] == bits, "file_bytes"].max()
    word = "holds" if size <= most_bytes and lost <= points else "fails"
    return Sentence(
        f"Part (1), {bits} bits: {size:,.0f} bytes at most, {lost:.1f} points lost in the mean: "
        f"it {word}."
    )


def _first_dense(bits: str | int) -> float:
    """A key that sorts DENSE first, then from many bits to few."""
    return float("-inf") if bits == DENSE else -float(bits)


def loss_figure(found: Results, title: str = "") -> Figure | None:
    """Score by class against bits, dense and float first; a sentence is printed without records."""
    table = by_class(found)
    if table.empty:
        print(NO_RECORDS)
        return None
    table = table.loc[sorted(table.index, key=_first_dense)]
    fig, ax = plt.subplots(figsize=(6.4, 3.6))
    places = range(len(table))
    for number, name in enumerate(table):
        look = curve_style(number % 7)
        if number >= 7:  # the seven looks begin again: hollow markers
            look |= {"markerfacecolor": "white", "linewidth": 0.9}
        ax.plot(places, table[name], label=name, **look)
    ax.set_xticks(places, ["float" if bits == FLOAT else str(bits) for bits in table.index])
    ax.set(
        xlabel="bits of a weight",
        ylabel=f"{measure_of(found.found).removeprefix('m')} of the class (%)",
    )
    ax.set(ylim=(0, 100), title=title)
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=7)
    return fig
