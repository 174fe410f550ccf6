"""Original files of the named sets, downloads, and the packed cache."""

from __future__ import annotations

import hashlib
import os
import pickle
import socket
from pathlib import Path

import numpy as np
import pytest
import torch
from image_folders import image_keys, make_set, no_network_no_home, pixels, write_folder
from torchvision import datasets

from squeeze_utils.data import DataError, packing, sets, sources
from squeeze_utils.data.sets import load_images

__all__ = ["no_network_no_home"]  # a fixture that every test of this file uses

LABELS = np.arange(40) % 10


# --- original files ---------------------------------------------------------------------------


def write_idx(path: Path, array: np.ndarray) -> None:
    shape = np.asarray(array.shape, dtype=">i4").tobytes()
    path.write_bytes(bytes([0, 0, 8, array.ndim]) + shape + array.astype(np.uint8).tobytes())


def write_mnist(root: Path, folder: str = "MNIST") -> None:
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    for part, seed in (("train", 0), ("t10k", 1)):
        write_idx(raw / f"{part}-images-idx3-ubyte", pixels(40, 28, 1, seed).squeeze())
        write_idx(raw / f"{part}-labels-idx1-ubyte", LABELS)


def write_cifar(root: Path, monkeypatch) -> Path:
    """CIFAR-10's layout with 40 + 40 images, and torchvision told of their true checksums."""
    base = root / "cifar-10-batches-py"
    base.mkdir(parents=True)
    sums = {}
    for file, seed in (("data_batch_1", 0), ("test_batch", 1), ("batches.meta", None)):
        content = {"label_names": list(sources.CIFAR10)}
        if seed is not None:
            flat = pixels(40, 32, 3, seed).transpose(0, 3, 1, 2).reshape(40, -1)
            content = {"data": flat, "labels": LABELS.tolist()}
        (base / file).write_bytes(pickle.dumps(content))
        sums[file] = hashlib.md5((base / file).read_bytes()).hexdigest()
    cifar = datasets.CIFAR10
    monkeypatch.setattr(cifar, "train_list", [["data_batch_1", sums["data_batch_1"]]])
    monkeypatch.setattr(cifar, "test_list", [["test_batch", sums["test_batch"]]])
    monkeypatch.setattr(cifar, "meta", {**cifar.meta, "md5": sums["batches.meta"]})
    return base


def write_as_folders(root: Path, name: str, size: int, channels: int) -> None:
    for part, seed in (("train", 0), ("test", 1)):
        images = pixels(40, size, channels, seed)
        for k, label in enumerate(sources.KNOWN[name].classes):
            plain = label.replace("/", "_").lower()
            write_folder(root / name / part / plain, images[k == LABELS])


@pytest.mark.parametrize(
    ("name", "folder", "size", "channels"),
    [("mnist", "MNIST", 28, 1), ("fashion_mnist", "FashionMNIST", 28, 1), ("cifar10", "", 32, 3)],
)
def test_original_files_and_folders_give_the_same_set(
    tmp_path, monkeypatch, name, folder, size, channels
):
    """Same classes, same images in the same splits, same fingerprint, whatever the layout."""
    if name == "cifar10":
        write_cifar(tmp_path / "a", monkeypatch)
    else:
        write_mnist(tmp_path / "a", folder)
    write_as_folders(tmp_path / "b", name, size, channels)
    a, b = load_images(name, root=tmp_path / "a"), load_images(name, root=tmp_path / "b")
    assert a.classes == b.classes == sources.KNOWN[name].classes
    assert (a.size, a.channels, len(a.test)) == (size, channels, 40)
    assert a.fingerprint == b.fingerprint
    assert torch.equal(a.validation.images, b.validation.images)
    expected = {image.transpose(2, 0, 1).tobytes() for image in pixels(40, size, channels, 1)}
    assert set(image_keys(a.test)) == expected


def test_tampered_cifar_is_never_unpickled(tmp_path, monkeypatch):
    base = write_cifar(tmp_path, monkeypatch)
    with open(base / "data_batch_1", "ab") as file:
        file.write(b"x")

    def refuse(*args, **kwargs):
        raise AssertionError("a file that fails its checksum was unpickled")

    monkeypatch.setattr(pickle, "load", refuse)
    monkeypatch.setattr(pickle, "Unpickler", refuse)
    with pytest.raises(DataError, match=r"cifar-10-batches-py are incomplete or damaged"):
        load_images("cifar10", root=tmp_path)


def test_damaged_mnist_names_its_folder(tmp_path):
    write_mnist(tmp_path)
    victim = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    victim.write_bytes(victim.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"MNIST.raw are incomplete or damaged"):
        load_images("mnist", root=tmp_path)


def test_original_files_are_resized(tmp_path):
    write_mnist(tmp_path)
    assert load_images("mnist", 32, tmp_path).train.images.shape[1:] == (1, 32, 32)


# --- downloads --------------------------------------------------------------------------------


def test_download_on_request_has_a_timeout_that_is_restored(tmp_path, monkeypatch, capfd):
    seen = []

    def fake(self):
        seen.append(socket.getdefaulttimeout())
        write_mnist(tmp_path)

    monkeypatch.setattr(datasets.MNIST, "download", fake)
    before = socket.getdefaulttimeout()
    data = load_images("mnist", root=tmp_path, download=True)
    assert seen == [sources.TIMEOUT] and socket.getdefaulttimeout() == before
    assert len(data.test) == 40
    assert "12 MB" in capfd.readouterr().err


def test_failed_download_says_what_else_to_do(tmp_path, monkeypatch):
    def fake(self):
        raise TimeoutError("timed out")

    monkeypatch.setattr(datasets.CIFAR10, "download", fake)
    with pytest.raises(DataError, match=r"download of 170 MB failed .*timed out.*SQUEEZE_DATA"):
        load_images("cifar10", root=tmp_path, download=True)
    assert socket.getdefaulttimeout() is None


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


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty", "json", "no json"])
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
        "empty": lambda: path.write_bytes(b""),
        "json": lambda: path.with_suffix(".json").write_text('{"classes": ['),
        "no json": lambda: path.with_suffix(".json").unlink(),
    }[damage]()
    assert same(first, load_images("zoo", 8, root)) and len(decoded) == 1
    assert same(first, load_images("zoo", 8, root)) and len(decoded) == 1


def test_a_root_that_cannot_be_written_uses_the_users_cache_or_none(tmp_path, monkeypatch):
    folder = make_set(tmp_path)
    (tmp_path / "cache").write_text("in the way")
    first = load_images("zoo", 8, tmp_path)
    user = tmp_path / "home-cache" / "squeeze_utils"
    assert len(list(user.glob("zoo-8-3-*.npy"))) == 1
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert same(first, load_images("zoo", 8, tmp_path))
    assert same(first, load_images(folder, 8, tmp_path / "nowhere"))
    assert not (tmp_path / "nowhere").exists()


def test_an_interrupted_write_leaves_nothing_behind(tmp_path, monkeypatch):
    make_set(tmp_path)

    def full(*args, **kwargs):
        raise OSError("No space left on device")

    monkeypatch.setattr(packing.np, "save", full)
    assert len(load_images("zoo", 8, tmp_path).test) == 6
    assert list((tmp_path / "cache").iterdir()) == []
