"""Count the images of a set and find copies across its splits: `python -m tools.image_cards NAME`.

Writes data/measurements/images/NAME.json, which the data card reads. Small versions of a few pairs
are kept with it, so that a reader without the set sees what a copy is.
"""

from __future__ import annotations

import base64
import io
import sys
from collections.abc import Sequence
from typing import Any

import torch
from PIL import Image

from squeeze_utils.base.commandline import exit_code
from squeeze_utils.base.measurements import keep_measurement
from squeeze_utils.data import ImageSet, Split
from squeeze_utils.data.cards import CARDS
from squeeze_utils.data.copies import Copy, find_copies
from squeeze_utils.data.sets import load_images

SIZE = 128
SHOWN, SIDE, QUALITY = 8, 64, 60  # pairs with pictures, their pixels, and WebP's quality


def measure(data: ImageSet) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The pairs, one of training or validation and one of test each; and counts."""
    rows: list[dict[str, Any]] = []
    for name in ("train", "validation"):
        split = getattr(data, name)
        rows += [_row(copy, name, split, data.test) for copy in find_copies(split, data.test)]
    for copy in rows[:: max(1, len(rows) // SHOWN)][:SHOWN]:
        split = getattr(data, copy["split"])
        pair = (split.images[copy["image"]], data.test.images[copy["test"]])
        copy["pictures"] = [small_picture(image) for image in pair]
    parts = [data.train, data.validation, data.test]
    labels = torch.cat([part.labels for part in parts]).bincount()
    return rows, {
        "counts": [len(part) for part in parts],
        "per_class": [int(labels.min()), int(labels.max())],
        "classes": list(data.classes),
        "size": data.size,
        "fingerprint": data.fingerprint,
    }


def _row(copy: Copy, name: str, split: Split, test: Split) -> dict[str, Any]:
    return {
        "split": name,
        "image": copy.first,
        "test": copy.second,
        "bits": copy.bits,
        "correlation": round(copy.correlation, 4),
        "mirrored": copy.mirrored,
        "labels": [int(split.labels[copy.first]), int(test.labels[copy.second])],
    }


def small_picture(image: torch.Tensor) -> str:
    """A picture, uint8 (channels, side, side), as a small WebP in base64."""
    file = io.BytesIO()
    pixels = image.expand(3, -1, -1).permute(1, 2, 0)
    picture = Image.fromarray(pixels.contiguous().numpy())
    picture.resize((SIDE, SIDE), Image.Resampling.LANCZOS).save(file, "WEBP", quality=QUALITY)
    return base64.b64encode(file.getvalue()).decode()


def main(names: Sequence[str]) -> None:
    """Measure the sets named, all that have a card unless some are."""
    for name in names or list(CARDS):
        rows, about = measure(load_images(name, SIZE))
        print(f"{keep_measurement(f'images/{name}', rows, **about)}: {len(rows)} pairs")


if __name__ == "__main__":
    sys.exit(exit_code(lambda: main(sys.argv[1:]), "the tables named so far are kept"))
