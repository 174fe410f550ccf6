"""What two grids in turn save against one grid: a made-up source and the networks of chapter 14."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import pandas as pd
import torch

from squeeze_utils.base.measurements import read_measurement
from squeeze_utils.compress.pricing.priced_rounding import Columns, round_layer
from squeeze_utils.compress.pricing.trellis import Dependent
from squeeze_utils.results.figures import curve_style
from squeeze_utils.results.study_results import Sentence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

PREFIX = "released/trellis_"  # of the measurements of a network
TITLES = {"squeezenet1_0": "SqueezeNet 1.0, pruned", "squeezenet1_1": "SqueezeNet 1.1, dense"}
PRICES = (1.5, 0.9, 0.5, 0.25, 0.08, 0.02)  # errors of a bit
SHAPE = (192, 40)  # outputs and inputs of the made-up layer
FINER = (0.55, 0.65, 0.75)  # shares of the step of one grid; the best is taken
HOW_MEASURED = (
    "Bytes on two grids are interpolated between codes written at three prices, to the error of "
    "one grid, so they are no file's size. Rounding was timed once a layer, without a warm-up."
)


def of_a_source(prices: Sequence[float] = PRICES, seed: int = 0) -> pd.DataFrame:
    """Bits a weight on one grid, and what two grids save of them (percent) at the same error.

    The weights are drawn from a Laplace distribution of variance 2, their inputs do not depend on
    each other. A difference in error is worth as many bits as the price says.
    """
    drawn = torch.rand(SHAPE, generator=torch.Generator().manual_seed(seed))
    weight = torch.distributions.Laplace(0.0, 1.0).icdf(drawn)
    columns = Columns.of(torch.eye(SHAPE[1]))
    rows = []
    for price in prices:
        one = round_layer(weight, columns, price)
        tried = [round_layer(weight, columns, price, grid=Dependent(share)) for share in FINER]
        two = min(tried, key=lambda found: found.error + price * found.bits)
        saved = one.bits - two.bits + (one.error - two.error) / price
        rows.append({"bits": one.bits / weight.numel(), "saved": 100 * saved / one.bits})
    return pd.DataFrame(rows)


def of_a_network(name: str) -> pd.DataFrame:
    """The same for all large layers of a network of TITLES together, as measured.

    `low` and `high` are the least and the most of a layer; `slower` says how many times as long
    rounding takes, in the median of the layers. Empty where nobody has measured.
    """
    kept = read_measurement(f"{PREFIX}{name}")
    if kept is None:
        return pd.DataFrame()
    frame = kept.frame[kept.frame["inside"]]
    each = 100 * (1 - frame["two_bytes"] / frame["one_bytes"])
    slower = frame["two_seconds"] / frame["one_seconds"]
    groups = frame.assign(saved=each, slower=slower).groupby("bits")
    sums = groups[["one_bytes", "two_bytes"]].sum()
    found = sums.assign(
        saved=100 * (1 - sums["two_bytes"] / sums["one_bytes"]),
        low=groups["saved"].min(),
        high=groups["saved"].max(),
        slower=groups["slower"].median(),
        layers=groups.size(),
    )
    found.attrs |= {"source": kept.source, "title": TITLES[name]}
    return found


def savings_figure(source: pd.DataFrame, networks: Sequence[pd.DataFrame]) -> Figure:
    """Bytes saved against bits a weight."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6.4, 3.6))
    ax.axhline(0, color="0.6", linewidth=1)
    made_up = {**curve_style(0), "label": "made-up layer (Laplace), live"}
    ax.plot(source["bits"], source["saved"], **made_up)
    for number, found in enumerate(networks, start=1):
        if not found.empty:
            reach = [found["saved"] - found["low"], found["high"] - found["saved"]]
            look = curve_style(number) | {"linestyle": "none", "capsize": 3}
            at = found.index + 0.04 * (number - 1)
            label = f"{found.attrs['title']}, measured"
            ax.errorbar(at, found["saved"], yerr=reach, label=label, **look)
    ax.set(
        xlabel="bits a weight on one grid", ylabel="saved by two grids (%; bars: range of layers)"
    )
    ax.legend()
    return fig


def savings_sentence(found: pd.DataFrame) -> Sentence:
    """What a network saves at each number of bits, and how much longer it takes."""
    if found.empty:
        return Sentence("Not measured yet.")
    parts = [
        f"{bits:g} bit{'s' * (bits != 1)} a weight {row['saved']:+.1f} % "
        f"({row['low']:+.1f} to {row['high']:+.1f})"
        for bits, row in found.iterrows()
    ]
    return Sentence(
        f"{found.attrs['title']}, bytes saved in all (least and most of a layer): "
        f"{'; '.join(parts)}. Rounding takes "
        f"{found['slower'].median():.0f} times as long. {found.attrs['source']}"
    )
