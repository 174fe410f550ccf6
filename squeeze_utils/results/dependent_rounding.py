"""What two grids in turn save against one grid: a made-up source and the released SqueezeNet."""

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

KEPT = "released/trellis"  # below data/measurements/
PRICES = (1.5, 0.9, 0.5, 0.25, 0.08, 0.02)  # errors of a bit
SHAPE = (192, 40)  # outputs and inputs of the made-up layer
FINER = (0.55, 0.65, 0.75)  # shares of the step of one grid; the best is taken


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


def of_the_released() -> pd.DataFrame:
    """The same for all large layers of the released SqueezeNet together, as measured.

    `low` and `high` are the least and the most of a layer; `one_seconds` and `two_seconds` those
    of rounding. Empty where nobody has measured.
    """
    kept = read_measurement(KEPT)
    if kept is None:
        return pd.DataFrame()
    frame = kept.frame[kept.frame["inside"]]
    each = 100 * (1 - frame["two_bytes"] / frame["one_bytes"])
    groups = frame.assign(saved=each).groupby("bits")
    sums = groups[["one_bytes", "two_bytes", "one_seconds", "two_seconds"]].sum()
    found = sums.assign(
        saved=100 * (1 - sums["two_bytes"] / sums["one_bytes"]),
        low=groups["saved"].min(),
        high=groups["saved"].max(),
        layers=groups.size(),
    )
    found.attrs["source"] = kept.source
    return found


def savings_figure(source: pd.DataFrame, released: pd.DataFrame) -> Figure:
    """Bytes saved against bits a weight."""
    import matplotlib.pyplot as plt

    fig, ax = plt.subplots(figsize=(6.4, 3.4))
    ax.axhline(0, color="0.6", linewidth=1)
    ax.plot(source["bits"], source["saved"], label="Laplace source, live", **curve_style(0))
    if not released.empty:
        reach = [released["saved"] - released["low"], released["high"] - released["saved"]]
        look = curve_style(1) | {"linestyle": "none", "capsize": 3}
        label = "SqueezeNet 1.0, measured"
        ax.errorbar(released.index, released["saved"], yerr=reach, label=label, **look)
    ax.set(xlabel="bits a weight on one grid", ylabel="saved by two grids (%)")
    ax.legend()
    return fig


def savings_sentence(released: pd.DataFrame) -> Sentence:
    """What is saved at each number of bits, and how much longer it takes."""
    if released.empty:
        return Sentence("Not measured yet.")
    parts = [
        f"{bits:g} bits a weight {row['saved']:+.1f} % ({row['low']:+.1f} to {row['high']:+.1f})"
        for bits, row in released.iterrows()
    ]
    slower = released["two_seconds"].sum() / released["one_seconds"].sum()
    return Sentence(
        f"SqueezeNet 1.0, bytes saved in all and in single layers: {'; '.join(parts)}. "
        f"Rounding takes {slower:.0f} times as long. {released.attrs['source']}"
    )
