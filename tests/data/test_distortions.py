"""Rotation, colour and sharpness on images small enough to compute by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance

from squeeze_utils.data import Augment, Batches, Split
from squeeze_utils.data.distortions import recoloured, rotated, sharpened

RAW = {"mean": (0.0,) * 3, "std": (1 / 255,) * 3}  # leaves the pixel values as they are


def pictures(n: int = 4, channels: int = 3, size: int = 5) -> torch.Tensor:
    values = np.random.default_rng(0).integers(0, 256, (n, size, size, channels))
    return torch.from_numpy(values).float()


def test_quarter_turns_are_exact():
    images = pictures(5)
    turned = rotated(images, torch.tensor([0.0, 90.0, 180.0, -90.0, 360.0]))
    for image, result, quarters in zip(images, turned, (0, 1, 2, 3, 0), strict=True):
        torch.testing.assert_close(result, torch.rot90(image, quarters), rtol=0, atol=0.01)
    assert turned.is_contiguous() and turned.shape == images.shape
    even = pictures(1, 1, 4)
    found = rotated(even, torch.tensor([90.0]))[0]
    torch.testing.assert_close(found, torch.rot90(even[0]), rtol=0, atol=0.01)


def test_an_eighth_of_a_turn_is_bilinear_and_reflects():
    image = torch.tensor([[1.0, 2, 3], [4, 5, 6], [7, 8, 9]]).view(1, 3, 3, 1) * 10
    found = rotated(image, torch.tensor([45.0])).view(3, 3)
    h = 0.5**0.5  # the middle of the right edge reads h to the right of the centre and h below
    near, far = 1 - h, h
    right = near * near * 50 + near * far * (60 + 80) + far * far * 90
    corner = 50 + (2 - 2 * h) * (80 - 50)  # 2 h below the centre: outside, reflected to 2 - 2 h
    assert found[1, 1] == pytest.approx(50)
    assert found[1, 2] == pytest.approx(right, abs=1e-3)
    assert found[2, 2] == pytest.approx(corner, abs=1e-3)


def enhanced(image: torch.Tensor, kind: str, factor: float) -> torch.Tensor:
    """The same by Pillow, which rounds."""
    picture = Image.fromarray(image.to(torch.uint8).numpy())
    return torch.from_numpy(np.array(getattr(ImageEnhance, kind)(picture).enhance(factor))).float()


@pytest.mark.parametrize("factor", [0.4, 1.0, 1.7])
@pytest.mark.parametrize("place", [0, 1, 2])
def test_each_of_brightness_contrast_and_saturation_is_pillows(place, factor):
    images = pictures(3, size=8)
    factors = [torch.ones(3) for _ in range(3)]
    factors[place][1] = factor
    found = recoloured(images, *factors)
    kind = ("Brightness", "Contrast", "Color")[place]
    torch.testing.assert_close(found[1], enhanced(images[1], kind, factor), rtol=0, atol=2.1)
    torch.testing.assert_close(found[[0, 2]], images[[0, 2]], rtol=0, atol=1e-3)


def test_the_three_together_are_one_after_the_other():
    image = torch.tensor([[40.0, 80.0, 120.0], [100.0, 60.0, 20.0]]).view(1, 2, 1, 3)
    grey = torch.tensor([0.299, 0.587, 0.114])
    b, c, s = 0.9, 0.8, 1.2
    x = b * image
    mean = (x @ grey).mean()
    x = mean + c * (x - mean)
    shade = (x @ grey)[..., None]
    expected = shade + s * (x - shade)
    found = recoloured(image, *(torch.tensor([f]) for f in (b, c, s)))
    torch.testing.assert_close(found, expected)


def test_a_grey_image_has_no_saturation_and_values_are_cut():
    image = torch.tensor([100.0, 200.0]).view(1, 1, 2, 1)
    one, two = torch.tensor([1.0]), torch.tensor([2.0])
    assert recoloured(image, one, one, two).flatten().tolist() == pytest.approx([100, 200])
    assert recoloured(image, one, two, one).flatten().tolist() == pytest.approx([50, 250])
    assert recoloured(image, two, one, one).flatten().tolist() == pytest.approx([200, 255])


def test_sharpening_on_a_toy_image_and_as_pillow_does():
    image = torch.zeros(1, 3, 3, 1)
    image[0, 1, 1] = 130.0  # smoothed: 5/13 of it, 50
    assert sharpened(image, torch.tensor([1.5]))[0, 1, 1] == pytest.approx(170)
    assert sharpened(image, torch.tensor([3.0]))[0, 1, 1] == 255
    assert torch.equal(sharpened(image, torch.ones(1)), image)
    images = pictures(2, size=8)
    found = sharpened(images, torch.tensor([1.0, 1.6]))
    assert torch.equal(found[0], images[0])
    torch.testing.assert_close(found[1], enhanced(images[1], "Sharpness", 1.6), rtol=0, atol=1.1)
    tiny = torch.rand(1, 2, 2, 3)
    assert torch.equal(sharpened(tiny, torch.tensor([2.0])), tiny)


def batches(augment: Augment, seed: int = 0, n: int = 40) -> Batches:
    images = pictures(1, size=8).to(torch.uint8).permute(0, 3, 1, 2).repeat(n, 1, 1, 1)
    generator = torch.Generator().manual_seed(seed)
    return Batches(Split(images, torch.arange(n)), 16, generator=generator, augment=augment, **RAW)


@pytest.mark.parametrize("option", [{"rotation": 15}, {"colour": 0.2}, {"sharpness": 1.2}])
def test_every_image_gets_numbers_of_its_own_and_a_seed_repeats_them(option):
    made = batches(Augment(**option))
    before = made.split.images.clone()
    first, second = (torch.cat([x for x, _ in made]) for _ in range(2))
    assert len({image.numpy().tobytes() for image in first}) == 40
    assert not torch.equal(first, second) and torch.equal(made.split.images, before)
    assert torch.equal(first, torch.cat([x for x, _ in batches(Augment(**option))]))
    assert next(iter(made))[0].is_contiguous(memory_format=torch.channels_last)
    assert first.min() >= 0 and first.max() <= 255.01


def test_draws_lie_in_their_ranges_and_come_after_the_others():
    options = {"shift": 1, "flip": True, "cutout": 2}
    drawn = batches(Augment(**options, rotation=15, colour=0.2, sharpness=1.2), n=500)._draw()
    for name, low, high in (
        ("degrees", -15, 15),
        ("brightness", 0.8, 1.2),
        ("contrast", 0.8, 1.2),
        ("saturation", 0.8, 1.2),
        ("sharpness", 1, 2.2),
    ):
        spread = high - low
        assert low <= drawn[name].min() < low + 0.05 * spread
        assert high - 0.05 * spread < drawn[name].max() <= high
    plain = batches(Augment(**options), n=500)._draw()
    assert all(torch.equal(drawn[name], plain[name]) for name in plain)


def test_a_batch_is_its_parts_in_order():
    augment = Augment(rotation=30, colour=0.3, sharpness=1.0)
    made, again = batches(augment), batches(augment)
    d = again._draw()
    x = again._pixels[d["index"]].float()
    x = recoloured(rotated(x, d["degrees"]), d["brightness"], d["contrast"], d["saturation"])
    x = sharpened(x, d["sharpness"]).permute(0, 3, 1, 2)
    torch.testing.assert_close(torch.cat([part for part, _ in made]), x, rtol=1e-5, atol=1e-3)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_distortions_of_the_cpu():
    images, degrees = pictures(), torch.tensor([0.0, 10.0, 45.0, -90.0])
    torch.testing.assert_close(
        rotated(images, degrees), rotated(images.cuda(), degrees.cuda()).cpu(), rtol=0, atol=0.01
    )
