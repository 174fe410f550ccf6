"""What a file lost is told on pictures that had no part in its making, where there are any."""

from __future__ import annotations

import pytest
import torch
from image_folders import pixels, write_folder

from squeeze_utils.__main__ import main
from squeeze_utils.compress.sqz.container import save_sqz
from squeeze_utils.deploy.before_and_after import Change, change
from squeeze_utils.models import build


def saved(path, seed, *options, **more):
    """A network that was never trained, in a file, and its path."""
    torch.manual_seed(seed)
    save_sqz(build(*options, **more).eval(), path)
    return path


@pytest.fixture
def two_files(tmp_path):
    """Two networks of three classes, for colour pictures of 8 pixels."""
    how = {"num_classes": 3, "in_channels": 3, "image_size": 8}
    return [saved(tmp_path / f"{s}.sqz", s, "lenet_300_100", **how) for s in (0, 1)]


@pytest.fixture
def pets(tmp_path):
    """Ten pictures of each of three classes, of which six are cut for the test."""
    for place, name in enumerate(("cat", "dog", "eel")):
        write_folder(tmp_path / "pets" / name, pixels(10, seed=place))
    return str(tmp_path / "pets")


def top1_of(file, data, capsys):
    assert main(["evaluate", str(file), data]) == 0
    return capsys.readouterr().out.splitlines()[1].removeprefix("top-1  ")


def test_both_files_are_judged_on_the_test_pictures(two_files, pets, capsys):
    found = change(*two_files, pets, 9)
    assert (found.n, found.seen) == (6, False)
    before, after = (top1_of(file, pets, capsys) for file in two_files)
    assert f"accuracy before {before}, after {after}, same first guess" in str(found)
    assert str(found).endswith(": on 6 pictures not used for calibration")
    same = change(two_files[0], two_files[0], pets, 9)
    assert same.same == same.n and same.right[0] == same.right[1]


def test_compress_says_what_rounding_lost_and_lossless_says_nothing(two_files, pets, capsys):
    small = two_files[0].with_name("small.sqz")
    rounded = ["compress", str(two_files[0]), "--data", pets, "--target-bytes", "30000"]
    assert main([*rounded, "-o", str(small)]) == 0
    _, line = capsys.readouterr().out.splitlines()
    assert line == str(change(two_files[0], small, pets, 1000))
    assert main(["compress", str(small), "--lossless", "-o", str(small)]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1


def test_boxes_have_no_first_guess(tmp_path):
    how = {"num_classes": 10, "in_channels": 1, "image_size": 48, "width": 0.25}
    file = saved(tmp_path / "detector.sqz", 0, "detector", **how)
    assert change(file, file, "digit_scenes", 9) is None


@pytest.mark.parametrize(("count", "judged", "seen"), [(3, 3, False), (5, 5, True), (9, 6, True)])
def test_pictures_for_imagenet_are_those_that_calibration_left_out(tmp_path, count, judged, seen):
    first, second = (saved(tmp_path / f"{s}.sqz", s, "squeezenet1_1", width=0.125) for s in (0, 1))
    write_folder(tmp_path / "unnamed", pixels(6, size=16))
    found = change(first, second, str(tmp_path / "unnamed"), count)
    assert (found.n, found.seen, found.right) == (judged, seen, None)
    (tmp_path / "unnamed").rename(tmp_path / "goldfish")
    labelled = change(first, second, str(tmp_path / "goldfish"), count)
    assert labelled.same == found.same and labelled.right is not None


def test_a_change_is_told_in_per_cent():
    told = str(Change(1200, 1100, (1000, 900), seen=True))
    assert told == (
        "accuracy before 83.33 %, after 75.00 %, same first guess 91.67 %: "
        "on 1,200 pictures also used for calibration"
    )
    assert str(Change(4, 3, None, False)).startswith("same first guess 75.00 %: on 4 pictures not")
