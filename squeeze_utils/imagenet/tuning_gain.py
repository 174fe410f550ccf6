"""What tuning the few numbers of a rounded network changes: the kept table and its sentences.

Each file was judged on pictures that its making never saw, one half after the other. Divergences
are paired by picture and averaged over seeds, so intervals are those of the pictures.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from squeeze_utils.base.measurements import Measurement, read_measurement
from squeeze_utils.base.verdicts import verdict_of

NETWORK, NAME = "squeezenet1_0", "released/tuning_squeezenet1_0"
WITHOUT = "rounded without a fifth"  # that tuning holds back
STAGES = ("rounded", "tuned", WITHOUT)
Z = 1.96  # of a 95 % interval


def gains() -> pd.DataFrame:
    """A row for each target, the smallest first.

    The largest file, the divergence of each stage in nats a picture, `change`: that of the tuned
    file less that of the rounded one, and `interval`, half of its 95 % interval over pictures; in
    how many files tuning found a better state: `moved`.
    """
    frame, rows = _kept().frame, []
    for target, part in frame.groupby("target"):
        nats = {stage: _of_each_picture(part[part["stage"] == stage]) for stage in STAGES}
        if len({one.shape for one in nats.values()}) > 1:
            raise ValueError(f"{NAME}: at {target:,} bytes some stages lack seeds or halves")
        seeds, n = nats["tuned"].shape
        files = part[part["stage"] != WITHOUT]
        row = {"target": target, "bytes": int(files["bytes"].max()), "seeds": seeds, "n": n}
        row |= {stage: float(one.mean()) for stage, one in nats.items()}
        changes = (nats["tuned"] - nats["rounded"]).mean(0)
        tuned = part[part["stage"] == "tuned"]
        row["moved"] = int((tuned["step"] > 0).sum())
        row["change"] = float(changes.mean())
        row["interval"] = Z * float(changes.std(ddof=1)) / n**0.5
        rows.append(row)
    return pd.DataFrame(rows)


def sentences() -> list[str]:
    """A sentence for each target, with its verdict, and where the numbers come from."""
    return [*map(_sentence, gains().to_dict("records")), f"{_kept().source}."]


def _sentence(row: dict[str, Any]) -> str:
    size, pictures = (
        f"At most {row['bytes']:,} bytes",
        f"{row['n']} pictures, {row['seeds']} seed{'s' * (row['seeds'] > 1)}",
    )
    if not row["moved"]:
        return (
            f"{size}: tuning found no better state, and the divergence stays at "
            f"{row['rounded']:.4f} nats a picture ({pictures})."
        )
    low, high = (row["change"] + sign * row["interval"] for sign in (-1, 1))
    share = 100 * row["change"] / row["rounded"]
    return (
        f"{size}: the divergence is {row['rounded']:.4f} nats a picture rounded and "
        f"{row['tuned']:.4f} tuned ({share:+.1f} %); the change is {row['change']:+.4f} ± "
        f"{row['interval']:.4f}, **{verdict_of(low, high)}** ({pictures})."
    )


def _of_each_picture(rows: pd.DataFrame) -> np.ndarray:
    """Nats (seeds, pictures), the first half's pictures first."""
    ordered = rows.sort_values(["seed", "half"])
    both = [np.concatenate([*seed["divergences"]]) for _, seed in ordered.groupby("seed")]
    if len({len(one) for one in both}) > 1:
        raise ValueError(f"{NAME}: a seed lacks a half")
    return np.array(both)


def _kept() -> Measurement:
    found = read_measurement(NAME)
    if found is None:
        raise ValueError(
            "no table of tuning: run `python -m tools.imagenet_tuning FOLDER PHOTOGRAPHS`"
        )
    return found
