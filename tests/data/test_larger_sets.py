"""The data room on CIFAR-10 and MNIST themselves, where they are present (see data/README.md)."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import torch
from image_folders import image_keys, no_network_no_home

from squeeze_utils.data import DataError, find_root
from squeeze_utils.data.sets import load_images

__all__ = ["no_network_no_home"]  # a fixture that every test of this file uses


@pytest.fixture
def cifar_folder() -> Path:
    folder = find_root() / "cifar10"
    if not (folder / "train").is_dir():
        pytest.skip("CIFAR-10 is not there as a folder of images")
    return folder


@pytest.mark.larger_set
def test_cifar10_packs_in_seconds_and_loads_in_less_than_one(cifar_folder, tmp_path):
    """Goals on two quiet cores: 20 s and 1 s; twice that is allowed to a busy machine."""
    (tmp_path / "cifar10").symlink_to(cifar_folder.resolve())
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        data = load_images("cifar10", root=tmp_path)
        seconds.append(time.perf_counter() - start)
    assert seconds[0] < 40 and seconds[1] < 2, seconds
    assert [len(data.train), len(data.validation), len(data.test)] == [45000, 5000, 10000]
    assert torch.bincount(data.train.labels).tolist() == [4500] * 10
    assert torch.bincount(data.validation.labels).tolist() == [500] * 10
    assert data.fingerprint == "25288a3c4d369d3f"


@pytest.mark.larger_set
def test_cifar10_has_no_exact_duplicate_across_splits(cifar_folder):
    data = load_images("cifar10")
    keys = [set(image_keys(getattr(data, part))) for part in ("train", "validation", "test")]
    assert len(set.union(*keys)) == 60000


@pytest.mark.larger_set
def test_mnist_is_the_set_that_the_data_card_describes():
    try:
        data = load_images("mnist")
    except DataError as error:
        pytest.skip(str(error))
    assert [len(data.train), len(data.validation), len(data.test)] == [54001, 5999, 10000]
    assert data.fingerprint == "75d6ae76ec1af2d4"
    assert data.mean[0] == pytest.approx(0.1306, abs=1e-4)
