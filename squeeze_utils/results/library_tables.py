"""What well-kept libraries make of our networks: the tables of the sections "At work"."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any

import pandas as pd

from squeeze_utils.base.checks import choose
from squeeze_utils.base.measurements import Measurement, read_measurement

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

#: Networks that simulate 8 bits. A file that was kept earlier times them; that is not shown.
SIMULATED = ("torchao, PT2E int8", "NNCF int8")
NOT_TIMED = "rounds in float: not timed"


@dataclass(frozen=True, eq=False)
class LibraryTable:
    """A kept table with its source, which a notebook shows above it."""

    frame: pd.DataFrame
    source: str

    def __repr__(self) -> str:
        return self.source if self.frame.empty else f"{self.source}\n\n{self.frame}"

    def _repr_html_(self) -> str:
        table = "" if self.frame.empty else self.frame._repr_html_()
        return f"<p>{html.escape(self.source)}</p>\n{table}"


def library_table(topic: str) -> LibraryTable:
    """The kept table of a topic; where nobody has made it, it is empty and its source says so.

    Args:
        topic: one of `TOPICS`. "kept_up" says which of the libraries still see releases.
    """
    choose("topic", topic, TOPICS)
    found = read_measurement(f"libraries/{topic}")
    if found is None:
        unmade = "Not measured yet: `make libraries` fetches the packages and measures."
        return LibraryTable(pd.DataFrame(), unmade)
    frame = found.frame
    table = pd.DataFrame(
        {
            heading: [_written(value, form) for value in frame[name]]
            for name, (heading, form) in COLUMNS.items()
            if name in frame
        }
    )
    table = table.set_index(table.columns[0])
    simulated = table.index.isin(SIMULATED)
    if simulated.any():
        table.loc[simulated, [COLUMNS[name][0] for name in ("milliseconds", "note")]] = (
            "–",
            NOT_TIMED,
        )
    return LibraryTable(table, _source(found))


def _source(found: Measurement) -> str:
    """Device and date; where our network ran, also how it was judged and timed."""
    about, network = found.about, found.about.get("network")
    if network is None:
        return found.source
    return (
        f"{found.source} · {network}, batches of {about['batch']}, medians of "
        f"{about['repetitions']} rounds in which the tools take turns. Same answer: share of test "
        "images with the answer of the first row."
    )


def _written(value: Any, form: str) -> str:
    return "" if value is None or value != value else form.format(value)
