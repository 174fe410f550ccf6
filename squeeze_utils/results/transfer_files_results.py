"""What chapter 18 shows of the files of transferred networks: sizes, losses and goals."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import pandas as pd

from squeeze_utils.results.statistics import mean_sd
from squeeze_utils.results.tables import ACCURACY

if TYPE_CHECKING:
    from squeeze_utils.results.study_results import Results

SEEDS = 3  # that a goal asks for


def files_frame(found: Results) -> pd.DataFrame:
    """`found.frame` with the seconds of all steps, and bytes: of the file, or of dense float32."""
    frame = found.frame
    if frame.empty:
        return frame
    sizes, seconds = [], []
    for _, record in found.recorded():
        written = [step["file_bytes"] for step in record.steps if "file_bytes" in step]
        sizes.append(written[-1] if written else record.final["dense_bytes"])
        seconds.append(sum(step["seconds"] for step in record.steps))
    return frame.assign(bytes=sizes, all_seconds=seconds)


def files_table(found: Results) -> pd.DataFrame:
    """A row for each set and file: accuracy, n, bytes, seconds, change against the dense network.

    The seconds are those of all steps, the least of the seeds: other work only adds to them.
    """
    columns = ["test accuracy (%)", "n", "bytes", "seconds", "change (points)", "verdict"]
    frame = files_frame(found)
    if frame.empty:
        return pd.DataFrame(columns=columns)
    rows = {}
    for (images, file), part in frame.groupby(["images", "file"], sort=False):
        gap = _against_dense(found.where(images=images), file)
        rows[images, file] = {
            "test accuracy (%)": mean_sd(part[ACCURACY], 2),
            "n": len(part),
            "bytes": f"{part['bytes'].max():,}",
            "seconds": f"{part['all_seconds'].min():,.0f}",
            **gap,
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["images", "file"])


def _against_dense(part: Results, file: str) -> dict[str, str]:
    gaps = part.compare("file", "dense")
    if file not in gaps.index:
        return {"change (points)": "", "verdict": ""}
    gap = gaps.loc[file]
    interval = f" ({gap['low']:+.2f} to {gap['high']:+.2f})" if gap["low"] == gap["low"] else ""
    return {"change (points)": f"{gap['mean']:+.2f}{interval}", "verdict": gap["verdict"]}


def files_prediction(found: Results) -> str:
    """Whether scenes lose less than 0.5 points in 120 kB and more in 70 kB, in the mean."""
    runs = found.where(images="intel").frame
    runs = runs.pivot_table(index="seed", columns="file", values=ACCURACY) if len(runs) else runs
    if not {"dense", "120 kB", "70 kB"} <= set(runs.columns):
        return "The prediction is still open: not trained yet."
    lost = runs["dense"] - runs["120 kB"], runs["dense"] - runs["70 kB"]
    large, small = (float(one.mean()) for one in lost)
    return (
        f"Lost in the mean of {lost[1].count()} seed(s): {large:.2f} points in 120 kB, {small:.2f} "
        f"in 70 kB. The prediction {'holds' if large < 0.5 < small else 'fails'} in the means."
    )


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

    `most_bytes` is for files whose recipe does not bound their size.
    """
    part = files_frame(found.where(images=images, file=(against, file)))
    runs = part.pivot_table(index="seed", columns="file", values=ACCURACY) if len(part) else part
    if not {against, file} <= set(runs.columns):
        return f"**{images}, {file}**: still open, not trained yet."
    both = runs[[against, file]].dropna()
    if both.empty:
        return f"**{images}, {file}**: still open, no seed has both networks yet."
    lost = (both[against] - both[file]).mean()
    sizes = part.loc[part["file"] == file, "bytes"].max()
    within = lost <= points and both[against].mean() >= dense and sizes <= most_bytes
    verdict = f"is **{'reached' if within else 'missed'}** in the mean"
    if len(both) < SEEDS:
        verdict = "stays open until all seeds are there"
    floor = f" in {most_bytes:,.0f} bytes" if most_bytes < math.inf else ""
    floor += f" and a dense network of at least {dense:g} %" if dense else ""
    start = "The goal" if against == "dense" else "Judged against this network, the goal"
    return (
        f"**{images}, {file}** ({sizes:,.0f} bytes at most): *{against}* "
        f"{both[against].mean():.2f} %, "
        f"{lost:.2f} points lost in the mean of {len(both)} of {SEEDS} seeds. {start} of at most "
        f"{points:g} points{floor} {verdict}."
    )
