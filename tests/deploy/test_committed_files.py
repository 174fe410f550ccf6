from __future__ import annotations

import hashlib

import pytest

from squeeze_utils.deploy import committed_files
from squeeze_utils.deploy.optional_parts import has
from squeeze_utils.deploy.write_files import read_description

CHECKPOINT = committed_files.NAMES[1]


def test_every_committed_file_is_the_one_that_its_description_names():
    for name in committed_files.NAMES:
        about = read_description(committed_files.deployment_file(name, "int8.onnx"))
        assert set(about["files"]) == {f"{name}.{form}" for form in committed_files.FORMS}
        for file, facts in about["files"].items():
            content = (committed_files.folder() / file).read_bytes()
            assert len(content) == facts["bytes"] < 1.5e6
            assert hashlib.sha256(content).hexdigest() == facts["sha256"]
            assert b"/home/" not in content and b"squeeze_utils/" not in content
        assert len(about["classes"]) == 10 and len(about["mean"]) == len(about["std"]) == 3


def test_unknown_files_are_refused_with_what_there_is():
    with pytest.raises(ValueError, match=r"unknown form 'int4'; accepted: float16\.onnx, int8"):
        committed_files.deployment_file(CHECKPOINT, "int4")
    with pytest.raises(FileNotFoundError, match="make deploy-files"):
        committed_files.deployment_file("vgg", "int8.onnx")


def test_every_way_to_run_a_committed_network_has_its_file():
    ways = committed_files.ways(CHECKPOINT)
    assert len(ways) == (6 if has("ai_edge_litert") else 4)
    assert all(way.path.is_file() for way in ways.values())
    assert [name for name, way in ways.items() if way.channels_last] == ["torch, channels-last"]


def test_the_shared_file_is_many_times_smaller_than_its_checkpoint(tmp_path):
    path = committed_files.shared_sqz(tmp_path, CHECKPOINT)
    checkpoint = committed_files.folder().parent / f"{CHECKPOINT}.safetensors"
    assert path.parent == tmp_path and path.stat().st_size < checkpoint.stat().st_size / 2
