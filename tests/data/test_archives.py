"""An archive comes from the first address that gives it, whole, and soon enough."""

from __future__ import annotations

import hashlib
from itertools import count
from pathlib import Path

import pytest
from torchvision import datasets

from squeeze_utils.data import archives
from squeeze_utils.data.archives import CIFAR10, PIECE, Archive, DownloadError

CONTENT = bytes(range(256)) * (3 * PIECE // 256)
MD5 = hashlib.md5(CONTENT).hexdigest()


def place(folder: Path, name: str, content: bytes) -> str:
    """The address of a file with that content."""
    (folder / name).write_bytes(content)
    return (folder / name).as_uri()


@pytest.fixture
def right(tmp_path) -> str:
    return place(tmp_path, "right", CONTENT)


@pytest.fixture
def target(tmp_path) -> Path:
    return tmp_path / "target"


def test_the_next_address_is_tried_where_one_is_missing_or_has_another_file(
    right, target, tmp_path
):
    missing, wrong = (tmp_path / "none").as_uri(), place(tmp_path, "wrong", CONTENT[:-1])
    found = Archive("a.tar", MD5, [(missing, 9), (wrong, None), (right, None)]).fetch(target)
    assert found == target / "a.tar" and found.read_bytes() == CONTENT
    assert list(target.iterdir()) == [found]


def test_what_is_there_is_not_fetched_again_and_what_is_damaged_is(right, target):
    archive = Archive("a.tar", MD5, [(right, None)])
    archive.fetch(target)
    assert Archive("a.tar", MD5, []).fetch(target).read_bytes() == CONTENT
    (target / "a.tar").write_bytes(CONTENT[1:])
    assert archive.fetch(target).read_bytes() == CONTENT


def test_an_address_that_takes_too_long_is_left_for_the_next(right, target, monkeypatch):
    seconds = count(step=50)
    monkeypatch.setattr(archives.time, "monotonic", lambda: next(seconds))
    slow = Archive("a.tar", MD5, [(right, 90.0)])
    with pytest.raises(DownloadError, match=r"right: only 0 MB after 90 s"):
        slow.fetch(target)
    assert list(target.iterdir()) == []
    assert Archive("a.tar", MD5, [(right, 90.0), (right, None)]).fetch(target).is_file()


def test_where_none_gives_it_each_says_why(target, tmp_path):
    missing, wrong = (tmp_path / "none").as_uri(), place(tmp_path, "wrong", b"a page")
    with pytest.raises(DownloadError) as error:
        Archive("a.tar", MD5, [(missing, 9), (wrong, None)]).fetch(target)
    first, second = str(error.value).split("; ")
    assert first.startswith(missing) and "No such file" in first
    assert second.startswith(wrong) and "the MD5 sum is wrong" in second
    assert list(target.iterdir()) == []


def test_the_addresses_of_cifar_10_begin_with_torchvisions_and_the_last_has_no_limit():
    assert (CIFAR10.name, CIFAR10.md5) == (datasets.CIFAR10.filename, datasets.CIFAR10.tgz_md5)
    addresses, limits = zip(*CIFAR10.addresses, strict=True)
    assert addresses[0] == addresses[-1] == datasets.CIFAR10.url and len(set(addresses)) == 2
    assert all(address.startswith("https://") for address in addresses)
    assert limits[0] and limits[-1] is None
