"""Loading image sets: names, folders, limits, and what is refused."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest
import torch
from image_folders import CLASSES, image_keys, make_set, pixels, write_folder

from squeeze_utils.base import paths
from squeeze_utils.data import DataError, Split, by_hand, sets
from squeeze_utils.data.sets import find_root, is_here, load_images
from squeeze_utils.data.sources import NAMED_SETS


def test_digits_need_no_files_and_have_fixed_splits(tmp_path):
    data = load_images(root=tmp_path / "nowhere")
    assert not (tmp_path / "cache").exists()
    assert (data.name, data.channels, data.size, data.num_classes) == ("digits", 1, 32, 10)
    assert [len(data.train), len(data.validation), len(data.test)] == [1295, 143, 359]
    assert data.train.images.dtype == torch.uint8 and data.train.labels.dtype == torch.int64
    assert data.train.images.is_contiguous(memory_format=torch.channels_last)
    assert not (tmp_path / "nowhere").exists()


def test_digits_are_scaled_to_the_full_range_and_keep_their_pixels_at_size_8():
    from sklearn.datasets import load_digits

    data = load_images("digits", size=8)
    ours = {
        key for part in ("train", "validation", "test") for key in image_keys(getattr(data, part))
    }
    theirs = {np.rint(i * 255 / 16).astype(np.uint8).tobytes() for i in load_digits().images}
    assert ours == theirs and len(ours) == 1797
    assert data.train.images.max() == 255


def test_grey_can_be_loaded_as_three_equal_channels():
    images = load_images("digits", channels=3).train.images
    assert images.shape[1] == 3 and torch.equal(images[:, 0], images[:, 2])


def test_folder_layout_classes_labels_and_content(tmp_path):
    make_set(tmp_path)
    data = load_images("zoo", size=8, root=tmp_path)
    assert data.classes == CLASSES and data.name == "zoo"
    assert [len(data.train), len(data.validation), len(data.test)] == [27, 3, 6]
    for k in range(3):
        expected = {image.transpose(2, 0, 1).tobytes() for image in pixels(2, seed=10 + k)}
        chosen = data.test.labels == k
        assert (
            set(image_keys(Split(data.test.images[chosen], data.test.labels[chosen]))) == expected
        )


def test_path_default_size_and_own_validation_folder(tmp_path):
    folder = make_set(tmp_path / "elsewhere")
    write_folder(folder / "val" / "dog", pixels(4, seed=30))
    data = load_images(folder, root=tmp_path)
    assert data.size == 64
    assert [len(data.train), len(data.validation)] == [30, 4]
    assert set(data.validation.labels.tolist()) == {1}


def test_folder_without_test_is_cut(tmp_path):
    for k, label in enumerate(CLASSES):
        write_folder(tmp_path / "flat" / label, pixels(20, seed=k))
    data = load_images("flat", size=8, root=tmp_path)
    assert [len(data.train), len(data.validation), len(data.test)] == [42, 6, 12]
    assert torch.bincount(data.test.labels).tolist() == [4, 4, 4]


def test_the_data_card_states_the_counts_and_names_of_the_sets():
    card = (Path(__file__).parents[2] / "data" / "README.md").read_text(encoding="utf-8")
    data = load_images("digits")
    counts = f"{len(data.train):,} / {len(data.validation)} / {len(data.test)}"
    assert counts in card and f"{data.mean[0]:.4f}" in card and f"{data.std[0]:.4f}" in card
    for name, known in NAMED_SETS.items():
        assert f"### {name}" in card
        assert not known.megabytes or f"{known.megabytes} MB" in card


def test_root_is_argument_then_environment_then_repository(tmp_path, monkeypatch):
    monkeypatch.setenv("SQUEEZE_DATA", str(tmp_path / "env"))
    assert find_root(tmp_path) == tmp_path
    assert find_root() == tmp_path / "env"
    monkeypatch.delenv("SQUEEZE_DATA")
    assert find_root() == Path(sets.__file__).parents[2] / "data"


def test_unknown_name_lists_what_is_accepted(tmp_path):
    with pytest.raises(DataError, match="digits, mnist, fashion_mnist, cifar10") as raised:
        load_images("cifar_10", root=tmp_path)
    assert "digit_scenes, digit_masks, bccd, camvid" in str(raised.value)


@pytest.mark.parametrize("name", ["intel", "caltech101", "bccd", "camvid"])
def test_a_set_that_is_placed_by_hand_is_named_with_its_source(name, tmp_path):
    assert not is_here(name, tmp_path)
    with pytest.raises(DataError, match=f"{name} is not in ") as raised:
        load_images(name, root=tmp_path)
    assert by_hand.SOURCES[name][0] in str(raised.value) and "SQUEEZE_DATA" in str(raised.value)
    assert by_hand.SOURCES[name][0] in by_hand.how_to_get(name, tmp_path)
    with pytest.raises(ValueError, match=r"unknown image set 'digits'; accepted: intel"):
        by_hand.how_to_get("digits", tmp_path)


def test_what_is_here_needs_no_download(tmp_path):
    assert all(is_here(name, tmp_path) for name in ("digits", "digits_noisy", "digit_scenes"))
    assert not any(is_here(name, tmp_path) for name in ("cifar10", "mnist", "my_photos", ""))
    for folder in ("cifar10/train", "MNIST/raw", "my_photos"):
        (tmp_path / folder).mkdir(parents=True)
    assert all(is_here(name, tmp_path) for name in ("cifar10", "mnist", "my_photos"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 0}, "size"),
        ({"size": -3}, "size"),
        ({"size": 8.0}, "size"),
        ({"channels": 1.0}, "channels"),
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


def test_validation_images_can_be_trained_on_for_a_last_run():
    usual = load_images("digits", size=8)
    joined = load_images("digits", size=8, train_on_validation=True)
    count = len(usual.train) + len(usual.validation)
    assert len(joined.train) == count
    assert torch.equal(joined.train.images[len(usual.train) :], usual.validation.images)
    assert torch.equal(joined.test.images, usual.test.images) and joined.mean == usual.mean
    assert len(load_images("digits", train_limit=count, train_on_validation=True).train) == count


# --- CIFAR-10 and MNIST themselves, where they are present (see data/README.md) ----------------


@pytest.fixture
def cifar_folder() -> Path:
    folder = find_root() / "cifar10"
    if not (folder / "train").is_dir():
        pytest.skip("CIFAR-10 is not there as a folder of images")
    return folder


@pytest.mark.larger_set
def test_cifar10_packs_in_seconds_and_loads_in_less_than_one(cifar_folder, tmp_path, monkeypatch):
    """Goals on two quiet cores: 20 s and 1 s; twice that is allowed to a busy machine."""
    monkeypatch.setattr(paths, "cache", lambda: tmp_path / "cache")
    seconds = []
    for _ in range(2):
        start = time.perf_counter()
        data = load_images("cifar10")
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
