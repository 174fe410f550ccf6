"""Batches: order, normalisation, and every augmentation against a plain computation."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch

from squeeze_utils.data import Augment, Batches, DataError, Split, normalise
from squeeze_utils.data.sets import load_images

RAW = {"mean": (0.0,), "std": (1 / 255,)}  # leaves the pixel values as they are


def split(n: int = 10, channels: int = 1, size: int = 4) -> Split:
    shape = (n, channels, size, size)
    images = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return Split(torch.from_numpy(images), torch.arange(n))


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_without_a_generator_the_order_is_kept():
    data = split()
    x, y = (torch.cat(part) for part in zip(*Batches(data, 4, **RAW), strict=True))
    assert torch.equal(y, data.labels) and torch.allclose(x, data.images.float(), atol=1e-4)


def test_shapes_layout_and_lengths():
    batches = Batches(split(10, 3), 4, mean=(0.1, 0.2, 0.3), std=(1.0, 1.0, 1.0))
    assert len(batches) == 3 and [len(y) for _, y in batches] == [4, 4, 2]
    x, y = next(iter(batches))
    assert x.dtype == torch.float32 and y.dtype == torch.int64 and x.shape == (4, 3, 4, 4)
    assert x.is_contiguous(memory_format=torch.channels_last)
    dropped = Batches(split(10), 4, drop_last=True, **RAW)
    assert len(dropped) == 2 and [len(y) for _, y in dropped] == [4, 4]


def test_normalise_is_the_formula():
    images, mean, std = split(5, 3).images, (0.5, 0.4, 0.3), (0.2, 0.25, 0.3)
    m, s = (torch.tensor(v).view(1, 3, 1, 1) for v in (mean, std))
    x = normalise(images, mean, std)
    assert torch.allclose(x, (images / 255 - m) / s, atol=1e-5)
    assert x.is_contiguous(memory_format=torch.channels_last)
    batch, _ = next(iter(Batches(split(5, 3), 5, mean=mean, std=std)))
    assert torch.equal(batch, x)


def test_every_pass_shuffles_anew_and_a_seed_repeats_it():
    data, augment = split(50), Augment(1, True, 2)
    batches = Batches(data, 8, generator=seeded(), augment=augment, **RAW)
    passes = [[(x.clone(), y) for x, y in batches] for _ in range(2)]
    labels = [torch.cat([y for _, y in one]) for one in passes]
    assert not torch.equal(labels[0], labels[1])
    assert all(torch.equal(order.sort().values, data.labels) for order in labels)
    again = Batches(data, 8, generator=seeded(), augment=augment, **RAW)
    for (x, y), (u, v) in zip(passes[0], again, strict=True):
        assert torch.equal(x, u) and torch.equal(y, v)


def test_leaving_a_pass_early_does_not_change_the_next_one():
    seconds = []
    for whole in (True, False):
        batches = Batches(split(50), 8, generator=seeded(), augment=Augment(1), **RAW)
        for _ in batches:
            if not whole:
                break
        seconds.append(torch.cat([x for x, _ in batches]))
    assert torch.equal(*seconds)


def augmented(data: Split, augment: Augment, copies: int) -> list[np.ndarray]:
    many = Split(data.images.repeat(copies, 1, 1, 1), data.labels.repeat(copies))
    raw = {name: value * data.images.shape[1] for name, value in RAW.items()}
    batches = Batches(many, 100, generator=seeded(), augment=augment, **raw)
    return [image for x, _ in batches for image in x.round().to(torch.uint8).numpy()]


def shifted(image: np.ndarray, s: int, down: int, right: int, mirror: bool = False) -> np.ndarray:
    size = image.shape[1]
    image = image[..., ::-1] if mirror else image
    padded = np.pad(image, ((0, 0), (s, s), (s, s)), mode="reflect")
    return padded[:, s - down : s - down + size, s - right : s - right + size]


def test_shift_on_a_toy_image():
    toy = torch.tensor([[1, 2, 3], [4, 5, 6], [7, 8, 9]], dtype=torch.uint8).view(1, 1, 3, 3)
    results = augmented(Split(toy, torch.zeros(1, dtype=torch.int64)), Augment(shift=1), 200)
    seen = {tuple(image.ravel().tolist()) for image in results}
    assert (5, 4, 5, 2, 1, 2, 5, 4, 5) in seen  # one down and one right: 5 4 5 / 2 1 2 / 5 4 5
    expected = {
        tuple(shifted(toy[0].numpy(), 1, down, right).ravel().tolist())
        for down in (-1, 0, 1)
        for right in (-1, 0, 1)
    }
    assert seen == expected and len(expected) == 9


@pytest.mark.parametrize("flip", [False, True])
@pytest.mark.parametrize("shift", [0, 2, 3])
def test_shift_and_flip_are_those_of_numpy(shift, flip):
    """Every result is one of all possible ones, and they are about equally frequent."""
    data = split(3, 3, size=8)
    steps = range(-shift, shift + 1)
    possible = {
        shifted(data.images[label].numpy(), shift, down, right, mirror).tobytes(): 0
        for label in range(3)
        for down in steps
        for right in steps
        for mirror in ((False, True) if flip else (False,))
    }
    assert len(possible) == 3 * (2 * shift + 1) ** 2 * (2 if flip else 1)
    for image in augmented(data, Augment(shift, flip), 1000):
        possible[image.tobytes()] += 1
    expected = 3000 / len(possible)
    assert min(possible.values()) > 0
    assert max(possible.values()) < expected + 6 * expected**0.5


def test_cutout_covers_a_clipped_square_with_the_mean():
    images = torch.full((400, 2, 6, 10), 200, dtype=torch.uint8)
    data = Split(images, torch.arange(400))
    batches = Batches(
        data, 400, mean=(0.5, 0.25), std=(0.5, 0.5), generator=seeded(), augment=Augment(cutout=3)
    )
    x, _ = next(iter(batches))
    holes = x == 0
    assert torch.equal(holes[:, 0], holes[:, 1])
    expected = set()
    for row in range(6):
        for column in range(10):
            hole = np.zeros((6, 10), bool)
            hole[max(row - 1, 0) : row + 2, max(column - 1, 0) : column + 2] = True
            expected.add(hole.tobytes())
    seen = {hole.numpy().tobytes() for hole in holes[:, 0]}
    assert seen <= expected and len(seen) > 50


def test_a_plain_contiguous_split_gives_the_same_batches():
    plain = split(9, 3)
    last = Split(plain.images.contiguous(memory_format=torch.channels_last), plain.labels)
    options = {"mean": (0.5,) * 3, "std": (0.2,) * 3, "augment": Augment(1, True, 2)}
    for (x, _), (u, _) in zip(
        Batches(plain, 4, generator=seeded(), **options),
        Batches(last, 4, generator=seeded(), **options),
        strict=True,
    ):
        assert torch.equal(x, u)


def test_batches_leave_the_split_alone():
    data = split(9, 1)
    before = data.images.clone(), data.labels.clone()
    for how in ({"generator": seeded(), "augment": Augment(1, True, 2)}, {}):
        for x, y in Batches(data, 4, **how, **RAW):
            x.zero_()
            y.fill_(-1)
    assert torch.equal(data.images, before[0]) and torch.equal(data.labels, before[1])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1"),
        ({"batch_size": 2.5}, "batch_size"),
        ({"batch_size": 11, "drop_last": True}, "no batch of 11"),
        ({"augment": Augment(shift=1)}, "needs a generator"),
        ({"augment": Augment(shift=4), "generator": seeded()}, "shift must be .* 0 to 3"),
        ({"augment": Augment(cutout=5), "generator": seeded()}, "cutout must be .* 0 to 4"),
        ({"mean": (0.5, 0.5)}, "one number for each of 1 channels"),
        ({"std": (0.0,)}, "std above 0"),
    ],
)
def test_bad_batches(options, message):
    with pytest.raises(DataError, match=message):
        Batches(split(10), **{"batch_size": 4, **RAW, **options})


def test_bad_augment_and_normalise():
    with pytest.raises(DataError, match="shift"):
        Augment(shift=-1)
    with pytest.raises(DataError, match="cutout"):
        Augment(cutout=1.5)
    with pytest.raises(DataError, match="uint8"):
        normalise(torch.zeros(1, 1, 2, 2), **RAW)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_gives_the_batches_of_the_cpu():
    data = load_images("digits", train_limit=100)
    options = {"mean": data.mean, "std": data.std, "augment": Augment(2, True, 8)}
    here = Batches(data.train, 32, generator=seeded(), **options)
    there = Batches(data.to("cuda").train, 32, generator=seeded(), **options)
    for (x, y), (u, v) in zip(here, there, strict=True):
        assert u.is_cuda and torch.allclose(x, u.cpu(), atol=1e-6) and torch.equal(y, v.cpu())


def test_an_augmented_epoch_is_cheap():
    """45,000 images of 32x32x3 took 0.4 s on one core; a fifth of them get 2 s here."""
    data = split(9000, 3, 32)
    options = {"mean": (0.5,) * 3, "std": (0.2,) * 3, "augment": Augment(4, True, 8)}
    start = time.process_time()
    count = sum(len(y) for _, y in Batches(data, 128, generator=seeded(), **options))
    assert count == 9000 and time.process_time() - start < 2
