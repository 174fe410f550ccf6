"""Original files of the named sets, and their downloads."""

from __future__ import annotations

import hashlib
import pickle
import socket
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from image_folders import image_keys, pixels, write_folder
from torchvision import datasets

from squeeze_utils.base import downloads
from squeeze_utils.data import DataError, archives, sources
from squeeze_utils.data.sets import load_images

LABELS = np.arange(40) % 10


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
        for k, label in enumerate(sources.NAMED_SETS[name].classes):
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
    assert a.classes == b.classes == sources.NAMED_SETS[name].classes
    assert (a.size, a.channels, len(a.test)) == (size, channels, 40)
    assert a.fingerprint == b.fingerprint
    assert torch.equal(a.validation.images, b.validation.images)
    expected = {image.transpose(2, 0, 1).tobytes() for image in pixels(40, size, channels, 1)}
    assert set(image_keys(a.test)) == expected


def test_the_folder_of_a_known_set_given_as_a_path_has_the_order_of_any_folder(tmp_path):
    write_as_folders(tmp_path, "fashion_mnist", 28, 1)
    by_name = load_images("fashion_mnist", root=tmp_path)
    by_path = load_images(tmp_path / "fashion_mnist", 28, tmp_path, channels=1)
    assert by_name.classes[9] == "Ankle boot" and by_path.classes[0] == "ankle boot"
    assert image_keys(by_name.test)[0] == image_keys(by_path.test)[0]
    assert (
        by_name.classes[by_name.test.labels[0]].replace("/", "_").lower()
        == (by_path.classes[by_path.test.labels[0]])
    )


def test_tampered_cifar_is_never_unpickled(tmp_path, monkeypatch):
    base = write_cifar(tmp_path, monkeypatch)
    with open(base / "data_batch_1", "ab") as file:
        file.write(b"x")

    unpickled = []
    monkeypatch.setattr(pickle, "load", lambda *args, **kwargs: unpickled.append(args))
    monkeypatch.setattr(pickle, "Unpickler", lambda *args, **kwargs: unpickled.append(args))
    with pytest.raises(DataError, match=r"cifar-10-batches-py are incomplete or damaged"):
        load_images("cifar10", root=tmp_path)
    assert unpickled == []


def test_damaged_mnist_names_its_folder(tmp_path):
    write_mnist(tmp_path)
    victim = tmp_path / "MNIST" / "raw" / "train-images-idx3-ubyte"
    victim.write_bytes(victim.read_bytes()[:1000])
    with pytest.raises(DataError, match=r"MNIST.raw are incomplete or damaged"):
        load_images("mnist", root=tmp_path)


def test_original_files_are_resized(tmp_path):
    write_mnist(tmp_path)
    assert load_images("mnist", 32, tmp_path).train.images.shape[1:] == (1, 32, 32)


def test_missing_set_tells_every_way_to_get_it_and_never_downloads(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a download was tried")

    monkeypatch.setattr("torchvision.datasets.utils.download_url", refuse)
    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)
    with pytest.raises(DataError) as error:
        load_images("cifar10", root=tmp_path)
    for part in ("SQUEEZE_DATA", "CLASS", "cifar-10-batches-py", "download=True", "170 MB"):
        assert part in str(error.value)


# --- downloads --------------------------------------------------------------------------------


def test_download_on_request_has_a_timeout_that_is_restored(tmp_path, monkeypatch, capfd):
    seen = []

    def fake(self):
        seen.append(socket.getdefaulttimeout())
        write_mnist(tmp_path)

    monkeypatch.setattr(datasets.MNIST, "download", fake)
    before = socket.getdefaulttimeout()
    data = load_images("mnist", root=tmp_path, download=True)
    assert seen == [downloads.TIMEOUT] and socket.getdefaulttimeout() == before
    assert len(data.test) == 40
    assert "12 MB" in capfd.readouterr().err


def test_the_archive_is_fetched_and_unpacked_once(tmp_path, monkeypatch):
    base = write_cifar(tmp_path / "made", monkeypatch)
    packed = tmp_path / "packed.tar.gz"
    with tarfile.open(packed, "w:gz") as file:
        file.add(base, base.name)
    md5 = hashlib.md5(packed.read_bytes()).hexdigest()
    monkeypatch.setattr(datasets.CIFAR10, "tgz_md5", md5)
    found = archives.Archive(archives.CIFAR10.name, md5, [(packed.as_uri(), None)])
    known = replace(sources.NAMED_SETS["cifar10"], archive=found)
    known.download(tmp_path / "root")
    assert known.original_files(tmp_path / "root") == tmp_path / "root"
    assert len(known.read(tmp_path / "root", 32, 3).labels) == 80
    (tmp_path / "root" / found.name).unlink()
    packed.unlink()
    known.download(tmp_path / "root")  # the unpacked files are whole
    (tmp_path / "root" / base.name / "test_batch").write_bytes(b"x")
    with pytest.raises(DataError, match=r"download of 170 MB failed .*packed.tar.gz"):
        known.download(tmp_path / "root")


def test_failed_download_says_what_else_to_do(tmp_path, monkeypatch):
    def fake(self, folder):
        raise TimeoutError("timed out")

    monkeypatch.setattr(archives.Archive, "fetch", fake)
    with pytest.raises(DataError, match=r"download of 170 MB failed .*timed out.*SQUEEZE_DATA"):
        load_images("cifar10", root=tmp_path, download=True)
    assert socket.getdefaulttimeout() is None
