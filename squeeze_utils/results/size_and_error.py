"""Bytes against error: networks of this series beside published ones, each with its source."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import pandas as pd

from squeeze_utils.results.figures import curve_style
from squeeze_utils.results.tables import ACCURACY

if TYPE_CHECKING:
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
    Published("ResNet-20-4", LILNETX, 66_000, 8.5),
    Published("VGG-16", LILNETX, 76_000, 10.0),
    Published("VGG-16", ENTROPY, 101_000, 10.0),
)
ERRORS = (0.5, 0.7, 1, 1.5, 2, 3, 5, 7, 10)
TICKS = (1000, 2000, 5000, 10_000, 20_000, 50_000, 100_000)
SHAPES = {DEEP: "s", SOFT: "^", MIRACLE: "D", ENTROPY: "v"}


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


def size_and_error(results: Results) -> Figure:
    """A panel for each network: our files (means over seeds), and published ones.

    Dense files are many times larger and left out. Where a network has no other record yet its
    panel holds the published points alone, and says so.
    """
    import matplotlib.pyplot as plt

    names = list(DENSE_BYTES)
    fig, axes = plt.subplots(1, len(names), figsize=(4.6 * len(names), 4.0), squeeze=False)
    for ax, name in zip(axes[0], names, strict=True):
        ours = _ours(results, name)
        _draw(ax, name, ours)
        title = f"{name} (ours: not trained yet)" if ours.empty else name
        ax.set(title=title, xlabel="file (bytes, log scale)")
    axes[0, 0].set_ylabel("test error (%, log scale)")
    pairs = [zip(*ax.get_legend_handles_labels(), strict=True) for ax in axes[0]]
    unique = {label: handle for each in pairs for handle, label in each}
    fig.legend(unique.values(), unique.keys(), loc="outside lower center", ncols=4)
    return fig


def _ours(results: Results, network: str) -> pd.DataFrame:
    """Mean bytes and error of each recipe of a network that has records and a small file."""
    frame = results.frame
    if frame.empty or "file_bytes" not in frame:
        return pd.DataFrame(columns=["recipe", "bytes", "error"])
    part = frame[(frame["network"] == network) & (frame["recipe"] != "dense")]
    part = part[part["file_bytes"].notna()]
    part = part.assign(bytes=part["file_bytes"], error=100 - part[ACCURACY])
    return part.groupby("recipe", sort=False)[["bytes", "error"]].mean().reset_index()


def _draw(ax: Axes, network: str, ours: pd.DataFrame) -> None:
    from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

    ax.set_xscale("log")
    ax.xaxis.set_major_locator(FixedLocator(TICKS))
    ax.xaxis.set_minor_locator(NullLocator())
    ax.set_yscale("log")
    ax.yaxis.set_major_locator(FixedLocator(ERRORS))
    ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    ax.yaxis.set_minor_locator(NullLocator())
    priced = ours["recipe"].astype(str).str.startswith("price ")
    groups = (("ours, priced in training", ours[priced]), ("ours, other recipes", ours[~priced]))
    for place, (label, part) in enumerate(groups):
        if len(part):
            look = curve_style(place)
            if place:
                look |= {"linestyle": "none"}
            part = part.sort_values("bytes")
            ax.plot(part["bytes"], part["error"], label=label, **look)
    for point in (p for p in PUBLISHED if p.network == network):
        style = {"marker": SHAPES[point.source], "linestyle": "none", "color": "0.45"}
        ax.plot(point.bytes, point.error, label=point.source, markersize=7, **style)
    ax.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
