"""Chapter 21: what one would do with a number of bytes, a sentence for each budget."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from squeeze_utils.results.whole_series import choose, repeated, repetitions

MUCH = 5.0  # points that twice the bytes must gain to be worth asking for
ABOUT = 1.02  # a file published as 3.0 kB is one for 3 kB


def recommend(
    frame: pd.DataFrame,
    budget: int,
    images: str,
    published: Sequence[tuple[str, float, float]] = (),
) -> str:
    """What I would do with `budget` bytes for these images, from the networks of `frame`.

    It is the choice on validation images among the rows of at least three records. Where nothing
    fits, it is the most accurate file of others, `published` as (source, bytes, accuracy), that
    fits within 2 %.
    """
    frame = repeated(frame)
    size = f"{budget / 1e6:g} MB" if budget >= 1_000_000 else f"{budget / 1e3:g} kB"
    head = f"**{size}, {images}.** I would"
    found = choose(frame, [budget])
    if found.empty:
        return f"{head} {_others(frame, budget, published)}"
    row = found.iloc[0]
    text = (
        f"{head} take *{row['network']}* of chapter {row['chapter']}: {row['bytes']:,.0f} bytes, "
        f"{row['test']:.1f} % of the test images ({repetitions(row)})."
    )
    gain = choose(frame, [2 * budget])["test"].iloc[0] - row["test"]
    more = f" First I would ask for twice the bytes: they give {gain:.1f} points more."
    return text + (more if gain >= MUCH else "")


def _others(frame: pd.DataFrame, budget: int, published: Sequence[tuple[str, float, float]]) -> str:
    near = [one for one in published if one[1] <= ABOUT * budget]
    ours = "we have no files of these images"
    if len(frame):
        row = frame.loc[frame["bytes"].idxmin()]
        ours = f"our smallest file has {row['bytes']:,.0f} bytes and reaches {row['test']:.1f} %"
    if not near:
        return f"ask for more bytes: nothing fits. Here {ours}."
    source, size, accuracy = max(near, key=lambda one: one[2])
    return (
        f"do as {source}: {size:,.0f} bytes and {accuracy:.1f} %, as published. Nothing of ours "
        f"fits: {ours}."
    )
