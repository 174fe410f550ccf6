"""The ImageNet networks of chapter 14, written by nncodec, on the pictures that judge ours."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

from squeeze_utils.imagenet import judging, pictures
from squeeze_utils.imagenet.size_curve import TITLES
from tools.imagenet_tables import TARGETS, original
from tools.libraries.trials import through_nncodec

QUALITIES = (-38, -34, -30, -28, -26, -24, -22, -20)  # from large files to small ones


def released(folder: Path) -> Iterator[dict[str, Any]]:
    """For each network a row for each setting of nncodec, judged on all pictures at once.

    nncodec sees no pictures. Ours saw one half while it was judged on the other: the sum over both
    halves, in `released/NAME`, is over the same pictures.
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
            yield _row(name, tool, size, seconds, verdict)


def _row(
    name: str, tool: str, size: float, seconds: float, verdict: judging.Verdict
) -> dict[str, Any]:
    return {
        "tool": f"{TITLES[name]}: {tool}",
        "version": version("nncodec"),
        "accuracy": round(verdict.top1, 2),
        "divergence": round(verdict.divergence / verdict.n, 4),
        "agreement": round(verdict.agreement, 2),
        "bytes": round(size),
        "seconds": round(seconds, 1),
        "note": f"{verdict.difference:+.1f} ± {verdict.interval:.1f} points",
    }
