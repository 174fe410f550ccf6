"""What chapter 18 shows of its records: ways, curves and copies."""

from __future__ import annotations

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
