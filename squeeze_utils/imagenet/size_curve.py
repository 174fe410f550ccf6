"""What the networks for ImageNet lose in fewer and fewer bytes: the kept tables of chapter 14.

Each file was judged on pictures that its making never saw, one half after the other. The counts
of both halves are added, and those of several seeds averaged.
"""

from __future__ import annotations

import pandas as pd

from squeeze_utils.base.interpolating import bytes_at_our_divergences
from squeeze_utils.base.measurements import Measurement, read_measurement
from squeeze_utils.base.verdicts import verdict_of
from squeeze_utils.imagenet.judging import Verdict

TITLES = {"squeezenet1_0": "SqueezeNet 1.0", "squeezenet1_1": "SqueezeNet 1.1"}
CHANGE = "change (points, 95 % for all sizes together)"
NOT_YET = "nncodec has not been measured on these pictures yet."
LOSSLESS_GOAL = 527_000  # bytes of the released file
GOALS = {300_000: 0.030, 240_000: 0.11}  # bytes, and the most nats a picture


def points(name: str) -> pd.DataFrame:
    """A row for each size of a network of TITLES, the smallest first.

    Accuracies and `agreement` in percent; `change` of top-1 against the original and its 95 %
    `interval` in points, which holds for all sizes together; `divergence` in nats a picture, `low`
    and `high` those of the seeds, `spread` half of its interval over pictures, again for all sizes
    together, where that was measured.
    """
    frame, rows = _kept(name).frame, []
    sizes = frame["target"].nunique()
    for target, part in frame.groupby("target"):
        seeds = [_added(group) for _, group in part.groupby("seed")]
        each, mean = [seed.divergence / seed.n for seed in seeds], Verdict.mean(seeds)
        row = {"target": target, "bytes": int(part["bytes"].max()), **_numbers(mean, sizes)}
        row |= {"low": min(each), "high": max(each), "tool": "ours"}
        rows.append(row | {"seeds": [seed.difference for seed in seeds]})
    return pd.DataFrame(rows)


def with_nncodec(name: str) -> pd.DataFrame:
    """`points`, and below them the rows of nncodec at its settings where they are measured."""
    ours, kept = points(name), read_measurement("libraries/released")
    prefix, rows = f"{TITLES[name]}: nncodec", kept.rows if kept else []
    theirs = [
        {"tool": "nncodec", "bytes": row["bytes"], "divergence": row["divergence"]}
        for row in rows
        if row["tool"].startswith(prefix)
    ]
    found = pd.DataFrame([*ours.to_dict("records"), *theirs])
    return found.sort_values(["tool", "bytes"], ascending=[False, True], ignore_index=True)


def against_nncodec(name: str) -> str:
    """At how many of our divergences nncodec needs more bytes, and how many, as a sentence.

    Between two settings of nncodec its bytes are interpolated over the logarithm of divergence.
    """
    frame = with_nncodec(name)
    ours, theirs = (frame[frame["tool"] == tool] for tool in ("ours", "nncodec"))
    if theirs.empty:
        return f"{TITLES[name]}: {NOT_YET}"
    needed, every = bytes_at_our_divergences(ours, theirs), ours
    ours = ours.loc[needed.index]
    pairs = zip(ours["divergence"], ours["bytes"], needed, strict=True)
    parts = [
        f"{nats:.4f} nats in {own:,} bytes, nncodec {other:,.0f}" for nats, own, other in pairs
    ]
    more = f"{(needed > ours['bytes']).sum()} of the {len(ours)} divergences"
    reached = f"that its settings reach (our table has {len(every)})"
    said = f"{TITLES[name]}: nncodec needs more bytes at {more} {reached}: {'; '.join(parts)}."
    return said + _beyond_nncodec(every.drop(index=needed.index), theirs)


def _beyond_nncodec(ours: pd.DataFrame, theirs: pd.DataFrame) -> str:
    """Of our files with less divergence than any of nncodec's, those smaller than its largest."""
    most = theirs["bytes"].max()
    beyond = (ours["bytes"] < most) & (ours["divergence"] < theirs["divergence"].min())
    if not beyond.any():
        return ""
    return f" At {beyond.sum()} more even its largest file, of {most:,.0f} bytes, differs more."


def change(row: pd.Series, margin: float) -> str:
    """One of the four verdicts on the change of top-1, from its interval."""
    return verdict_of(row["change"] - row["interval"], row["change"] + row["interval"], margin)


def goals_sentence() -> str:
    """Whether the released network is as small and as close as chapter 14 set out to make it.

    A divergence is reached, or missed, where all seeds are on the same side of the goal.
    """
    size = read_measurement("released/file").about["lossless_bytes"]
    word = "reached" if size <= LOSSLESS_GOAL else "missed"
    lines = [f"- at most {LOSSLESS_GOAL:,} bytes without loss: {word} ({size:,} bytes)"]
    found = points("squeezenet1_0").set_index("target")
    for target, most in GOALS.items():
        row = found.loc[target]
        word = "reached" if row["high"] <= most else "not decided"
        word = "missed" if row["low"] > most or row["bytes"] > target else word
        lines.append(
            f"- at most {target:,} bytes and {most:g} nats: {word} ({row['bytes']:,} bytes; "
            f"{row['divergence']:.4f} nats, seeds {row['low']:.4f} to {row['high']:.4f})"
        )
    return "Goals for the released network:\n\n" + "\n".join(lines)


def table(name: str, margin: float = 1.0) -> pd.DataFrame:
    """`points` as text, below the original, with a verdict on the change of top-1."""
    before = _numbers(Verdict(**_kept(name).about["original"]), 1)
    rows = {"original": _row(before)}
    for _, row in points(name).iterrows():
        moved = f"{row['change']:+.1f} ± {row['interval']:.1f}"
        seeds = ", ".join(f"{seed:+.1f}" for seed in row["seeds"])
        more = {CHANGE: moved, "verdict": change(row, margin), "each seed": seeds}
        rows[f"{row['bytes']:,} bytes"] = _row(row) | more
    return pd.DataFrame.from_dict(rows, orient="index").fillna("")


def _row(row: pd.Series | dict[str, float]) -> dict[str, str]:
    accuracy = {f"{name} (%)": f"{row[name]:.1f}" for name in ("top-1", "top-5")}
    agreement = {"same first guess (%)": f"{row['agreement']:.1f}"}
    known = row["spread"] is not None and not pd.isna(row["spread"])
    spread = f" ± {row['spread']:.4f}" if known else ""
    return accuracy | agreement | {"divergence (nats)": f"{row['divergence']:.4f}{spread}"}


def _kept(name: str) -> Measurement:
    if name not in TITLES:
        raise ValueError(f"no network {name!r}; there are: {', '.join(TITLES)}")
    found = read_measurement(f"released/{name}")
    if found is None:
        raise ValueError(f"no table of {name}: run `python -m tools.imagenet_tables FOLDER`")
    return found


def _added(rows: pd.DataFrame) -> Verdict:
    """The counts of several rows, added; old files lack some."""
    kept = rows.reindex(columns=COUNTS).astype(object)
    kept = kept.where(kept.notna(), None)
    first, *others = (Verdict(**row) for row in kept.to_dict("records"))
    return sum(others, start=first)


COUNTS = tuple(Verdict.__dataclass_fields__)


def _numbers(verdict: Verdict, comparisons: int) -> dict[str, float]:
    return {
        "n": verdict.n,
        "top-1": verdict.top1,
        "top-5": verdict.top5,
        "agreement": verdict.agreement,
        "change": verdict.difference,
        "interval": verdict.interval_of_one_among(comparisons),
        "divergence": verdict.divergence / verdict.n,
        "spread": verdict.divergence_interval(comparisons),
    }
