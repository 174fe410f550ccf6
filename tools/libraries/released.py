"""The ImageNet networks of chapter 14, written by nncodec and by us, on the same pictures."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from squeeze_utils.base import measurements
from squeeze_utils.imagenet import judging, pictures
from squeeze_utils.imagenet.size_curve import TITLES
from tools.imagenet_tables import TARGETS, original
from tools.libraries.trials import through_nncodec

QUALITIES = (-38, -34, -30, -28, -26, -24, -22, -20)  # from large files to small ones


def released(folder: Path) -> Iterator[dict[str, Any]]:
    """For each network a row for each setting of nncodec, then those of our own files.

    nncodec sees no pictures, so it is judged on all of them at once. Ours saw one half while it
    was judged on the other: the sum over both halves is over the same pictures.
    """
    paths = pictures.find_pictures(folder)
    labels = pictures.labels(paths)
    for name in TARGETS:
        model = original(name)
        scores = judging.outputs(model, paths, progress=True)
        for quality in QUALITIES:
            decoded, size, seconds = through_nncodec(model, quality)
            after = judging.outputs(decoded, paths, progress=True)
            verdict = judging.judge(after, scores, labels)
            tool = f"nncodec, qp {quality}"
            yield _row(name, tool, version("nncodec"), size, seconds, verdict)
        yield from _ours(name)


def _ours(name: str) -> Iterator[dict[str, Any]]:
    """The rows that chapter 14's own table has, of its first seed."""
    known = measurements.read_measurement(f"released/{name}")
    for target in TARGETS[name] if known else ():
        rows = [row for row in known.rows if (row["target"], row["seed"]) == (target, 0)]
        if len(rows) != 2:
            continue
        fields = judging.Verdict.__dataclass_fields__
        one, other = (judging.Verdict(**{key: row[key] for key in fields}) for row in rows)
        size, seconds = (sum(row[key] for row in rows) / 2 for key in ("bytes", "seconds"))
        yield _row(name, "ours", version("squeeze_utils"), size, seconds, one + other)


def _row(
    name: str, tool: str, of: str, size: float, seconds: float, verdict: judging.Verdict
) -> dict[str, Any]:
    return {
        "tool": f"{TITLES[name]}: {tool}",
        "version": of,
        "accuracy": round(verdict.top1, 2),
        "divergence": round(verdict.divergence / verdict.n, 4),
        "agreement": round(verdict.agreement, 2),
        "bytes": round(size),
        "seconds": round(seconds, 1),
        "note": f"{verdict.difference:+.1f} ± {verdict.interval:.1f} points",
    }
