"""Bytes against error: networks of this series beside published ones, each with its source.

Published bytes and errors are as the papers report them, transcribed and not measured by us.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import pandas as pd

from squeeze_utils.results.figures import curve_style
from squeeze_utils.results.log_axes import mark_in_round_numbers
from squeeze_utils.results.on_off import PRICED
from squeeze_utils.results.tables import ACCURACY, NOT_TRAINED
from squeeze_utils.studies.few_bytes import TRAINED_ON
from squeeze_utils.studies.priced import DENSE, FIRE, TWICE

if TYPE_CHECKING:
    from collections.abc import Sequence

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from squeeze_utils.results.study_results import Results


class Published(NamedTuple):
    """A compressed network of a paper: what was compressed, bytes, test error in percent."""

    network: str
    source: str
    bytes: int
    error: float


DEEP = "Han et al. 2016"
SOFT = "Ullrich et al. 2017"
MIRACLE = "Havasi et al. 2019"
ENTROPY = "Oktay et al. 2020"
LILNETX = "Girish et al. 2023"
UNVERIFIED = "source not verified"  # as quoted elsewhere; no paper found
DENSE_BYTES = {"LeNet-300-100": 1_066_440, "LeNet-5": 1_724_320}
# Where a paper gives a ratio, the bytes are those of the dense float32 network by that ratio.
PUBLISHED: tuple[Published, ...] = (
    Published("LeNet-300-100", DEEP, 27_000, 1.58),
    Published("LeNet-300-100", SOFT, DENSE_BYTES["LeNet-300-100"] // 64, 1.94),
    Published("LeNet-300-100", ENTROPY, 8_560, 1.9),
    Published("LeNet-5", DEEP, 44_000, 0.74),
    Published("LeNet-5", SOFT, DENSE_BYTES["LeNet-5"] // 162, 0.97),
    Published("LeNet-5", MIRACLE, 3_030, 0.69),
    Published("LeNet-5", MIRACLE, 1_520, 0.96),
    Published("LeNet-5", ENTROPY, 2_840, 1.0),
    Published("LeNet-5", UNVERIFIED, DENSE_BYTES["LeNet-5"] // 90, 0.7),
    Published("ResNet-20-4", LILNETX, 66_000, 8.5),
    Published("VGG-16", LILNETX, 76_000, 10.0),
    Published("VGG-16", LILNETX, 129_000, 7.4),
    Published("VGG-16", ENTROPY, 101_000, 10.0),
    Published("VGG-16", MIRACLE, 417_000, 6.6),
)
SHAPES = {DEEP: "s", SOFT: "^", MIRACLE: "D", ENTROPY: "v", LILNETX: "P", UNVERIFIED: "*"}
EARLIER, OURS = "ours of chapter 13", "ours"  # a label, and how its recipes begin
MOST_NAMED = 2  # networks without records that a title names; of more it gives their number
NARROWEST = (4.0, 2.0)  # how many times as high the axes of bytes and error end at least


class Panel(NamedTuple):
    """Title, the networks of this series that stand in it, and the published ones."""

    title: str
    ours: tuple[str, ...]
    published: tuple[str, ...]


LENETS = (
    Panel("LeNet-300-100", ("LeNet-300-100",), ("LeNet-300-100",)),
    Panel("LeNet-5", ("LeNet-5", FIRE), ("LeNet-5",)),
)
PHOTOGRAPHS = ("ResNet-20-4", "VGG-16")  # published ones


def published(*networks: str) -> list[tuple[str, int, float]]:
    """Source, bytes and test accuracy (%) of what others published of `networks`.

    The source names the network too where there are several.
    """
    several = len(networks) > 1
    return [
        (f"{p.source}, {p.network}" if several else p.source, p.bytes, 100 - p.error)
        for p in PUBLISHED
        if p.network in networks
    ]


def size_and_error(
    digits: Results, *photographs: Results, earlier: Sequence[Results] = ()
) -> Figure:
    """A panel for each LeNet and one for CIFAR-10: our files (means over seeds), published ones.

    `digits` are results of the study `priced`, `photographs` of others on CIFAR-10. `earlier` are
    those of chapter 13: what the series had before a price, drawn as crosses. Dense files are many
    times larger and left out. A panel says which networks have no record of this chapter yet;
    without any record it holds the published points alone.
    """
    import matplotlib.pyplot as plt

    arms = [arm for results in photographs for arm in results.study.arms]
    networks = dict.fromkeys(dict(arm.labels)["network"] for arm in arms)
    panels = (*LENETS, Panel("CIFAR-10", tuple(networks), PHOTOGRAPHS))
    looks = {name: curve_style(i) for i, name in enumerate(n for one in panels for n in one.ours)}
    files = pd.concat([_files(digits), *map(_files, photographs)])
    before = [part[part["recipe"].str.startswith(OURS)] for part in map(_files, earlier)]
    fig, axes = plt.subplots(1, len(panels), figsize=(4.2 * len(panels), 4.6), squeeze=False)
    for ax, panel in zip(axes[0], panels, strict=True):
        for name in panel.ours:
            _draw_ours(ax, name, files[files["network"] == name], looks[name])
        for part in before:
            _draw_earlier(ax, panel, part)
        _draw_published(ax, panel)
        _mark(ax)
        ax.set(title=_title(panel, set(files["network"])), xlabel="file (kB, log scale)")
    axes[0, 0].set_ylabel("test error (%, log scale)")
    _legend(fig)
    return fig


def _legend(fig: Figure) -> None:
    """One for all panels, ours first."""
    pairs = [zip(*ax.get_legend_handles_labels(), strict=True) for ax in fig.axes]
    unique = {label: handle for each in pairs for handle, label in each}
    labels = sorted(unique, key=SHAPES.__contains__)
    handles = [unique[label] for label in labels]
    fig.legend(handles, labels, loc="outside lower center", ncols=4)


def _files(results: Results) -> pd.DataFrame:
    """Mean bytes and error of each network and recipe that has records and a small file."""
    frame = results.frame
    if frame.empty or "file_bytes" not in frame:
        frame = pd.DataFrame(columns=["network", "recipe", "file_bytes", ACCURACY])
    small = ~frame["recipe"].astype(str).str.startswith(DENSE)
    part = frame[small & frame["file_bytes"].notna()]
    part = part.assign(bytes=part["file_bytes"].astype(float), error=100.0 - part[ACCURACY])
    groups = part.astype({"error": float}).groupby(["network", "recipe"], sort=False)
    return groups[["bytes", "error"]].mean().reset_index()


def _title(panel: Panel, trained: set[str]) -> str:
    missing = [name for name in panel.ours if name not in trained]
    if len(missing) == len(panel.ours):
        return f"{panel.title} (this chapter's: {NOT_TRAINED})"
    few = len(missing) <= MOST_NAMED
    waiting = missing if few else [f"{len(missing)} of {len(panel.ours)} networks"]
    return "\n".join([panel.title, *(f"{NOT_TRAINED}: {name}" for name in waiting)])


def _draw_ours(ax: Axes, name: str, files: pd.DataFrame, look: dict[str, Any]) -> None:
    """Filled and joined: at a price. Half filled: trained on after rounding. Hollow: others."""
    recipe = files["recipe"].astype(str)
    twice = recipe.str.startswith(PRICED) & recipe.str.endswith(TWICE)
    priced = recipe.str.startswith(PRICED) & ~twice
    trained = recipe.str.startswith(TRAINED_ON)
    alone = {**look, "linestyle": "none"}
    for part, how, label in (
        (files[priced], look, f"{name}, at a price"),
        (files[twice], {**alone, "fillstyle": "bottom"}, f"{name}, at a price, {TWICE}"),
        (files[trained], {**alone, "fillstyle": "left"}, f"{name}, {TRAINED_ON}"),
        (
            files[~priced & ~twice & ~trained],
            {**alone, "fillstyle": "none"},
            f"{name}, other recipes",
        ),
    ):
        if len(part):
            part = part.sort_values("bytes")
            ax.plot(part["bytes"], part["error"], label=label, **how)


def _draw_earlier(ax: Axes, panel: Panel, files: pd.DataFrame) -> None:
    """Black crosses; beside each that is not of the panel's own network, which one it is."""
    is_lenet = files["network"].isin(DENSE_BYTES)
    mine = panel.published[0] if panel in LENETS else None
    part = files[files["network"] == mine] if mine else files[~is_lenet]
    if len(part):
        style = {"marker": "x", "linestyle": "none", "color": "black"}
        ax.plot(part["bytes"], part["error"], label=EARLIER, **style)
    for row in part[part["network"] != mine].itertuples():
        _name(ax, row.network, row.bytes, row.error)


def _name(ax: Axes, text: str, size: float, error: float) -> None:
    where = {"xytext": (8, 0), "textcoords": "offset points", "va": "center"}
    ax.annotate(text, (size, error), fontsize=8, **where)


def _draw_published(ax: Axes, panel: Panel) -> None:
    """Grey, each source with its shape; where a panel has several networks, their names beside."""
    points = [point for point in PUBLISHED if point.network in panel.published]
    for point in points:
        style = {"marker": SHAPES[point.source], "linestyle": "none", "color": "0.55"}
        ax.plot(point.bytes, point.error, label=point.source, markersize=8, zorder=1.5, **style)
        level = (point.network, point.error)
        beside = [p for p in points if (p.network, p.error) == level and p.bytes > point.bytes]
        if len(panel.published) > 1 and not beside:  # of two side by side the right one is named
            _name(ax, point.network, point.bytes, point.error)


def _mark(ax: Axes) -> None:
    """Logarithmic axes with round numbers between the ends of what is drawn."""
    ax.set(xscale="log", yscale="log")
    ax.margins(0.12)
    ends = (ax.get_xlim(), ax.get_ylim())
    setters, units = (ax.set_xlim, ax.set_ylim), (1000, 1)
    for axis, (low, high), setter, unit, narrowest in zip(
        (ax.xaxis, ax.yaxis), ends, setters, units, NARROWEST, strict=True
    ):
        more = max(1.0, (narrowest * low / high) ** 0.5)
        setter(low / more, high * more)
        mark_in_round_numbers(axis, low / more, high * more, unit)
