from __future__ import annotations

import hashlib
import http.client

import numpy as np
import pytest
import torch
from PIL import Image

from squeeze_utils.imagenet import judging, networks, pictures, wordnet
from squeeze_utils.imagenet.judging import Verdict, judge
from squeeze_utils.models import build


@pytest.fixture(scope="module")
def photo() -> Image.Image:
    rows, columns = np.mgrid[0:300, 0:400]
    return Image.fromarray(
        np.stack((rows % 256, columns % 256, (rows + columns) // 3), 2).astype("u1")
    )


@pytest.fixture(scope="module")
def ours() -> torch.nn.Module:
    return build("squeezenet1_1", width=0.125, num_classes=1000).eval()


def test_ids_are_in_order_and_names_and_ids_mean_the_same_classes():
    assert len(wordnet.IDS) == 1000 and list(wordnet.IDS) == sorted(set(wordnet.IDS))
    for name, index in (("n01440764", 0), ("tench", 0), ("Great_White shark", 2)):
        assert wordnet.class_of(name) == index
    assert wordnet.class_of("n15075141") == wordnet.class_of("toilet tissue") == 999
    assert wordnet.class_of("crane bird") == 134 and wordnet.class_of("crane") == 517
    assert all(wordnet.class_of(name) == i for i, name in enumerate(wordnet.classes()))
    with pytest.raises(ValueError, match="'cat5' is no class of ImageNet; folders are named by"):
        wordnet.class_of("cat5")


def test_pictures_are_prepared_as_torchvision_does(photo, ours):
    from torchvision.models import SqueezeNet1_1_Weights

    wanted = SqueezeNet1_1_Weights.IMAGENET1K_V1.transforms()(photo)
    assert torch.allclose(pictures.prepare(photo, ours), wanted, atol=1e-5)


def test_pictures_are_prepared_as_the_authors_did(photo):
    original = build("squeezenet1_0", width=0.125, last_padding=1)
    x = pictures.prepare(photo, original)
    resized = np.asarray(photo.resize((256, 256), Image.Resampling.BILINEAR))
    assert x.shape == (3, 227, 227) and pictures.side(original) == 227
    assert x[:, 0, 0].tolist() == [
        int(a) - b for a, b in zip(resized[14, 14, ::-1], (104, 117, 123), strict=True)
    ]
    grey = pictures.prepare(photo.convert("L"), original)
    assert torch.equal(grey[0] + 104, grey[2] + 123)


def test_random_parts_are_in_the_scale_of_the_network_and_differ(tmp_path, photo, ours):
    photo.save(tmp_path / "a.png")
    original = build("squeezenet1_0", width=0.125, last_padding=1)
    for model, size in ((ours, 224), (original, 227)):
        generator = torch.Generator().manual_seed(0)
        parts = [pictures.load_crop(tmp_path / "a.png", model, generator) for _ in range(20)]
        whole = pictures.normalised(
            torch.from_numpy(np.array(pictures.resized(photo, model))).permute(2, 0, 1), model
        )
        assert all(part.shape == (3, size, size) for part in parts)
        assert all(whole.min() <= part.min() and part.max() <= whole.max() for part in parts)
        assert len({float(part.sum()) for part in parts}) == 20
        generator = torch.Generator().manual_seed(0)
        again = pictures.load_crop(tmp_path / "a.png", model, generator)
        assert torch.equal(again, parts[0])
    ramp = Image.fromarray(np.tile(np.arange(256, dtype="u1"), (256, 1)))
    ramp.save(tmp_path / "ramp.png")
    generator = torch.Generator().manual_seed(0)
    parts = [pictures.load_crop(tmp_path / "ramp.png", ours, generator) for _ in range(40)]
    rising = [bool(part[0, 0, -1] > part[0, 0, 0]) for part in parts]
    assert 10 < sum(rising) < 30  # half of them are mirrored
    widths = [float((part[1, 0, -1] - part[1, 0, 0]).abs()) * 0.224 * 255 for part in parts]
    assert 256 * (0.5 / 1.2) ** 0.5 - 4 < min(widths) < 200 and 215 < max(widths) <= 256


def test_batches_are_half_of_samples_and_half_of_photographs(tmp_path, ours, monkeypatch):
    kinds = {"sample": range(3), "photo": range(70)}
    samples, photographs = ([tmp_path / f"{k}{i}" for i in n] for k, n in kinds.items())
    shown = []

    def crop(path, model, generator):
        shown.append(path)
        return torch.zeros(1)

    monkeypatch.setattr(pictures, "load_crop", crop)
    batches = pictures.mixed_crops(samples, photographs, ours, seed=0)
    assert all(next(batches).shape == (25, 1) for _ in range(5))
    drawn = [path for path in shown if path in photographs]
    assert len(drawn) == 60 == len(set(drawn)) and drawn != sorted(drawn)  # none of them twice
    assert [path in samples for path in shown[:25]] == [True] * 13 + [False] * 12
    counts = [shown.count(path) for path in samples]
    assert sum(counts) == 65 and max(counts) - min(counts) <= 1
    first = shown[:25]
    shown.clear()
    next(pictures.mixed_crops(samples, photographs, ours, seed=0))
    assert shown == first
    shown.clear()
    next(pictures.mixed_crops(samples, photographs, ours, seed=1))
    assert shown != first


def test_the_interval_of_a_divergence_is_that_of_a_mean_over_pictures():
    torch.manual_seed(0)
    scores, original = torch.randn(40, 7), torch.randn(40, 7)
    found = judging.judge(scores, original, torch.zeros(40, dtype=torch.long))
    p, q = original.softmax(1), scores.softmax(1)
    each = (p * (p / q).log()).sum(1)
    assert found.divergence == pytest.approx(float(each.sum()), 1e-5)
    half = 1.95996 * float(each.std()) / 40**0.5
    assert found.divergence_interval() == pytest.approx(half, 1e-4)
    assert found.divergence_interval(5) > found.divergence_interval(2) > half
    twice = Verdict.mean([found, found])
    assert twice.divergence_interval() == pytest.approx(half, 1e-4)


def test_without_squares_or_with_one_picture_a_divergence_has_no_interval():
    old, new = Verdict(6, 6, 6, 6, 0, 0, 1.0), Verdict(6, 6, 6, 6, 0, 0, 1.0, 1.0)
    assert new.divergence_interval() > 0 and old.divergence_interval() is None
    assert (old + new).squares is None and Verdict.mean([old, new]).squares is None
    assert (new + new).squares == 2 and Verdict(
        1, 1, 1, 1, 0, 0, 1.0, 1.0
    ).divergence_interval() is None
    with pytest.raises(ValueError, match="comparisons must be a whole number"):
        new.divergence_interval(0)


def test_pictures_are_found_drawn_and_labelled(tmp_path, photo, ours):
    for folder in ("n01440764", "goldfish"):
        (tmp_path / folder).mkdir()
        for i in range(3):
            photo.save(tmp_path / folder / f"{i}.png")
    (tmp_path / "goldfish" / "notes.txt").write_text("no picture")
    (tmp_path / "goldfish" / "._0.png").write_bytes(b"a file of macOS's")
    (tmp_path / "goldfish" / "more.png").mkdir()
    paths = pictures.find_pictures(tmp_path)
    assert len(paths) == 6 and pictures.labels(paths).tolist() == [1, 1, 1, 0, 0, 0]
    drawn = pictures.draw(paths, 4, seed=1)
    assert drawn == pictures.draw(paths, 4, seed=1) and len(set(drawn)) == 4
    assert len({tuple(pictures.draw(paths, 4, seed)) for seed in range(9)}) > 1
    assert pictures.draw(paths, 50, 0) == paths
    assert [len(x) for x in pictures.batches(paths, ours)] == [6]
    images = pictures.calibration(paths, ours)
    assert len(images) == 12 and torch.equal(images[6:], images[:6].flip(3))
    ours.train()
    assert judging.outputs(ours, paths).shape == (6, 1000) and ours.training
    ours.eval()
    with pytest.raises(ValueError, match="the number of pictures must be a whole"):
        pictures.draw(paths, 1, 0)


def test_missing_and_unreadable_pictures_are_named(tmp_path, ours):
    with pytest.raises(ValueError, match=r"there is no folder .*nowhere"):
        pictures.find_pictures(tmp_path / "nowhere")
    with pytest.raises(ValueError, match=r"no pictures in .*accepted: \.png"):
        pictures.find_pictures(tmp_path)
    with pytest.raises(ValueError, match=r"there is no picture .*a\.png"):
        pictures.load_picture(tmp_path / "a.png", ours)
    (tmp_path / "b.png").write_bytes(b"\x89PNG broken")
    with pytest.raises(ValueError, match=r"unreadable picture: .*b\.png"):
        pictures.load_picture(tmp_path / "b.png", ours)


def test_a_verdict_by_hand():
    labels = torch.tensor([0, 1, 2, 3])
    before = torch.eye(6)[[0, 1, 5, 5]] * 4
    after = torch.eye(6)[[0, 5, 2, 4]] * 4
    found = judge(after, before, labels)
    assert (found.n, found.right, found.same, found.gained, found.lost) == (4, 2, 1, 1, 1)
    assert (found.top1, found.agreement, found.difference) == (50, 25, 0)
    p, q = before.softmax(1), after.softmax(1)
    assert found.divergence == pytest.approx(float((p * (p / q).log()).sum()), rel=1e-4)
    both = found + Verdict(6, 6, 6, 6, 0, 0, 0.0)
    assert both.n == 10 and both.top1 == 80 and both.agreement == 70


def test_networks_on_the_same_pictures_are_averaged_not_added():
    good, bad = Verdict(500, 300, 400, 480, 6, 2, 1.0), Verdict(500, 296, 400, 470, 4, 4, 3.0)
    mean = Verdict.mean([good, bad])
    assert (mean.n, mean.right, mean.same, mean.divergence) == (500, 298, 475, 2.0)
    assert mean.difference == pytest.approx((good.difference + bad.difference) / 2)
    assert mean.interval > min(good.interval, bad.interval)  # more seeds are no more pictures


def test_five_guesses_count():
    scores = torch.arange(6.0).expand(2, 6)
    assert judge(scores, scores, torch.tensor([0, 1])).right5 == 1  # the least likely is missed


def test_with_fewer_than_five_classes_every_guess_counts():
    scores = torch.eye(3)[[0, 1, 2, 0]]
    found = judge(scores, scores, torch.tensor([0, 1, 2, 2]))
    assert (found.right, found.right5) == (3, 4)


def test_intervals_grow_with_pairs_that_differ_and_are_never_zero():
    calm, wild = (Verdict(500, 300, 400, 480, k, k, 1.0) for k in (0, 10))
    assert calm.difference == wild.difference == 0
    assert 0.3 < calm.interval < 0.5
    assert wild.interval == pytest.approx(196 * 21**0.5 / 502, rel=1e-4)


def test_intervals_of_networks_that_are_judged_together_are_wider():
    found = Verdict(500, 300, 400, 480, 10, 10, 1.0)
    assert found.interval_of_one_among(1) == found.interval
    assert found.interval_of_one_among(5) == pytest.approx(257.58 * 21**0.5 / 502, rel=1e-4)
    with pytest.raises(ValueError, match="comparisons must be a whole number of at least 1"):
        found.interval_of_one_among(0)


def test_a_download_is_compared_with_its_checksum(tmp_path):
    there = tmp_path / "there"
    there.write_bytes(b"x")
    with pytest.raises(ValueError, match=r"there is not the file of 2016.*move it away"):
        networks.fetch(there, "file:///nowhere")
    assert there.read_bytes() == b"x"
    with pytest.raises(ValueError, match="another file than the one of 2016"):
        networks.fetch(tmp_path / "a", there.as_uri())
    with pytest.raises(ValueError, match=r"could not be fetched .* without a network, place the"):
        networks.fetch(tmp_path / "b", (tmp_path / "absent").as_uri())
    assert not (tmp_path / "a").exists() and not (tmp_path / "b").exists()


def test_the_released_file_is_not_downloaded_again(tmp_path, monkeypatch):
    monkeypatch.setattr(networks, "SHA256", hashlib.sha256(b"x").hexdigest())
    there = tmp_path / "there"
    there.write_bytes(b"x")
    assert networks.fetch(there, "file:///nowhere") == there
    assert networks.fetch(tmp_path / "new", there.as_uri()).read_bytes() == b"x"


def test_a_connection_that_is_cut_is_told_in_words(tmp_path, monkeypatch):
    def cut(url, timeout):
        raise http.client.IncompleteRead(b"half")

    monkeypatch.setattr(networks.urllib.request, "urlopen", cut)
    with pytest.raises(ValueError, match=r"could not be fetched .*IncompleteRead.*place the"):
        networks.fetch(tmp_path / "a")
    assert not (tmp_path / "a").exists()


def test_the_file_of_squeeze_data_comes_first(tmp_path, monkeypatch):
    monkeypatch.setenv("SQUEEZE_DATA", str(tmp_path))
    assert networks.released_path().parent != tmp_path
    (tmp_path / networks.NAME).write_bytes(b"")
    assert networks.released_path() == tmp_path / networks.NAME
