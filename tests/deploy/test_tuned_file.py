"""`python -m squeeze_utils released ... --photographs FOLDER`, with few pictures of noise."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from PIL import Image

from squeeze_utils.__main__ import main
from squeeze_utils.compress.pricing import kept_rounding
from squeeze_utils.compress.pricing.tuning import tune
from squeeze_utils.compress.sqz.container import load_sqz, save_sqz
from squeeze_utils.deploy import tuned_file
from squeeze_utils.imagenet import pictures
from squeeze_utils.models import build


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def narrow(tmp_path_factory):
    """A narrow SqueezeNet 1.1 with a thousand classes, as a .sqz file."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("files") / "narrow.sqz"
    save_sqz(build("squeezenet1_1", width=0.125).eval(), path)
    return path


@pytest.fixture
def two_kinds(tmp_path, monkeypatch):
    """Folders of six samples and four photographs, which are enough here, and an own cache."""
    samples, others = tmp_path / "samples", tmp_path / "others"
    generator = torch.Generator().manual_seed(0)
    for folder, count in ((samples, 6), (others, 4)):
        folder.mkdir()
        for i in range(count):
            noise = torch.randint(256, (60, 80, 3), generator=generator, dtype=torch.uint8)
            Image.fromarray(noise.numpy()).resize((320, 240)).save(folder / f"{i}.png")
    monkeypatch.setattr(tuned_file, "LEAST_SAMPLES", 5)
    monkeypatch.setattr(tuned_file, "LEAST_PHOTOGRAPHS", 4)
    monkeypatch.setattr(kept_rounding.paths, "cache", lambda: tmp_path / "cache")
    return samples, others


@pytest.mark.slow
def test_a_rounded_network_is_tuned_on_two_kinds_of_pictures(
    narrow, two_kinds, tmp_path, capsys, monkeypatch
):
    samples, others = two_kinds
    out, small = tmp_path / "a.sqz", ("--target-bytes", 40_000, "--calibrate", samples)
    shown, mixed = [], pictures.mixed_crops

    def two_crops(*arguments):
        shown.append(arguments)
        return (batch[:4] for batch in mixed(*arguments))

    monkeypatch.setattr(pictures, "mixed_crops", two_crops)
    monkeypatch.setattr(tuned_file, "tune", partial(tune, steps=2))
    options = (*small, "--photographs", others, "--seed", 3, "-o", out)
    assert run("released", narrow, *options) == 0
    assert 0.9 * 40_000 < out.stat().st_size <= 40_000
    first, second = capsys.readouterr().out.splitlines()
    assert first.endswith(f"{out.stat().st_size:,} bytes, calibrated on 6 pictures")
    assert (
        second.startswith("divergence on 1 of them that tuning did not see: ")
        and "steps of tuning" in second
    )
    ((crops, photos, _, seed),) = shown
    assert len(crops) == 5 and len(photos) == 4 and seed == 3
    data = out.read_bytes()
    assert load_sqz(out).spec.name == "squeezenet1_1"

    def squeezed_again(*arguments):
        raise AssertionError("the rounding was kept")

    monkeypatch.setattr(kept_rounding, "squeeze", squeezed_again)
    assert run("released", narrow, *options) == 0 and out.read_bytes() == data


def test_mistakes_with_photographs_are_named(narrow, two_kinds, tmp_path, says):
    samples, others = two_kinds
    out, empty = ("-o", tmp_path / "out.sqz"), tmp_path / "empty"
    small = ("--target-bytes", 40_000, "--calibrate", samples, *out)
    empty.mkdir()
    lossless = ("--lossless", "--photographs", others, *out)
    assert "give --target-bytes" in says("released", narrow, *lossless)
    only = ("--target-bytes", 9, "--photographs", others, *out)
    assert "needs images to calibrate on" in says("released", narrow, *only)
    assert "no pictures in" in says("released", narrow, *small, "--photographs", empty)
    nowhere = tmp_path / "nowhere"
    assert "there is no folder" in says("released", narrow, *small, "--photographs", nowhere)
    Image.new("RGB", (9, 9)).save(empty / "one.png")
    few = says("released", narrow, *small, "--photographs", empty)
    assert f"1 pictures of {empty}; tuning needs at least 4" in few
    fewer = says("released", narrow, *small, "--photographs", others, "--images", 4)
    assert f"4 pictures of {samples}; tuning needs at least 5" in fewer
    both = says("released", narrow, *small, "--photographs", samples)
    assert "0.png is in both folders: photographs must be other pictures" in both
    save_sqz(build("lenet_300_100", image_size=8).eval(), tmp_path / "digits.sqz")
    other = says("released", tmp_path / "digits.sqz", *small, "--photographs", others)
    assert "photographs tune a network for ImageNet's 1,000 classes only" in other
    wrong = (*small[:4], "-o", tmp_path / "out.net", "--photographs", others)
    assert "must end with .sqz, got out.net" in says("released", narrow, *wrong)
    assert not (tmp_path / "out.sqz").exists()
