"""The kept table of tuning: its means, paired intervals and sentences."""

from __future__ import annotations

import numpy as np
import pytest

from squeeze_utils.base.measurements import Measurement
from squeeze_utils.imagenet import tuning_gain

FACTS = {"device": "a machine", "date": "2026-11-30"}
SHIFT = {"rounded": 0.0, "tuned": -0.02, tuning_gain.WITHOUT: 0.03}


def rows(seeds=(0, 1), targets=(200, 300)):
    for seed in seeds:
        for target in targets:
            for half in (0, 1):
                base = np.random.default_rng(100 * half + seed).uniform(0.1, 0.3, 40)
                noise = np.random.default_rng(half).normal(0, 0.01, 40)
                for stage, shift in SHIFT.items():
                    nats = base + shift + (noise if stage == "tuned" else 0)
                    row = {"seed": seed, "half": half, "target": target, "stage": stage}
                    row |= {"step": 10} if stage == "tuned" else {}
                    yield row | {"bytes": target - 1, "divergences": nats.tolist()}


def keep(monkeypatch, found):
    kept = None if found is None else Measurement(found, FACTS)
    monkeypatch.setattr(tuning_gain, "read_measurement", lambda name: kept)


def test_changes_are_paired_by_picture_and_averaged_over_seeds(monkeypatch):
    kept = list(rows())
    keep(monkeypatch, kept)
    found = tuning_gain.gains()
    assert found["target"].tolist() == [200, 300] and found["bytes"].tolist() == [199, 299]
    first = found.iloc[0]
    assert first["seeds"] == 2 and first["n"] == 80
    noise = np.concatenate([np.random.default_rng(half).normal(0, 0.01, 40) for half in (0, 1)])
    assert first["change"] == pytest.approx(-0.02 + noise.mean())
    assert first["interval"] == pytest.approx(1.96 * noise.std(ddof=1) / 80**0.5)
    assert first[tuning_gain.WITHOUT] - first["rounded"] == pytest.approx(0.03)


def test_a_sentence_has_the_numbers_and_the_verdict(monkeypatch):
    keep(monkeypatch, list(rows()))
    first, second, source = tuning_gain.sentences()
    row = tuning_gain.gains().iloc[0]
    assert first.startswith("At most 199 bytes") and "**lower** (80 pictures, 2 seeds)" in first
    share = 100 * row["change"] / row["rounded"]
    assert f"{row['rounded']:.4f}" in first and f"({share:+.1f} %)" in first and share < -5
    assert f"{row['change']:+.4f}" in first
    assert "299" in second and source == "a machine · 2026-11-30."
    same = [row | {"divergences": [0.1 + 0.01 * (-1) ** i for i in range(40)]} for row in rows()]
    for i, row in enumerate(same):
        if row["stage"] == "tuned":
            same[i] = row | {"divergences": row["divergences"][::-1]}
    keep(monkeypatch, same)
    assert "**undecided**" in tuning_gain.sentences()[0]


def test_where_tuning_found_nothing_there_is_no_verdict(monkeypatch):
    rounded = {}
    for row in rows():
        if row["stage"] == "rounded":
            rounded[row["seed"], row["half"], row["target"]] = row["divergences"]
    nothing = [
        row | {"step": 0, "divergences": rounded[row["seed"], row["half"], row["target"]]}
        if row["stage"] == "tuned" and row["target"] == 200
        else row
        for row in rows()
    ]
    keep(monkeypatch, nothing)
    first, second, _ = tuning_gain.sentences()
    assert "tuning found no better state" in first and "**" not in first
    assert "**lower**" in second
    assert tuning_gain.gains()["moved"].tolist() == [0, 4]


def test_what_lacks_is_named(monkeypatch):
    keep(monkeypatch, None)
    with pytest.raises(ValueError, match=r"run `python -m tools\.imagenet_tuning"):
        tuning_gain.gains()
    kept = list(rows())
    keep(monkeypatch, kept[:-1])  # the last seed's second half lacks a file
    with pytest.raises(ValueError, match="a seed lacks a half"):
        tuning_gain.gains()
    keep(monkeypatch, [row for row in kept if row["stage"] != "tuned"])
    with pytest.raises(ValueError, match="at 200 bytes some stages lack seeds or halves"):
        tuning_gain.gains()
