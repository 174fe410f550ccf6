"""Files of tensors: whole, or refused before anything in them is unpickled."""

from __future__ import annotations

import hashlib
import os
import pickle
import random

import pytest
import torch

from squeeze_utils.training.tensor_files import (
    UnusableFileError,
    keep,
    load_kept,
    load_tensors,
    save_tensors,
)

CONTENT = {"model": {"weight": torch.arange(500.0)}, "text": "[1, 2]", "nothing": None}


@pytest.fixture
def path(tmp_path):
    save_tensors(tmp_path / "folder" / "kept.state", CONTENT)
    return tmp_path / "folder" / "kept.state"


def test_content_comes_back(path):
    content = load_tensors(path, CONTENT)
    assert torch.equal(content["model"]["weight"], CONTENT["model"]["weight"])
    assert content["text"] == "[1, 2]" and content["nothing"] is None
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert load_tensors(path, ["text"], "meta")["model"]["weight"].is_meta


def test_every_flipped_bit_is_noticed(path):
    whole, chance = path.read_bytes(), random.Random(0)
    for _ in range(300):
        data = bytearray(whole)
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)
        path.write_bytes(data)
        with pytest.raises(UnusableFileError, match="checksum"):
            load_tensors(path, CONTENT)


def test_every_cut_is_noticed(path):
    whole = path.read_bytes()
    for length in (0, 1, 31, 32, 33, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        with pytest.raises(UnusableFileError, match="checksum"):
            load_tensors(path, CONTENT)


class _Code:
    def __reduce__(self):
        return os.abort, ()


def test_code_is_never_run(path):
    for foreign in (b"not a file at all", pickle.dumps(_Code()), b"\x80\x04" * 100):
        path.write_bytes(foreign)
        with pytest.raises(UnusableFileError, match="checksum"):
            load_tensors(path, ())
    save_tensors(path, {"code": _Code()})  # with the right checksum
    with pytest.raises(UnusableFileError, match="cannot read it: Weights only"):
        load_tensors(path, ())


@pytest.mark.parametrize("foreign", [b"", b"what a later version might write", b"PK\x03\x04" * 9])
def test_a_whole_file_that_this_torch_cannot_read_is_unusable(path, foreign):
    path.write_bytes(hashlib.sha256(foreign).digest() + foreign)
    with pytest.raises(UnusableFileError, match="this version of torch cannot read it"):
        load_tensors(path, ())


def test_what_is_kept_is_read_only_for_what_it_was_made_of(path):
    keep(path, {"weights": "a"}, numbers=torch.arange(3))
    found = load_kept(path, {"weights": "a"}, ["numbers"])
    assert torch.equal(found["numbers"], torch.arange(3))
    assert load_kept(path, {"weights": "b"}, ["numbers"]) is None
    assert load_kept(path, {"weights": "a"}, ["others"]) is None
    assert load_kept(path.with_name("gone"), {"weights": "a"}, ["numbers"]) is None
    path.write_bytes(path.read_bytes()[:-1])
    assert load_kept(path, {"weights": "a"}, ["numbers"]) is None


def test_what_is_lacking_is_named(path):
    with pytest.raises(UnusableFileError, match="it lacks masks, spec"):
        load_tensors(path, ["model", "masks", "spec"])


def test_a_file_that_is_not_there_is_another_matter(tmp_path):
    with pytest.raises(FileNotFoundError):
        load_tensors(tmp_path / "gone.state", ())
