"""What chapter 18 shows of its records: ways to a network for new images, and curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pandas as pd
import torch

from squeeze_utils.anatomy.costs import count
from squeeze_utils.anatomy.energy import estimate, training_multiply_adds
from squeeze_utils.experiments.experiment import Experiment
from squeeze_utils.results.figures import curve_style
from squeeze_utils.results.statistics import mean_sd
from squeeze_utils.results.tables import ACCURACY
from squeeze_utils.studies.durations import training_images
from squeeze_utils.training.loop import Train
from squeeze_utils.training.transfer import FitHead, LoadImageNet, TrainElsewhere

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from squeeze_utils.results.study_results import Results

WAYS = ["test accuracy (%)", "n", "seconds", "arithmetic (J)", "starts from", "float32 (MB)"]


def ways_table(found: Results, by: str = "images") -> pd.DataFrame:
    """A row for each value of `by` and each way: accuracy, n, seconds, where it starts from.

    The seconds are the least of the seeds: other work on the machine only adds to them.
    `arithmetic (J)` is an estimate of what the multiply-adds of training cost in float32.
    """
    frame = found.frame
    if frame.empty:
        return pd.DataFrame(columns=WAYS)
    one = {
        (named[by], named["way"]): Experiment.from_dict(record.experiment)
        for named, record in found.recorded()
    }
    rows = {}
    for (value, way), part in frame.groupby([by, "way"], sort=False):
        rows[value, way] = {
            "test accuracy (%)": mean_sd(part[ACCURACY], 2),
            "n": len(part),
            "seconds": f"{part['seconds'].min():,.0f}",
            "arithmetic (J)": f"{joules(one[value, way]):,.1f}",
            "starts from": starts_from(one[value, way]),
            "float32 (MB)": f"{part['dense_bytes'].iloc[0] / 1e6:.1f}",
        }
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis([by, "way"])


def starts_from(experiment: Experiment) -> str:
    """The images that the weights come from: "ImageNet", another set, or "nothing"."""
    for step in experiment.recipe:
        if isinstance(step, LoadImageNet):
            return "ImageNet"
        if isinstance(step, TrainElsewhere):
            return step.images
    return "nothing"


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
            whole = images - images % min(step.batch_size, images)  # the last batch, if it is full
            total += step.epochs * whole * training_multiply_adds(model, shape, step.only)
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
