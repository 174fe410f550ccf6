from __future__ import annotations

import os

import pytest

from squeeze_utils.base.files import set_aside, write_atomically, write_new


def test_it_writes_and_makes_the_folder(tmp_path):
    path = tmp_path / "new" / "folder" / "a.json"
    write_atomically(path, b"one")
    write_atomically(path, b"two")
    assert path.read_bytes() == b"two"
    assert [p.name for p in path.parent.iterdir()] == ["a.json"]
    assert path.stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize("failing", ["fsync", "replace"])
def test_a_failure_leaves_the_old_file_and_no_other(failing, tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_atomically(path, b"old")

    def fail(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr(os, failing, fail)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.json"]


def test_a_function_may_write_a_large_file_piece_by_piece(tmp_path):
    def pieces(file):
        for piece in (b"one ", b"two"):
            file.write(piece)

    write_atomically(tmp_path / "a.bin", pieces)
    assert (tmp_path / "a.bin").read_bytes() == b"one two"


def test_a_function_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    def fail(file):
        file.write(b"half")
        raise OSError("No space left on device")

    write_atomically(tmp_path / "a.bin", b"old")
    with pytest.raises(OSError, match="No space"):
        write_atomically(tmp_path / "a.bin", fail)
    assert [(p.name, p.read_bytes()) for p in tmp_path.iterdir()] == [("a.bin", b"old")]


def test_an_unfinished_file_is_called_tmp(tmp_path, monkeypatch):
    names = []
    monkeypatch.setattr(os, "fsync", lambda _: names.extend(p.name for p in tmp_path.iterdir()))
    write_atomically(tmp_path / "a.json", b"one")
    assert len(names) == 1
    assert names[0].startswith(".a.json.") and names[0].endswith(".tmp")


def test_what_another_process_has_set_aside_is_no_error(tmp_path):
    assert set_aside(tmp_path / "gone.json").name == "gone.json.corrupt"
    assert list(tmp_path.iterdir()) == []


def test_set_aside_keeps_every_damaged_file(tmp_path):
    moved = []
    for content in ("one", "two", "three"):
        path = tmp_path / "a.json"
        path.write_text(content)
        moved.append(set_aside(path))
        assert not path.exists()
    assert [p.name for p in moved] == ["a.json.corrupt", "a.json.corrupt2", "a.json.corrupt3"]
    assert [p.read_text() for p in moved] == ["one", "two", "three"]


@pytest.mark.parametrize("links", [True, False])
def test_a_new_file_never_replaces_another(links, tmp_path, monkeypatch):
    def refuse(*arguments):
        raise PermissionError("this folder has no second names")

    if not links:
        monkeypatch.setattr(os, "link", refuse)
    path = tmp_path / "new" / "a.json"
    assert write_new(path, b"one") and not write_new(path, b"two")
    assert [(p.name, p.read_bytes()) for p in path.parent.iterdir()] == [("a.json", b"one")]
