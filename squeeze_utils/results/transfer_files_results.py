"""What chapter 18 shows of the files of transferred networks: sizes, losses and goals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.results.goals import judge
from squeeze_utils.results.statistics import mean_sd, paired, with_interval
from squeeze_utils.results.tables import ACCURACY
from squeeze_utils.results.transfer_results import joules

if TYPE_CHECKING:
    from squeeze_utils.results.study_results import Results

SEEDS = 3  # that a goal asks for


def files_frame(found: Results) -> pd.DataFrame:
    """`found.frame` with the seconds and joules of all steps, and bytes: of the file, or of floats.

    The joules are an estimate for the multiply-adds of training; rounding is not counted.
    """
    frame = found.frame
    if frame.empty:
        return frame
    sizes, seconds, energy = [], [], []
    for _, record in found.recorded():
        written = [step["file_bytes"] for step in record.steps if "file_bytes" in step]
        sizes.append(written[-1] if written else record.final["dense_bytes"])
        seconds.append(sum(step["seconds"] for step in record.steps))
        energy.append(joules(Experiment.from_dict(record.experiment)))
    return frame.assign(bytes=sizes, all_seconds=seconds, joules=energy)


def files_table(found: Results) -> pd.DataFrame:
    """A row for each set and file: accuracies, n, bytes, seconds, change against the dense network.

    The seconds are those of all steps, the least of the seeds: other work only adds to them.
    `training (J)` counts no rounding, see `files_frame`. A file would be chosen by its accuracy on
    validation images.
    """
    columns = ["test accuracy (%)", "validation (%)", "n", "bytes", "seconds", "training (J)"]
    frame = files_frame(found)
    if frame.empty:
        return pd.DataFrame(columns=[*columns, "change (points)", "verdict"])
    rows = {}
    for (images, file), part in frame.groupby(["images", "file"], sort=False):
        values = (
            mean_sd(part[ACCURACY], 2),
            mean_sd(part["validation_accuracy"], 2),
            len(part),
            f"{part['bytes'].max():,}",
            f"{part['all_seconds'].min():,.0f}",
            f"{part['joules'].iloc[0]:,.0f}",
        )
        gap = _against_dense(found.where(images=images), file)
        rows[images, file] = dict(zip(columns, values, strict=True)) | gap
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["images", "file"])


def _against_dense(part: Results, file: str) -> dict[str, str]:
    gaps = part.compare("file", "dense")
    if file not in gaps.index:
        return {"change (points)": "", "verdict": ""}
    gap = gaps.loc[file]
    change = with_interval(gap["mean"], gap["low"], gap["high"])
    return {"change (points)": change, "verdict": gap["verdict"]}


class Loss(NamedTuple):
    """Points that a file loses against a dense network: of each seed, and the mean's interval.

    The interval is paired: both begin with the same trained network. It is infinite for one seed.
    """

    seeds: list[float]
    mean: float
    low: float
    high: float
    dense: float  # mean accuracy of the dense network (%)
    bytes: int  # of the largest file

    def decided(self, points: float) -> bool:
        """Whether the interval lies on one side of `points`, and all seeds are there."""
        return len(self.seeds) == SEEDS and judge(self.seeds, points).decided


def loss(found: Results, images: str, file: str, against: str = "dense") -> Loss | None:
    """What a file loses; None where no seed has a record of both networks."""
    part = files_frame(found.where(images=images, file=(against, file)))
    runs = part.pivot_table(index="seed", columns="file", values=ACCURACY) if len(part) else part
    if not {against, file} <= set(runs.columns):
        return None
    both = runs[[against, file]].dropna()
    if both.empty:
        return None
    dense, small = (both[name].tolist() for name in (against, file))
    low, high = -math.inf, math.inf
    if len(both) > 1:
        gap = paired(dense, small)
        low, high = gap.low, gap.high
    lost = [a - b for a, b in zip(dense, small, strict=True)]
    size = int(part.loc[part["file"] == file, "bytes"].max())
    return Loss(lost, sum(lost) / len(lost), low, high, float(both[against].mean()), size)


def _told(lost: Loss) -> str:
    """Mean, each seed and interval in words."""
    seeds = ", ".join(f"{one:.2f}" for one in lost.seeds)
    if len(lost.seeds) == 1:
        return f"{seeds} points lost by 1 of {SEEDS} seeds"
    return (
        f"{lost.mean:.2f} points lost in the mean of {len(lost.seeds)} of {SEEDS} seeds ({seeds}; "
        f"95 % interval {lost.low:.2f} to {lost.high:.2f})"
    )


def files_prediction(found: Results) -> str:
    """Whether scenes lose less than 0.5 points in 120 kB and more in 70 kB."""
    large, small = (loss(found, "intel", file) for file in ("120 kB", "70 kB"))
    if large is None or small is None:
        return "The prediction is still open: not trained yet."
    parts = [(large.mean < 0.5, large.decided(0.5)), (small.mean > 0.5, small.decided(0.5))]
    return (
        f"120 kB: {_told(large)}. 70 kB: {_told(small)}. "
        f"The prediction (below 0.5 points, then above) {_of_all(parts)}."
    )


def _of_all(parts: Sequence[tuple[bool, bool]]) -> str:
    """What a prediction of several parts comes to: whether each holds, and whether that is sure.

    A single part that surely fails decides it.
    """
    word = "holds" if all(held for held, _ in parts) else "fails"
    sure = all(sure for _, sure in parts) or any(sure and not held for held, sure in parts)
    return f"{word} in the means{'' if sure else '; the intervals do not decide it'}"


def added_prediction(found: Results) -> str:
    """Whether both files that are trained on reach the goals for scenes, as was predicted later."""
    limits = {"120 kB, trained on": (0.5, 120_000), "70 kB, trained on": (1.0, 70_000)}
    parts = []
    for file, (points, most_bytes) in limits.items():
        lost = loss(found, "intel", file)
        if lost is None or len(lost.seeds) < SEEDS:
            return "The added prediction is still open: not all seeds are trained yet."
        others = lost.dense >= 90 and lost.bytes <= most_bytes
        parts.append((others and lost.mean <= points, not others or lost.decided(points)))
    return f"The added prediction on the two files that are trained on {_of_all(parts)}."


def goal(
    found: Results,
    images: str,
    file: str,
    points: float,
    dense: float = 0.0,
    most_bytes: float = math.inf,
    against: str = "dense",
) -> str:
    """Whether a file stays within `points` of a dense network, and that reaches `dense` (%).

    `most_bytes` is for files whose recipe does not bound their size. Where the interval of the
    loss holds `points`, the verdict is one "in the mean, not decided".
    """
    lost = loss(found, images, file, against)
    if lost is None:
        return f"**{images}, {file}**: still open, not trained yet."
    others = lost.dense >= dense and lost.bytes <= most_bytes
    verdict = f"is **{'reached' if others and lost.mean <= points else 'missed'}** in the mean"
    if others and not lost.decided(points):
        verdict += ", not decided"
    if len(lost.seeds) < SEEDS:
        verdict = "stays open until all seeds are there"
    within = f"{points:g} point{'' if points == 1 else 's'}"
    floor = f" in {most_bytes:,.0f} bytes" if most_bytes < math.inf else ""
    floor += f" and a dense network of at least {dense:g} %" if dense else ""
    start = "The goal" if against == "dense" else "Judged against this network, the goal"
    return (
        f"**{images}, {file}** ({lost.bytes:,} bytes at most): *{against}* {lost.dense:.2f} %, "
        f"{_told(lost)}. {start} of at most {within}{floor} {verdict}."
    )
