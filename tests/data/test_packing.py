"""Fixed splits, statistics, and the cache of packed sets."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from image_folders import CLASSES, image_keys, make_set, pixels, write_folder

from squeeze_utils.data import DataError, packing, sets
from squeeze_utils.data.sets import load_images


def test_the_split_of_a_known_list_of_labels_never_changes():
    """Frozen: another NumPy must cut the same images, or old records would mean other data."""
    labels = np.arange(40) % 2
    assert np.flatnonzero(packing.split_mask(labels, 0.1, "test")).tolist() == [11, 16, 19, 20]
    assert packing.balanced_order(labels)[:6].tolist() == [20, 19, 16, 11, 36, 29]


def test_splits_do_not_overlap_and_are_the_same_each_time():
    first, again = load_images("digits"), load_images("digits", train_limit=50)
    parts = [set(image_keys(getattr(first, p))) for p in ("train", "validation", "test")]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 1797
    assert torch.equal(first.test.images, again.test.images)
    assert torch.equal(first.train.images[:50], again.train.images)
    assert (first.fingerprint, first.mean) == (again.fingerprint, again.mean)


@pytest.mark.parametrize("limit", [10, 37, 100])
def test_train_limit_keeps_classes_even(limit):
    counts = torch.bincount(load_images("digits", train_limit=limit).train.labels, minlength=10)
    assert counts.sum() == limit and counts.max() - counts.min() <= 1


def test_statistics_are_those_of_the_training_split():
    data = load_images("digits")
    values = data.train.images.double() / 255
    assert data.mean[0] == pytest.approx(values.mean().item(), abs=1e-12)
    assert data.std[0] == pytest.approx(values.std(correction=0).item(), abs=1e-12)


def test_constant_images_get_a_usable_std():
    assert packing.channel_statistics(np.full((2, 4, 4, 1), 51, np.uint8)) == ((0.2,), (1.0,))


def test_too_few_images(tmp_path):
    for k, label in enumerate(CLASSES):
        write_folder(tmp_path / "tiny" / label, pixels(1, seed=k))
    with pytest.raises(DataError, match="too few images"):
        load_images("tiny", root=tmp_path)


# --- the cache --------------------------------------------------------------------------------


def cache_files(root: Path) -> list[Path]:
    return sorted((root / "cache").glob("*.npy"))


@pytest.fixture
def packed_once(tmp_path, monkeypatch):
    """A loaded set; ``decoded`` counts how often files are decoded from now on."""
    make_set(tmp_path)
    first = load_images("zoo", 8, tmp_path)
    decoded = []
    original = sets.decode_files

    def count(*args):
        decoded.append(args)
        return original(*args)

    monkeypatch.setattr(sets, "decode_files", count)
    return tmp_path, first, decoded


def same(a, b) -> bool:
    return a.fingerprint == b.fingerprint and torch.equal(a.train.images, b.train.images)


def test_second_load_is_memory_mapped_and_decodes_nothing(packed_once):
    root, first, decoded = packed_once
    again = load_images("zoo", 8, root)
    assert same(first, again) and decoded == []
    assert again.mean == first.mean and again.classes == first.classes
    assert [p.suffix for p in sorted((root / "cache").iterdir())] == [".json", ".npy"]


def test_writing_into_a_loaded_set_does_not_change_the_cache(packed_once):
    root, first, _ = packed_once
    load_images("zoo", 8, root).train.images.zero_()
    assert same(first, load_images("zoo", 8, root))


def test_a_changed_folder_and_another_size_are_packed_anew(packed_once):
    root, first, decoded = packed_once
    os.utime(root / "zoo" / "train" / "cat" / "000.png", (1, 1))
    assert same(first, load_images("zoo", 8, root)) and len(decoded) == 1
    write_folder(root / "more", pixels(1, seed=99))
    (root / "more" / "000.png").rename(root / "zoo" / "test" / "cat" / "new.png")
    assert len(load_images("zoo", 8, root).test) == 7 and len(decoded) == 2
    assert load_images("zoo", 4, root).size == 4 and len(decoded) == 3


@pytest.mark.parametrize("damage", ["truncated", "flipped", "header", "empty", "json", "no json"])
def test_a_damaged_cache_is_packed_again(packed_once, damage):
    root, first, decoded = packed_once
    path = cache_files(root)[0]
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    if "json" not in damage:
        path.unlink()  # the first set still maps this file: put another one in its place
    {
        "truncated": lambda: path.write_bytes(content[:-100]),
        "flipped": lambda: path.write_bytes(content),
        "header": lambda: path.write_bytes(bytes(content).replace(b"}", b" ", 1)),
        "empty": lambda: path.write_bytes(b""),
        "json": lambda: path.with_suffix(".json").write_text('{"classes": ['),
        "no json": lambda: path.with_suffix(".json").unlink(),
    }[damage]()
    assert same(first, load_images("zoo", 8, root)) and len(decoded) == 1
    assert same(first, load_images("zoo", 8, root)) and len(decoded) == 1


def test_where_the_cache_cannot_be_written_nothing_is_stored(tmp_path):
    folder = make_set(tmp_path)
    (tmp_path / "cache").write_text("in the way")
    first = load_images("zoo", 8, tmp_path)
    assert same(first, load_images(folder, 8, tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()
    assert (tmp_path / "cache").read_text() == "in the way"


def test_an_interrupted_write_leaves_nothing_behind(tmp_path, monkeypatch):
    make_set(tmp_path)

    def full(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(packing.np, "save", full)
    assert len(load_images("zoo", 8, tmp_path).test) == 6
    assert list((tmp_path / "cache").iterdir()) == []
