"""What fails first when bits get scarce: scores by class, and objects found by size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import TYPE_CHECKING, Any, NamedTuple

import matplotlib.pyplot as plt
import pandas as pd

from squeeze_utils.data.dense_sets import SETS
from squeeze_utils.results.comparison import complete, planned_networks
from squeeze_utils.results.figures import PALETTE, curve_style
from squeeze_utils.results.goals import MISSED, NOT_DECIDED, REACHED, judge
from squeeze_utils.results.statistics import paired
from squeeze_utils.results.study_results import Results, Sentence
from squeeze_utils.results.tables import NO_RECORDS, NOT_TRAINED, measure_of, numbered
from squeeze_utils.studies.dense_answers import DENSE, FLOAT
from squeeze_utils.training.detection import THIRDS
from squeeze_utils.training.segmentation import Segmentation

if TYPE_CHECKING:
    from matplotlib.figure import Figure

POINTS = "points lost"
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
    """Which class and size lose most points, at the fewest bits at which any class still scores.

    The reference is FLOAT, the pruned network without rounding. How rare the class is among the
    test images is added where the records count that.
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
        f"({lost.max():.1f} points of its score; the least loss is {lost.min():.1f}); "
        f"{found.frame['seed'].nunique()} seeds, no interval.{_how_rare(found, lost.idxmax())}"
    )
    if len(sizes.columns):
        fell = sizes.loc[FLOAT] - sizes.loc[fewest]
        listed = ", ".join(f"{name} {value:.1f}" for name, value in fell.items())
        words += f" Share of objects found, points lost by size: {listed}."
    return Sentence(words)


def _how_rare(found: Results, name: str) -> str:
    """The class's share of the test objects or pixels and its rank, as a sentence to be added."""
    for record in found.by_key.values():
        if "confusion" in record.final:
            counts = [sum(row) for row in record.final["confusion"]]  # a row for each true class
            break
    else:
        return ""
    own = counts[SETS[record.data["name"]].classes.index(name)]
    what = "pixels" if record.final.get("measure") == Segmentation.measure else "objects"
    rank = 1 + sum(count < own for count in counts)
    place = "the rarest" if rank == 1 else f"number {rank} from the rarest"
    share = 100 * own / sum(counts)
    return f" It has {share:.1f} % of the test {what}: {place} of {len(counts)} classes."


def failing_prediction(
    found: Results, name: str, expected: Sequence[str], bits: int = 2
) -> Sentence:
    """Whether at so many bits a class that was `expected` to loses most, compared with FLOAT."""
    classes, start = by_class(found), f"Part (2) for {name}, {bits} bits"
    if not {FLOAT, bits} <= complete(found.study, found.frame, "bits"):
        return Sentence(f"{start}: open, {NOT_TRAINED}.")
    if classes.loc[bits].max() < LEAST:
        return Sentence(
            f"{start}: nothing is found, so it cannot be tested. What happens at more bits was not "
            "predicted."
        )
    most = (classes.loc[FLOAT] - classes.loc[bits]).idxmax()
    word = "holds" if most in expected else "fails"
    return Sentence(f"{start}: in the mean *{most}* loses most. The prediction {word}.")


def file_prediction(
    found: Results, name: str, bits: int = 4, most_bytes: int = 400_000, points: float = 2.0
) -> Sentence:
    """Whether the file with `bits` is small enough and loses few enough points, in the mean."""
    files, start = _files(found), f"Part (1) for {name}, {bits} bits"
    if bits not in files:
        return Sentence(f"{start}: open, {NOT_TRAINED}.")
    one = files[bits]
    word = str(judge(one.lost, points)) if one.bytes <= most_bytes else MISSED
    word = word.replace(REACHED, "holds").replace(MISSED, "fails")
    return Sentence(
        f"{start}: {one.bytes:,} bytes at most, {_spread(one.lost, POINTS)}: it {word}."
    )


def aim(
    found: Results, name: str, least: float, most_bytes: int = 400_000, points: float = 2.0
) -> Sentence:
    """Whether the dense networks reach `least` (%), and which files are small and good enough.

    The smallest file that loses few enough points in the mean is named, with its own score. The 95
    % interval of a mean, each by itself, says whether an aim is decided.
    """
    frame, files = found.frame, _files(found)
    trained = complete(found.study, frame, "bits")
    if DENSE not in trained:
        return Sentence(f"**Aims for {name}**: open, {NOT_TRAINED}.")
    dense = list(frame.loc[frame["bits"] == DENSE, "test_accuracy"])
    good = {
        bits: one
        for bits, one in files.items()
        if one.bytes <= most_bytes and fmean(one.lost) <= points
    }
    every = trained == set(planned_networks(found.study, "bits"))
    said = MISSED if every else f"open, {NOT_TRAINED}"
    small = [one for one in files.values() if one.bytes <= most_bytes]
    if every and not all(judge(one.lost, points).decided for one in small):
        said = NOT_DECIDED.format(MISSED)
    if good:
        bits, one = min(good.items(), key=lambda pair: pair[1].bytes)
        said = (
            f"{judge(one.lost, points)} ({bits} bits: {one.bytes:,} bytes at most, "
            f"{_spread(one.lost, POINTS)}; the file scores {fmean(one.scores):.2f} %)"
        )
    return Sentence(
        f"**Aims for {name}**: a score of at least {least:g} %: "
        f"{judge(dense, least, most=False)} ({_spread(dense, '%')}). At most {most_bytes:,} "
        f"bytes and {points:g} points lost: {said}."
    )


def _spread(values: Sequence[float], unit: str) -> str:
    """The mean, its 95 % interval, and every seed."""
    words = f"{fmean(values):.2f} {unit} in the mean of {numbered([len(values)], 'seed')}"
    if len(values) < 2:
        return words
    gap, each = paired(values, [0.0] * len(values)), ", ".join(f"{v:.2f}" for v in values)
    return f"{words}: {each}; 95 % interval {gap.low:.2f} to {gap.high:.2f}"


class _Files(NamedTuple):
    """The files of some number of bits: the largest, points lost by seed, scores by seed."""

    bytes: int
    lost: list[float]
    scores: list[float]


def _files(found: Results) -> dict[int, _Files]:
    """For each number of bits whose networks are all trained; points are lost against DENSE."""
    frame, files = found.frame, {}
    trained = complete(found.study, frame, "bits")
    if DENSE not in trained:
        return files
    scores = frame.pivot(index="seed", columns="bits", values="test_accuracy")
    for bits in (b for b in scores if b in trained and b not in (DENSE, FLOAT)):
        size = frame.loc[frame["bits"] == bits, "file_bytes"].max()
        lost = (scores[DENSE] - scores[bits]).tolist()
        files[bits] = _Files(int(size), lost, scores[bits].tolist())
    return files


def _first_dense(bits: str | int) -> float:
    """A key that sorts DENSE first, then from many bits to few."""
    return float("-inf") if bits == DENSE else -float(bits)


def loss_figure(found: Results, title: str = "") -> Figure | None:
    """Mean score by class against bits, dense and float first; None without records.

    n, the number of seeds, stands in the title.
    """
    table = by_class(found)
    if table.empty:
        return None
    table = table.loc[sorted(table.index, key=_first_dense)]
    fig, ax = plt.subplots(figsize=(6.4, 3.6))
    places = range(len(table))
    for number, name in enumerate(table):
        look = curve_style(number)
        if number >= len(PALETTE):  # the looks begin again: hollow markers
            look |= {"markerfacecolor": "white", "linewidth": 0.9}
        ax.plot(places, table[name], label=name, **look)
    ax.set_xticks(places, ["float" if bits == FLOAT else str(bits) for bits in table.index])
    ax.set(
        xlabel="bits of a weight",
        ylabel=f"{measure_of(found.by_key).removeprefix('m')} of the class (%)",
    )
    counts = found.frame.groupby("bits")["seed"].nunique()
    least, most = counts.min(), counts.max()
    n = f"n = {most}" if least == most else f"n = {least} to {most}"
    ax.set(ylim=(0, 100), title=f"{title} ({n})" if title else n)
    ax.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=7)
    return fig
