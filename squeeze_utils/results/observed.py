"""What observing steps wrote about trained networks: the loss around them, their blocks' worth."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import torch

from squeeze_utils.anatomy.loss_surface import grid_offsets

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from squeeze_utils.results.study_results import Results

LEVELS = (0.3, 0.5, 0.7, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 24)  # nats: lines at similar factors
NUMBERED = 6  # lines above it lie at the borders, where numbers are cut off

Observation = dict[str, Any]


def observations(found: Results, by: str) -> dict[Any, Observation]:
    """What `ObserveSurface` and `ObserveBlocks`, in this order, wrote about each network.

    `grid` is the loss in nats (points, points) up to `span` from the network, NaN where it was
    not finite; `whole` is the accuracy on validation images in percent, and `without` that
    without one block, for each block that can be taken out.
    """
    seen = {}
    for named, record in found.recorded():
        surface, taken = record.steps[-2:]
        rows = [[float("nan") if v is None else v for v in row] for row in surface["surface"]]
        blocks = {b["block"]: b["accuracy"] for b in taken["blocks"]}
        seen[named[by]] = {
            "grid": torch.tensor(rows, dtype=torch.float64),
            "span": surface["step"]["span"],
            "whole": taken["validation_accuracy"],
            "without": {name: a for name, a in blocks.items() if a is not None},
        }
    return seen


def surfaces_figure(seen: Mapping[str, Observation], title: str = "") -> Figure:
    """Contours of the loss around each network, with the same levels in every panel."""
    import matplotlib.pyplot as plt
    from matplotlib.colors import LogNorm

    size = (2.95 * len(seen), 3.1)
    fig, axes = plt.subplots(1, len(seen), figsize=size, sharey=True, squeeze=False)
    norm = LogNorm(LEVELS[0], LEVELS[-1])
    for ax, (name, view) in zip(axes[0], seen.items(), strict=True):
        steps = grid_offsets(view["span"], len(view["grid"]))
        grid = view["grid"].T.clamp(LEVELS[0], LEVELS[-1])  # the first direction goes across
        ax.contourf(steps, steps, grid, LEVELS, norm=norm, cmap="cividis")
        lines = ax.contour(steps, steps, grid, LEVELS, colors="white", linewidths=0.7)
        inner = [level for level in lines.levels if level <= NUMBERED]
        ax.clabel(lines, inner, fmt=lambda level: f"{level:g}", fontsize=7)
        ax.plot(0, 0, "+", color="white", markersize=8)
        ax.set(title=name, xlabel="first direction", aspect="equal")
        ax.grid(False)
    axes[0][0].set_ylabel("second direction")
    fig.suptitle(title, fontsize=11)
    return fig


def blocks_figure(
    seen: Mapping[str, Observation], looks: Mapping[str, Mapping], title: str = ""
) -> Figure:
    """Accuracy without each block; a line leads up to that of the whole network."""
    import matplotlib.pyplot as plt

    blocks = sorted({block for view in seen.values() for block in view["without"]})
    fig, ax = plt.subplots(figsize=(7.2, 3.8))
    for i, (name, view) in enumerate(seen.items()):
        look = {**looks[name], "linestyle": ""}
        places = [blocks.index(block) + 0.12 * (i - 1) for block in view["without"]]
        left = list(view["without"].values())
        ax.vlines(places, left, view["whole"], color=look["color"], linewidth=1)
        ax.plot(places, left, label=f"{name} (whole: {view['whole']:.1f} %)", **look)
    ax.axhline(10, color="0.35", linewidth=1, linestyle=":")
    ax.text(0.01, 11, "chance", fontsize=9, transform=ax.get_yaxis_transform())
    ax.set_xticks(range(len(blocks)), labels=blocks)
    ax.set(ylim=(0, None), ylabel="validation accuracy (%)", title=title)
    ax.set_xlabel("Fire module whose branch is taken out")
    ax.legend(loc="upper center", bbox_to_anchor=(0.5, -0.18), ncols=3)
    return fig
