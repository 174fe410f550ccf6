"""How right a runner is: its logits on a split, its accuracy, how often two runners agree."""

from __future__ import annotations

import numpy as np
from tqdm.auto import tqdm

from squeeze_utils.data import ImageSet, Split, normalise
from squeeze_utils.deploy.runners import Runner

CHUNK = 100
LONG = 2000  # images, from which on a bar is shown


def inputs(split: Split, images: ImageSet, count: int | None = None) -> np.ndarray:
    """The first `count` images of a split (all by default) as a network takes them."""
    return normalise(split.images[:count], images.mean, images.std).contiguous().numpy()


def logits_of(runner: Runner, split: Split, images: ImageSet) -> np.ndarray:
    """Logits (n, classes) of every image of the split, in its order."""
    found = []
    starts = range(0, len(split), CHUNK)
    for start in tqdm(starts, desc=runner.name, disable=len(split) < LONG, leave=False):
        part = normalise(split.images[start : start + CHUNK], images.mean, images.std)
        found.append(runner(part.contiguous().numpy()))
    return np.concatenate(found)


def top1(logits: np.ndarray, split: Split) -> float:
    """Per cent of the images whose largest logit is that of their label."""
    if len(logits) != len(split):
        raise ValueError(f"{len(logits)} rows of logits for {len(split)} images")
    return 100 * float((logits.argmax(1) == split.labels.numpy()).mean())


def agreement(one: np.ndarray, other: np.ndarray) -> dict[str, float]:
    """Per cent of equal top-1 answers, and the largest difference of logits.

    `difference` is absolute, `relative` is in units of the largest logit of `one`.
    """
    if one.shape != other.shape:
        raise ValueError(f"logits of the shapes {one.shape} and {other.shape} cannot be compared")
    difference = float(np.abs(one - other).max())
    return {
        "same_answer": 100 * float((one.argmax(1) == other.argmax(1)).mean()),
        "difference": difference,
        "relative": difference / float(np.abs(one).max()),
    }
