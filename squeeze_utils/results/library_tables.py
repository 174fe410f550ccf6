"""What well-kept libraries make of our networks: the tables of the sections "At work"."""

from __future__ import annotations

from typing import Any

import pandas as pd

from squeeze_utils.base.measurements import read_measurement

TOPICS = ("coding", "kept_up", "pruning", "quantization", "released", "scores", "updates")

#: A column's heading and how its values are written.
COLUMNS = {
    "tool": ("", "{}"),
    "version": ("version", "{}"),
    "last_release": ("last release", "{}"),
    "accuracy": ("accuracy, %", "{:.2f}"),
    "score": ("score, %", "{:.4f}"),
    "divergence": ("divergence, nats", "{:.3f}"),
    "agreement": ("same answer, %", "{:.2f}"),
    "bytes": ("bytes on disk", "{:,.0f}"),
    "milliseconds": ("ms a picture", "{:.2f}"),
    "seconds": ("seconds to make", "{:.1f}"),
    "note": ("note", "{}"),
}


def library_table(topic: str) -> pd.DataFrame | None:
    """The kept table of a topic, its source printed; one sentence where nobody has made it.

    Args:
        topic: one of `TOPICS`. "kept_up" says which of the libraries still see releases.
    """
    if topic not in TOPICS:
        raise ValueError(f"no table {topic!r}; there are: {', '.join(TOPICS)}")
    found = read_measurement(f"libraries/{topic}")
    if found is None:
        print("Not measured yet: `make libraries` fetches the packages and measures.")
        return None
    frame = found.frame
    table = pd.DataFrame(
        {
            heading: [_written(value, form) for value in frame[name]]
            for name, (heading, form) in COLUMNS.items()
            if name in frame
        }
    )
    print(found.source)
    if network := found.about.get("network"):
        print(
            f"{network}, batches of {found.about['batch']}; same answer: share of test images with "
            "the answer of the first row"
        )
    return table.set_index(table.columns[0])


def _written(value: Any, form: str) -> str:
    return "" if value is None or value != value else form.format(value)
