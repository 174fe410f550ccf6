"""Copies across splits are found, whatever was done to them; other pictures are not."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import tiny_set

from squeeze_utils.data import Split
from squeeze_utils.data.copies import find_copies, perceptual_hash, small_versions, without_copies
from squeeze_utils.data.sets import load_images
from squeeze_utils.experiments.experiment import DataSpec

SIZE = 64


def scenes(count: int, seed: int) -> np.ndarray:
    """Smooth random pictures, uint8 (count, SIZE, SIZE, 3)."""
    rng = np.random.default_rng(seed)
    small = rng.integers(0, 256, (count, 6, 6, 3), dtype=np.uint8)
    resized = [Image.fromarray(p).resize((SIZE, SIZE), Image.Resampling.BICUBIC) for p in small]
    return np.stack([np.asarray(p) for p in resized])


def split(images: np.ndarray) -> Split:
    pixels = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)
    return Split(pixels, torch.zeros(len(images), dtype=torch.int64))


def recompressed(image: np.ndarray) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=25)
    return np.asarray(Image.open(file))


def resized(image: np.ndarray) -> np.ndarray:
    there = Image.fromarray(image).resize((40, 40), Image.Resampling.BILINEAR)
    return np.asarray(there.resize((SIZE, SIZE), Image.Resampling.BILINEAR))


CHANGES = {
    "exact": lambda image: image,
    "resized": resized,
    "recompressed": recompressed,
    "mirrored": lambda image: image[:, ::-1],
    "darker": lambda image: (image * 0.8).astype(np.uint8),
    "mirrored and recompressed": lambda image: recompressed(image[:, ::-1]),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_planted_copy_is_found_and_nothing_else(change):
    first, second = scenes(60, 0), scenes(40, 1)
    second[7] = CHANGES[change](first[11])
    (copy,) = find_copies(split(first), split(second))
    assert (copy.first, copy.second) == (11, 7)
    assert copy.mirrored == change.startswith("mirrored") and copy.correlation > 0.97


def test_a_hash_does_not_see_brightness_and_contrast():
    small = small_versions(split(scenes(5, 2)).images)
    assert (perceptual_hash(small) == perceptual_hash(0.5 * small + 30)).mean() > 0.99


def test_images_without_structure_have_no_copies():
    flat = np.full((3, SIZE, SIZE, 3), 90, dtype=np.uint8)
    assert find_copies(split(flat), split(flat)) == []


def test_copies_of_test_images_are_left_out_and_the_test_split_stays_whole():
    images = tiny_set(counts=(20, 10, 10))
    train, test = split(scenes(20, 3)), split(scenes(10, 4))
    train.images[[2, 5]] = test.images[[0, 9]]
    left = without_copies(replace(images, train=train, test=test))
    assert len(left.train) == 18 and len(left.test) == 10
    assert torch.equal(left.train.images[2], train.images[3])


def test_the_option_is_a_part_of_the_key_only_where_it_is_used():
    assert "copies" not in DataSpec().as_dict()
    spec = DataSpec("digits", 8, copies=False)
    assert DataSpec(**spec.as_dict()) == spec
    assert len(spec.load().train) < len(DataSpec("digits", 8).load().train)


def test_digits_come_in_four_styles_with_the_same_splits():
    plain, *others = (
        load_images(name, 16)
        for name in ("digits", "digits_inverted", "digits_noisy", "digits_thickened")
    )
    inverted, noisy, thick = others
    for other in others:
        assert other.num_classes == 10 and other.fingerprint != plain.fingerprint
    assert inverted.mean[0] == pytest.approx(1 - plain.mean[0], abs=0.01)
    assert thick.mean[0] > plain.mean[0] and noisy.std[0] > 0.25
    assert load_images("digits_noisy", 16).fingerprint == noisy.fingerprint
