"""Folders of image files: listed, decoded, and refused with the name of what is wrong."""

from __future__ import annotations

import os
import shutil
import time

import numpy as np
import pytest
from image_folders import make_set, pixels, write_folder
from PIL import Image

from squeeze_utils.data import DataError, image_files
from squeeze_utils.data.sets import load_images


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


def test_classes_one_level_down_are_found_where_torchvision_unpacks_them(tmp_path):
    for name in ("001.ak47", "002.flag"):
        write_folder(tmp_path / "caltech256" / "256_ObjectCategories" / name, pixels(12), ".png")
    found = load_images("caltech256", 8, tmp_path)
    assert found.name == "caltech256" and found.classes == ("001.ak47", "002.flag")


def test_one_class_folder_is_no_level_more(tmp_path):
    write_folder(tmp_path / "zoo" / "cat", pixels(12), ".png")
    (tmp_path / "zoo" / "cat" / "thumbnails").mkdir()
    assert load_images("zoo", 8, tmp_path).classes == ("cat",)
    with pytest.raises(DataError, match="missing folder"):
        write_folder(tmp_path / "torn" / "test" / "cat", pixels(2), ".png")
        load_images("torn", 8, tmp_path)


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


def test_two_folders_with_files_of_equal_names_sizes_and_times_have_keys_of_their_own(tmp_path):
    keys = []
    for place in ("a", "b"):
        folder = make_set(tmp_path / place)
        for file in folder.rglob("*.*"):
            os.utime(file, (1, 1))
        keys += [image_files.list_folder(folder).key, image_files.list_folder(folder).key]
    assert keys[0] == keys[1] != keys[2] == keys[3]


def test_a_failure_ends_the_rest(monkeypatch):
    tried = []

    def broken(path, size, channels):
        tried.append(path)
        time.sleep(0.005)
        raise DataError(f"unreadable image: {path}")

    monkeypatch.setattr(image_files, "decode_file", broken)
    with pytest.raises(DataError, match=r"unreadable image: 0\.png"):
        image_files.decode_files([f"{i}.png" for i in range(256 * 400)], 1, 1, "")
    assert len(tried) < 200  # of 400 blocks, each of which ends with its first image


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
