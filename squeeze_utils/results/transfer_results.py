"""What chapter 18 shows of its records: ways, curves, copies and files, whole or still growing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import torch

from squeeze_utils.anatomy.costs import count
from squeeze_utils.anatomy.energy import estimate, training_multiply_adds
from squeeze_utils.base.measurements import Measurement
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.results.figures import curve_style, kept_picture
from squeeze_utils.results.statistics import mcnemar, mean_sd
from squeeze_utils.results.tables import ACCURACY
from squeeze_utils.studies.durations import training_images
from squeeze_utils.training.loop import Train
from squeeze_utils.training.transfer import FitHead

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from squeeze_utils.results.study_results import Results

SEEDS = 3  # that a goal asks for
WAYS = ["test accuracy (%)", "n", "seconds", "arithmetic (J)", "starts from", "float32 (MB)"]


def ways_table(found: Results) -> pd.DataFrame:
    """A row for each image set and way: accuracy, n, seconds of training, where it starts from.

    The seconds are the least of the seeds: other work on the machine only adds to them.
    `arithmetic (J)` is an estimate of what the multiply-adds of training cost in float32.
    """
    frame = found.frame
    if frame.empty:
        return pd.DataFrame(columns=WAYS)
    rows = {}
    one = {(r.labels["images"], r.labels["way"]): r.experiment for r in found.found.values()}
    for (images, way), part in frame.groupby(["images", "way"], sort=False):
        rows[images, way] = {
            "test accuracy (%)": mean_sd(part[ACCURACY], 2),
            "n": len(part),
            "seconds": f"{part['seconds'].min():,.0f}",
            "arithmetic (J)": f"{joules(Experiment.from_dict(one[images, way])):,.1f}",
            "starts from": "nothing" if "scratch" in way else "elsewhere",
            "float32 (MB)": f"{part['dense_bytes'].iloc[0] / 1e6:.1f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(["images", "way"])


def joules(experiment: Experiment) -> float:
    """An estimate for the multiply-adds of all training steps of a recipe, on its own images."""
    with torch.device("meta"):
        model = experiment.model.build()
    channels, *usual = model.input_shape
    size = experiment.data.size
    shape = (channels, size, size) if size else (channels, *usual)
    total, images = 0, training_images(experiment)
    for step in experiment.recipe:
        if isinstance(step, FitHead):
            total += images * count(model, shape)["multiply_adds"]  # features, once
        elif isinstance(step, Train):
            total += step.epochs * images * training_multiply_adds(model, shape, step.only)
    return estimate(total, 0, 0, "float32").arithmetic / 1e6


def ways_figure(found: Results) -> Figure | None:
    """A panel for each image set: every seed and the mean of each way. None without records."""
    import matplotlib.pyplot as plt

    frame = found.frame
    if frame.empty:
        return None
    sets, ways = (list(dict.fromkeys(frame[name])) for name in ("images", "way"))
    size = (1.6 + 2.6 * len(sets), 1.2 + 0.36 * len(ways))
    fig, axes = plt.subplots(1, len(sets), figsize=size, sharey=True, squeeze=False)
    for ax, name in zip(axes[0], sets, strict=True):
        for row, way in enumerate(ways):
            values = frame.loc[(frame["images"] == name) & (frame["way"] == way), ACCURACY]
            look = curve_style(row)
            ax.plot(values, [row] * len(values), look["marker"], color=look["color"], alpha=0.7)
            if len(values):
                ax.plot([values.mean()], [row], "|", color="black", markersize=13)
        ax.set(title=name.replace("_", ", "), xlabel="test accuracy (%)")
    axes[0, 0].set_yticks(range(len(ways)), labels=ways)
    axes[0, 0].set_ylim(len(ways) - 0.5, -0.5)
    return fig


def curve_figure(found: Results) -> Figure | None:
    """Accuracy by images of each class, a line for each image set; None without records."""
    import matplotlib.pyplot as plt

    frame = found.frame
    if frame.empty:
        return None
    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    for i, (name, part) in enumerate(frame.groupby("images", sort=False)):
        grouped = part.groupby("per_class")[ACCURACY]
        look = curve_style(i)
        label = str(name).replace("_", ", ")
        spread = grouped.std().fillna(0)
        ax.errorbar(grouped.mean().index, grouped.mean(), spread, label=label, capsize=3, **look)
    ticks = sorted(set(frame["per_class"]))
    ax.set(xscale="log", xlabel="training images of a class", ylabel="test accuracy (%)")
    ax.set_xticks(ticks, labels=[str(tick) for tick in ticks])
    ax.minorticks_off()
    ax.legend()
    return fig


def copies_table(found: Results) -> pd.DataFrame:
    """A row for each set: accuracy with and without copies in training, on the same pictures."""
    columns = ["with copies (%)", "without (%)", "change (points)", "verdict"]
    rows: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(dict(arm.labels)["images"] for arm in found.study.arms):
        part = found.where(images=name)
        by_label = {named["training"]: record for named, record in part.recorded()}
        kept, left = by_label.get("with copies"), by_label.get("without copies")
        if kept is None or left is None:
            continue
        gap = mcnemar(_right(left.final), _right(kept.final))
        rows[name] = {
            "with copies (%)": f"{kept.final[ACCURACY]:.2f}",
            "without (%)": f"{left.final[ACCURACY]:.2f}",
            "change (points)": f"{gap.estimate:+.2f} ({gap.low:+.2f} to {gap.high:+.2f})",
            "verdict": gap.verdict(),
        }
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("images")


def curve_prediction(found: Results) -> str:
    """Whether each step of the learning curve adds less than the one before, for each set."""
    frame, parts = found.frame, []
    if frame.empty:
        return "The prediction is still open: not trained yet."
    for name, part in frame.groupby("images", sort=False):
        means = part.groupby("per_class")[ACCURACY].mean()
        gains = means.diff().dropna()
        if len(gains) < 2:
            parts.append(f"**{name}**: too few points yet")
            continue
        word = "holds" if gains.is_monotonic_decreasing else "fails"
        steps = ", ".join(f"{gain:+.1f}" for gain in gains)
        parts.append(f"**{name}**: each step adds {steps} points, so it {word} in the means")
    return "; ".join(parts) + "."


def _right(final: dict[str, Any]) -> np.ndarray:
    return np.array(final["answers"]["class"]) == np.array(final["pictures"]["class"])


def copies_figure(*kept: Measurement | None) -> Figure | None:
    """Pairs of nearly equal images, two rows for each set: from training, and below from test.

    At most four pairs of each set, the titles are their labels. None where no pictures are kept.
    """
    import matplotlib.pyplot as plt

    sets = []
    for each in filter(None, kept):
        pairs = [row for row in each.rows if "pictures" in row][:4]
        sets += [(pairs, each.about["classes"])] if pairs else []
    if not sets:
        return None
    columns = max(len(pairs) for pairs, _ in sets)
    size = (1.1 * columns, 2.45 * len(sets) + 0.3)
    fig, axes = plt.subplots(2 * len(sets), columns, figsize=size, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for above, (pairs, names) in enumerate(sets):
        for column, row in enumerate(pairs):
            for place, data in enumerate(row["pictures"]):
                ax = axes[2 * above + place, column]
                ax.imshow(kept_picture(data))
                ax.set_title(names[row["labels"][place]].replace("_", " "), fontsize=7)
    fig.suptitle("Of each pair, above: the training image; below: the test image", fontsize=9)
    return fig


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
