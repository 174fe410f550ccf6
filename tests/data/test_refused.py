"""What the data room refuses, and that it says what was wrong and what is accepted."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from image_folders import CLASSES, make_set, no_network_no_home, pixels, write_folder
from PIL import Image

from squeeze_utils.data import DataError, Split, find_root, sets
from squeeze_utils.data.sets import load_images

__all__ = ["no_network_no_home"]  # a fixture that every test of this file uses


def test_unknown_name_lists_what_is_accepted(tmp_path):
    with pytest.raises(DataError, match="digits, mnist, fashion_mnist, cifar10"):
        load_images("cifar_10", root=tmp_path)


def test_missing_set_tells_every_way_to_get_it_and_never_downloads(tmp_path, monkeypatch):
    def refuse(*args, **kwargs):
        raise AssertionError("a download was tried")

    monkeypatch.setattr("torchvision.datasets.utils.download_url", refuse)
    monkeypatch.setattr("torchvision.datasets.cifar.download_and_extract_archive", refuse)
    with pytest.raises(DataError) as error:
        load_images("cifar10", root=tmp_path)
    for part in ("SQUEEZE_DATA", "CLASS", "cifar-10-batches-py", "download=True", "170 MB"):
        assert part in str(error.value)


def test_empty_class(tmp_path):
    (make_set(tmp_path) / "train" / "fox").mkdir()
    with pytest.raises(DataError, match=r"empty class: .*fox"):
        load_images("zoo", root=tmp_path)


def test_test_classes_not_in_train(tmp_path):
    write_folder(make_set(tmp_path) / "test" / "gnu", pixels(1))
    with pytest.raises(DataError, match=r"test has classes that train does not have: gnu"):
        load_images("zoo", root=tmp_path)


def test_missing_train_folder_and_folder_without_classes(tmp_path):
    folder = make_set(tmp_path)
    shutil.rmtree(folder / "train")
    with pytest.raises(DataError, match="missing folder"):
        load_images("zoo", root=tmp_path)
    (tmp_path / "void").mkdir()
    with pytest.raises(DataError, match="no class folders"):
        load_images("void", root=tmp_path)


@pytest.mark.parametrize("damage", ["text", "truncated"])
def test_unreadable_image_is_named(tmp_path, damage):
    victim = make_set(tmp_path) / "train" / "dog" / "003.png"
    victim.write_bytes(b"no image" if damage == "text" else victim.read_bytes()[:60])
    with pytest.raises(DataError, match=r"unreadable image: .*dog.*003\.png"):
        load_images("zoo", root=tmp_path)


def test_coloured_image_in_a_grey_set_is_named(tmp_path):
    make_set(tmp_path, channels=1)
    assert load_images("zoo", 8, tmp_path, channels=1).channels == 1
    Image.new("RGB", (8, 8), (255, 0, 0)).save(tmp_path / "zoo" / "train" / "eel" / "red.png")
    with pytest.raises(DataError, match=r"red\.png: is coloured"):
        load_images("zoo", 8, tmp_path, channels=1)


def test_sixteen_bit_image_is_refused_not_clipped(tmp_path):
    path = make_set(tmp_path) / "train" / "cat" / "deep.png"
    Image.fromarray(np.full((8, 8), 40000, np.uint16)).save(path)
    with pytest.raises(DataError, match=r"deep\.png: .*8-bit"):
        load_images("zoo", root=tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size"),
        ({"size": -3}, "size"),
        ({"size": 8.0}, "size"),
        ({"size": True}, "size"),
        ({"channels": 2}, "channels must be 1"),
        ({"train_limit": 0}, "1 to 1295"),
        ({"train_limit": 1296}, "1 to 1295"),
        ({"name": "cifar10", "channels": 1}, "cifar10 is coloured"),
        ({"name": ""}, "unknown image set"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(DataError, match=message):
        load_images(**options)


def test_too_few_images(tmp_path):
    for k, label in enumerate(CLASSES):
        write_folder(tmp_path / "tiny" / label, pixels(1, seed=k))
    with pytest.raises(DataError, match="too few images"):
        load_images("tiny", root=tmp_path)


def test_split_checks_itself():
    with pytest.raises(DataError, match="uint8"):
        Split(torch.zeros(2, 1, 4, 4), torch.zeros(2, dtype=torch.int64))
    with pytest.raises(DataError, match="labels"):
        Split(torch.zeros(2, 1, 4, 4, dtype=torch.uint8), torch.zeros(3, dtype=torch.int64))


def test_root_is_argument_then_environment_then_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("SQUEEZE_DATA", str(tmp_path / "env"))
    assert find_root(tmp_path) == tmp_path
    assert find_root() == tmp_path / "env"
    monkeypatch.delenv("SQUEEZE_DATA")
    assert find_root() == Path(sets.__file__).parents[2] / "data"
