"""From decoded images to fixed splits, and the cache that keeps them packed on disk."""

from __future__ import annotations

import hashlib
import json
import tokenize
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from squeeze_utils.base import paths
from squeeze_utils.base.files import write_atomically
from squeeze_utils.data.types import DataError

PARTS = ("train", "validation", "test")
SPLIT_SEED = 2016
VALIDATION_SHARE = 0.1
TEST_SHARE = 0.2
CACHE_VERSION = 1


@dataclass(frozen=True)
class Raw:
    """Decoded images before they are cut: uint8 (n, size, size, channels), labels int64 (n,).

    ``spans`` says which parts exist already, as (first, end) positions; ``train`` always does.
    """

    images: np.ndarray
    labels: np.ndarray
    spans: dict[str, tuple[int, int]]


@dataclass(frozen=True)
class Packed:
    """All images in one array, train first, then validation, then test.

    ``images`` is uint8 (n, size, size, channels), ``labels`` int64 (n,), ``counts`` the length of
    each part, ``mean`` and ``std`` per channel on the scale 0..1, from the training part.
    """

    classes: tuple[str, ...]
    images: np.ndarray
    labels: np.ndarray
    counts: tuple[int, int, int]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    fingerprint: str


def pack(classes: tuple[str, ...], raw: Raw) -> Packed:
    """Cut the missing splits and put every split in a fixed order that files do not influence.

    Images are first sorted by a hash of their pixels. The splits therefore depend on the images
    alone: the same set read from folders or from its original files is cut alike.
    """
    index = {part: _by_pixel_hash(raw, *span) for part, span in raw.spans.items()}
    for part, share in (("test", TEST_SHARE), ("validation", VALIDATION_SHARE)):
        if part not in index:
            away = split_mask(raw.labels[index["train"]], share, part)
            index["train"], index[part] = index["train"][~away], index["train"][away]
    index["train"] = index["train"][balanced_order(raw.labels[index["train"]])]
    order = np.concatenate([index[part] for part in PARTS])
    images, labels = raw.images[order], raw.labels[order]
    counts = tuple(len(index[part]) for part in PARTS)
    mean, std = channel_statistics(images[: counts[0]])
    return Packed(classes, images, labels, counts, mean, std, fingerprint(images, labels, counts))


def _by_pixel_hash(raw: Raw, start: int, stop: int) -> np.ndarray:
    """Positions start..stop-1 sorted by a hash of their pixels (then by label)."""
    keys = [
        (hashlib.blake2b(raw.images[i].tobytes(), digest_size=16).digest(), raw.labels[i], i)
        for i in range(start, stop)
    ]
    return np.asarray([key[2] for key in sorted(keys)], dtype=np.int64)


def _random_keys(count: int) -> np.ndarray:
    """``count`` raw 64-bit numbers: NumPy keeps this stream the same in every version."""
    return np.random.PCG64(SPLIT_SEED).random_raw(count)


def ranks_in_class(labels: np.ndarray) -> np.ndarray:
    """For every image its place (0, 1, ...) in a fixed random order of the images of its class."""
    ranks = np.empty(len(labels), dtype=np.int64)
    by_class = np.lexsort((_random_keys(len(labels)), labels))
    counts = np.bincount(labels)
    ranks[by_class] = np.arange(len(labels)) - np.repeat(np.cumsum(counts) - counts, counts)
    return ranks


def split_mask(labels: np.ndarray, share: float, part: str) -> np.ndarray:
    """Which images go into a new split: bool (n,), ``share`` of every class.

    At least one of two images of a class is taken, and never its last one.
    """
    counts = np.bincount(labels)
    wanted = np.rint(counts * share).astype(int)
    wanted = np.clip(wanted, np.minimum(1, counts - 1), counts - 1)
    away = ranks_in_class(labels) < wanted[labels]
    if not away.any():
        raise DataError(f"too few images to cut a {part} split: give at least 3 per class")
    return away


def balanced_order(labels: np.ndarray) -> np.ndarray:
    """A fixed permutation whose every beginning holds the classes as evenly as possible."""
    return np.lexsort((_random_keys(len(labels)), ranks_in_class(labels)))


def channel_statistics(images: np.ndarray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Mean and standard deviation per channel on the scale 0..1; a constant channel gets std 1."""
    levels = np.arange(256) / 255.0
    means, stds = [], []
    for channel in range(images.shape[3]):
        blocks = (images[i : i + 4096, ..., channel].ravel() for i in range(0, len(images), 4096))
        counts = sum(np.bincount(block, minlength=256) for block in blocks)
        share = counts / counts.sum()
        mean = float(share @ levels)
        means.append(mean)
        stds.append(float(np.sqrt(share @ (levels - mean) ** 2)) or 1.0)
    return tuple(means), tuple(stds)


def fingerprint(images: np.ndarray, labels: np.ndarray, counts: tuple[int, ...]) -> str:
    """First 16 hexadecimal digits of the SHA-256 of shape, split lengths, labels and pixels."""
    digest = hashlib.sha256(repr((tuple(images.shape), tuple(counts))).encode())
    digest.update(np.ascontiguousarray(labels.astype("<i8")))
    digest.update(np.ascontiguousarray(images))
    return digest.hexdigest()[:16]


def cached(stem: str, key: str, make: Callable[[], Packed]) -> Packed:
    """The packed set `STEM-KEY` from the cache folder; it is made and stored there if need be.

    A damaged file is made anew. Where the folder cannot be written, nothing is stored.
    """
    key = hashlib.sha256(f"{key}|{CACHE_VERSION}".encode()).hexdigest()[:12]
    path = paths.cache() / f"{stem}-{key}.npy"
    stored = _read(path)
    if stored is not None:
        return stored
    packed = make()
    try:
        _write(path, packed)
    except OSError:
        return packed
    return _read(path) or packed


def _read(path: Path) -> Packed | None:
    """The packed set at ``path``, memory-mapped, or None where it is missing or damaged."""
    try:
        described = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        images = np.load(path, mmap_mode="c", allow_pickle=False)
        labels = np.asarray(described["labels"], dtype=np.int64)
        tuples = {name: tuple(described[name]) for name in ("classes", "counts", "mean", "std")}
        packed = Packed(
            images=images, labels=labels, fingerprint=described["fingerprint"], **tuples
        )
        whole = images.dtype == np.uint8 and len(images) == len(labels)
        content = fingerprint(images, labels, packed.counts)
        return packed if whole and content == packed.fingerprint else None
    except (OSError, EOFError, ValueError, KeyError, TypeError, tokenize.TokenError):
        return None


def _write(path: Path, packed: Packed) -> None:
    """Write the images, then the description that makes them valid."""
    described = {name: value for name, value in vars(packed).items() if name != "images"}
    described["labels"] = packed.labels.tolist()
    write_atomically(path, lambda file: np.save(file, packed.images, allow_pickle=False))
    write_atomically(path.with_suffix(".json"), json.dumps(described).encode())
