"""From decoded images to fixed splits, and the cache that keeps them packed on disk."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

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
    index = {part: _canonical(raw, *span) for part, span in raw.spans.items()}
    for part, share in (("test", TEST_SHARE), ("validation", VALIDATION_SHARE)):
        if part not in index:
            away = choose(raw.labels[index["train"]], share, part)
            index["train"], index[part] = index["train"][~away], index["train"][away]
    index["train"] = index["train"][balanced_order(raw.labels[index["train"]])]
    order = np.concatenate([index[part] for part in PARTS])
    images, labels = raw.images[order], raw.labels[order]
    counts = tuple(len(index[part]) for part in PARTS)
    mean, std = channel_statistics(images[: counts[0]])
    return Packed(classes, images, labels, counts, mean, std, fingerprint(images, labels, counts))


def _canonical(raw: Raw, start: int, stop: int) -> np.ndarray:
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


def choose(labels: np.ndarray, share: float, part: str) -> np.ndarray:
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
        counts = np.zeros(256, dtype=np.int64)
        for start in range(0, len(images), 4096):
            block = images[start : start + 4096, :, :, channel]
            counts += np.bincount(block.reshape(-1), minlength=256)
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


def cached(root: Path, stem: str, key: str, make: Callable[[], Packed]) -> Packed:
    """Return the packed set from the cache, or ``make`` it and store it there.

    The cache is ``<root>/cache``, or the user's cache folder where that cannot be written; where
    neither can, nothing is stored. A damaged cache is packed again.
    """
    key = hashlib.sha256(f"{key}|{CACHE_VERSION}".encode()).hexdigest()[:12]
    folders = _cache_folders(root)
    for folder in folders:
        found = _read(folder / f"{stem}-{key}.npy")
        if found is not None:
            return found
    packed = make()
    for folder in folders:
        target = folder / f"{stem}-{key}.npy"
        if _write(target, packed):
            return _read(target) or packed
    return packed


def _cache_folders(root: Path) -> list[Path]:
    user = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser())
    own = [root / "cache"] if root.is_dir() else []
    return [*own, user / "squeeze_utils"]


def _read(path: Path) -> Packed | None:
    """The packed set at ``path``, memory-mapped, or None where it is missing or damaged."""
    try:
        meta = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        images = np.load(path, mmap_mode="c", allow_pickle=False)
        packed = Packed(
            classes=tuple(meta["classes"]),
            images=images,
            labels=np.asarray(meta["labels"], dtype=np.int64),
            counts=tuple(meta["counts"]),
            mean=tuple(meta["mean"]),
            std=tuple(meta["std"]),
            fingerprint=meta["fingerprint"],
        )
        whole = images.dtype == np.uint8 and len(images) == len(packed.labels)
        content = fingerprint(images, packed.labels, packed.counts)
        return packed if whole and content == packed.fingerprint else None
    except (OSError, EOFError, ValueError, KeyError, TypeError):
        return None


def _write(path: Path, packed: Packed) -> bool:
    """Write images, then the description that makes them valid; False where that is impossible."""
    meta = {
        "classes": packed.classes,
        "counts": packed.counts,
        "mean": packed.mean,
        "std": packed.std,
        "fingerprint": packed.fingerprint,
        "labels": packed.labels.tolist(),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, lambda file: np.save(file, packed.images, allow_pickle=False))
        _replace(path.with_suffix(".json"), lambda file: file.write(json.dumps(meta).encode()))
    except OSError:
        return False
    return True


def _replace(path: Path, write: Callable) -> None:
    """Write beside ``path``, then take its place at once: a reader sees all or nothing."""
    part = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.part")
    try:
        with open(part, "wb") as file:
            write(file)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
