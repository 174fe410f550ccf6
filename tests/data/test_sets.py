"""Loading image sets: splits, limits, folders of images."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from image_folders import CLASSES, image_keys, make_set, no_network_no_home, pixels, write_folder
from PIL import Image

from squeeze_utils.data import Split, image_files, packing
from squeeze_utils.data.sets import load_images
from squeeze_utils.data.sources import KNOWN

__all__ = ["no_network_no_home"]  # a fixture that every test of this file uses

# --- digits, splits, limits -------------------------------------------------------------------


def test_digits_need_no_files_and_have_fixed_splits(tmp_path):
    data = load_images(root=tmp_path / "nowhere")
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


def test_splits_do_not_overlap_and_are_the_same_each_time():
    first, again = load_images("digits"), load_images("digits", train_limit=50)
    parts = [set(image_keys(getattr(first, p))) for p in ("train", "validation", "test")]
    assert len(set.union(*parts)) == sum(map(len, parts)) == 1797
    assert torch.equal(first.test.images, again.test.images)
    assert torch.equal(first.train.images[:50], again.train.images)
    assert (first.fingerprint, first.mean) == (again.fingerprint, again.mean)


def test_the_split_of_a_known_list_of_labels_never_changes():
    """Frozen: another NumPy must cut the same images, or old records would mean other data."""
    labels = np.arange(40) % 2
    assert np.flatnonzero(packing.choose(labels, 0.1, "test")).tolist() == [11, 16, 19, 20]
    assert packing.balanced_order(labels)[:6].tolist() == [20, 19, 16, 11, 36, 29]


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


def test_grey_can_be_loaded_as_three_equal_channels():
    images = load_images("digits", channels=3).train.images
    assert images.shape[1] == 3 and torch.equal(images[:, 0], images[:, 2])


def test_moving_a_set_keeps_layout():
    moved = load_images("digits").to("cpu")
    assert moved.train.images.is_contiguous(memory_format=torch.channels_last)


# --- folders ----------------------------------------------------------------------------------


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


@pytest.mark.parametrize("suffix", [".webp", ".png", ".bmp"])
def test_formats_decode_alike(tmp_path, suffix):
    write_folder(tmp_path / "a", pixels(2), suffix)
    files = sorted(str(p) for p in (tmp_path / "a").iterdir())
    assert np.array_equal(image_files.decode_files(files, 8, 3, ""), pixels(2))


def test_jpeg_is_read_and_hidden_or_other_files_are_ignored(tmp_path):
    folder = make_set(tmp_path)
    (folder / "train" / "cat" / ".hidden.png").write_text("no image")
    (folder / "train" / "cat" / "notes.txt").write_text("no image")
    (folder / "train" / ".ipynb_checkpoints").mkdir()
    Image.new("RGB", (8, 8), (200, 0, 0)).save(folder / "train" / "cat" / "red.jpg")
    assert len(load_images("zoo", 8, tmp_path).train) == 28


def test_wide_image_is_cropped_to_its_centre(tmp_path):
    wide = np.zeros((4, 12, 3), np.uint8)
    wide[:, 4:8] = 255
    Image.fromarray(wide).save(tmp_path / "wide.png")
    assert (image_files.decode_file(str(tmp_path / "wide.png"), 4, 3) == 255).all()


def test_transparency_is_shown_on_white_and_grey_jpeg_noise_is_tolerated():
    clear = Image.new("RGBA", (4, 4), (0, 0, 0, 0))
    assert (image_files.to_array(clear, 4, 3) == 255).all()
    almost_grey = Image.new("RGB", (4, 4), (100, 101, 99))
    assert image_files.to_array(almost_grey, 4, 1).shape == (4, 4, 1)


def test_threads_do_not_change_the_result(tmp_path, monkeypatch):
    folder = make_set(tmp_path, per_class=200)
    results = []
    for threads in (1, 8):
        monkeypatch.setattr(image_files, "_threads", lambda threads=threads: threads)
        listing = image_files.list_folder(folder)
        results.append(image_files.decode_files(listing.paths, 6, 3, ""))
    assert len(results[0]) == 606 and np.array_equal(*results)


def test_the_data_card_states_the_counts_and_names_of_the_sets():
    card = (Path(__file__).parents[2] / "data" / "README.md").read_text(encoding="utf-8")
    data = load_images("digits")
    counts = f"{len(data.train):,} / {len(data.validation)} / {len(data.test)}"
    assert counts in card and f"{data.mean[0]:.4f}" in card and f"{data.std[0]:.4f}" in card
    for name, known in KNOWN.items():
        assert f"### {name}" in card
        assert not known.megabytes or f"{known.megabytes} MB" in card
