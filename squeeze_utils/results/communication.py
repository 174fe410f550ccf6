"""Chapter 20's tables and figures: accuracy against bytes, for trainings and for clients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

from squeeze_utils.base.interpolating import bytes_at_our_divergences
from squeeze_utils.base.measurements import read_measurement
from squeeze_utils.results import tables
from squeeze_utils.results.comparison import UNFINISHED, planned_networks
from squeeze_utils.results.figures import curve_style
from squeeze_utils.results.statistics import mean_sd
from squeeze_utils.results.study_results import Results, Sentence

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SENT = "sent_bytes"
NOISE = 5.0  # per cent of a step: medians of a few steps differ by about as much
MARGIN = 0.5  # points
CHANGES = "libraries/updates"  # one client's change by us and by nncodec, measured


def exchange_shares(counted: pd.DataFrame, gigabits: Sequence[float] = (1, 10)) -> Sentence:
    """How much of a training step is exchange, a line for each row of `counted`.

    `counted` has what `count_steps` found, by network and number of processes. "Here" compares the
    measured time of a step with exchange and of computing alone. "On paper" adds the time that the
    bytes take at so many `gigabits` a second to the measured time of computing. A difference of two
    timings that is negative, or below `NOISE`, is too small to measure.
    """
    lines = []
    for (name, processes), row in counted.iterrows():
        compute, bits = row["alone"], 8 * row.get("sent", row["formula"])
        measured = 100 * (1 - compute / row["seconds"])
        here = f"{measured:.0f} % of it" if measured >= NOISE else "too small to measure"
        cables = {g: bits / (g * 1e9) for g in gigabits}
        paper = " and ".join(
            f"{100 * cable / (cable + compute):.0f} % at {g:g} Gbit/s"
            for g, cable in cables.items()
        )
        lines.append(
            f"- {name}, {processes} processes: computing {1e3 * compute:.1f} ms, a step "
            f"{1e3 * row['seconds']:.1f} ms. Exchange: {here} here; on paper {paper}."
        )
    return Sentence("\n".join(lines))


def exchange_table(found: Results, control: str) -> pd.DataFrame:
    """A row for each arm: accuracy, n, megabytes that a process sent, how many times fewer.

    Empty while there are no records; "times fewer" is empty while the control has none.
    """
    titles = ["test accuracy (%)", "n", "MB sent", "times fewer"]
    frame = found.frame
    if frame.empty or SENT not in frame:
        return pd.DataFrame(columns=titles).rename_axis("exchange")
    sent = frame.groupby("exchange", sort=False)[SENT].mean()
    rows = {}
    for name, part in frame.groupby("exchange", sort=False):
        fewer = f"{sent[control] / sent[name]:,.1f}" if control in sent else ""
        accuracy = mean_sd(part[tables.ACCURACY], 2)
        rows[name] = [accuracy, len(part), f"{sent[name] / 1e6:,.2f}", fewer]
    return pd.DataFrame.from_dict(rows, orient="index", columns=titles).rename_axis("exchange")


def goal(found: Results, control: str, times: float = 100) -> Sentence:
    """Which arms send that many `times` fewer bytes and lose at most half a point on the control.

    An arm is within it, or is not, where its whole interval says so.
    """
    frame = found.frame
    if frame.empty or SENT not in frame or control not in set(frame["exchange"]):
        return Sentence(f"Whether the goal is reached is open: {tables.NO_RECORDS}.")
    sent = frame.groupby("exchange")[SENT].mean()
    few = [name for name in sent.index if sent[control] / sent[name] >= times]
    gaps = found.compare("exchange", control, margin=MARGIN).reindex(few)
    unfinished = gaps["verdict"].astype(str).str.startswith(UNFINISHED)
    reached = list(gaps.index[(gaps["low"] > -MARGIN) & ~unfinished])
    missed = set(gaps.index[(gaps["high"] < -MARGIN) & ~unfinished])
    wanted = f"at least {times:g} times fewer bytes, within {MARGIN:g} points"
    if reached:
        return Sentence(f"The goal ({wanted}) is reached by: {', '.join(reached)}.")
    known = ", ".join(few) or "no arm"
    waiting = set(planned_networks(found.study, "exchange")) - set(sent.index)
    if waiting or set(few) - missed:
        return Sentence(
            f"Whether the goal ({wanted}) is reached is undecided. {times:g} times fewer: {known}."
        )
    return Sentence(f"The goal ({wanted}) is not reached. {times:g} times fewer: {known}.")


def exchange_figure(found: Results, title: str) -> Figure | None:
    """Accuracy of every run against the megabytes that a process sent; None without records."""
    frame = found.frame
    if frame.empty or SENT not in frame:
        return None
    ax = _axes("MB that a process sent", "test accuracy (%)", title)
    for number, (name, part) in enumerate(frame.groupby("exchange", sort=False)):
        look = curve_style(number) | {"linestyle": "none"}
        ax.plot(part[SENT] / 1e6, part[tables.ACCURACY], label=name, **look)
    ax.set_xscale("log")
    ax.legend(loc="best")
    return ax.figure


def against_nncodec() -> Sentence:
    """The bytes of one client's change, by us and by nncodec, at equal distance of the receivers.

    The divergence is that between the client's network and the receiver's. Between two settings of
    nncodec its bytes are interpolated over the logarithm of divergence. Seconds are of writing and
    reading once, all settings of each coder together.
    """
    kept = read_measurement(CHANGES)
    if kept is None:
        return Sentence("Not measured yet: `make libraries` measures it.")
    frame = kept.frame[kept.frame["divergence"] > 0].sort_values("divergence")
    theirs = frame[frame["tool"].str.startswith("nncodec")]
    ours = frame[frame["tool"].str.startswith("ours, coded")]
    needed = bytes_at_our_divergences(ours, theirs)
    ours = ours.loc[needed.index]
    parts = [
        f"{row.divergence:.1e} nats: ours {row.bytes / 1e3:,.0f} kB, nncodec {other / 1e3:,.0f} kB"
        for row, other in zip(ours.itertuples(), needed, strict=True)
    ]
    seconds = [f"{f['seconds'].min():.2f} to {f['seconds'].max():.2f}" for f in (ours, theirs)]
    return Sentence(
        f"Divergence from the client's network: {'; '.join(parts)}. To write and read a message "
        f"once took ours {seconds[0]} s, nncodec {seconds[1]} s. {kept.source}"
    )


def rounds(found: Results) -> pd.DataFrame:
    """A row for each round of each record: labels, seed, megabytes so far both ways, accuracy.

    "first MB" are those of them with which the clients got the network before the first round.
    """
    rows: list[dict[str, Any]] = []
    for named, record in found.recorded():
        first = record.final.get("first_download_bytes", 0) / 1e6
        for one in record.final.get("rounds", ()):
            both = (one["up_bytes"] + one["down_bytes"]) / 1e6
            row = {"round": one["round"], "MB": both, "first MB": first}
            rows.append({**named, **row, "accuracy": one["validation_accuracy"]})
    return pd.DataFrame(rows)


def bytes_to(found: Results, accuracy: float) -> pd.DataFrame:
    """Rounds and megabytes (both directions) until validation accuracy (%) first reached this.

    `reached` says how many of the seeds did; rounds and megabytes are means over those. "first
    download", the part of the megabytes with which the clients got the network, and the best
    accuracy are means over all.
    """
    sent = [f"MB to {accuracy:g} %", "first download"]
    titles = ["reached", "rounds", *sent, "best accuracy (%)"]
    frame = rounds(found)
    if frame.empty:
        return pd.DataFrame(columns=titles).rename_axis("message")
    rows = {}
    for name, part in frame.groupby("message", sort=False):
        firsts = part[part["accuracy"] >= accuracy].groupby("seed").first()
        seeds = part["seed"].nunique()
        best = part.groupby("seed")["accuracy"].max().mean()
        means = (
            [f"{firsts['round'].mean():.1f}", f"{firsts['MB'].mean():,.2f}"]
            if len(firsts)
            else ["", "not reached"]
        )
        start = f"{part['first MB'].mean():,.2f}"
        rows[name] = [f"{len(firsts)} of {seeds}", *means, start, f"{best:.2f}"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=titles).rename_axis("message")


def bytes_prediction(found: Results, predicted: dict[str, float]) -> Sentence:
    """How many times fewer bytes clients sent than in float, and whether that was predicted.

    `predicted` gives the least factor of each kind of message.
    """
    frame = found.frame
    if frame.empty or "float" not in set(frame["message"]):
        return Sentence(f"The prediction about messages is still open: {tables.NO_RECORDS}.")
    up = frame.groupby("message")["up_bytes"].mean()
    known = {name: up["float"] / up[name] for name in predicted if name in up}
    words = ", ".join(f"{name} {factor:.1f}" for name, factor in known.items())
    lacking = [name for name in predicted if name not in known]
    if lacking:
        return Sentence(f"Times fewer bytes: {words or 'none yet'}; no run yet: {lacking[0]}.")
    held = all(factor >= predicted[name] for name, factor in known.items())
    return Sentence(
        f"Times fewer bytes than float: {words}. The prediction about bytes "
        f"{'holds' if held else 'fails'}."
    )


def rounds_figure(found: Results, title: str) -> Figure | None:
    """Accuracy after every round against megabytes so far; None without records."""
    frame = rounds(found)
    if frame.empty:
        return None
    ax = _axes("MB sent by all so far", "validation accuracy (%)", title)
    for number, (name, part) in enumerate(frame.groupby("message", sort=False)):
        for place, (_, seed) in enumerate(part.groupby("seed")):
            look = curve_style(number) | {"markersize": 3}
            ax.plot(seed["MB"], seed["accuracy"], label=None if place else name, **look)
    ax.set_xscale("log")
    ax.legend(loc="best")
    return ax.figure


def _axes(x: str, y: str, title: str) -> Any:
    import matplotlib.pyplot as plt

    _, ax = plt.subplots(figsize=(6.4, 3.6))
    ax.set(xlabel=x, ylabel=y, title=title)
    return ax
