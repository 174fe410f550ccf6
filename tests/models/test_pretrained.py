"""torchvision's weights: fetched with a checksum and a timeout, and only tensors are unpickled."""

from __future__ import annotations

import io
import pickle
import socket

import pytest
import torch

from squeeze_utils.base import downloads
from squeeze_utils.models.pretrained import feature_weights, imagenet_weights

FILE = "squeezenet1_1-b8a52dc0.pth"


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where torch keeps the file."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    folder = tmp_path / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    return folder / FILE


class Trap:
    """Unpickled, it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def test_what_lies_there_gives_tensors(place):
    content = {"features.0.weight": torch.ones(2), "classifier.1.bias": torch.zeros(2)}
    torch.save(content, place)
    assert imagenet_weights().keys() == content.keys()
    assert list(feature_weights()) == ["0.weight"]


def test_code_in_the_file_is_not_run(place, tmp_path):
    place.write_bytes(pickle.dumps(Trap(tmp_path / "trapped"), 2))
    with pytest.raises(ValueError, match="could not be fetched or read"):
        imagenet_weights()
    torch.save({"features.0.weight": Trap(tmp_path / "trapped")}, place)
    with pytest.raises(ValueError, match="could not be fetched or read"):
        imagenet_weights()
    assert not (tmp_path / "trapped").exists()


@pytest.mark.parametrize("length", [0, 5, 400])
def test_a_file_that_was_cut_off_is_named(place, length):
    torch.save({"features.0.weight": torch.ones(200)}, place)
    place.write_bytes(place.read_bytes()[:length])
    with pytest.raises(ValueError, match=r"squeezenet1_1 \(5 MB\) could not be fetched or read"):
        imagenet_weights()


class Answer(io.BytesIO):
    """What a server sends."""

    def info(self):
        return self

    def get_all(self, name):
        return None


def test_another_file_than_the_published_one_is_not_kept(place, monkeypatch):
    timeouts = []

    def urlopen(request):
        timeouts.append(socket.getdefaulttimeout())
        return Answer(b"another file")

    monkeypatch.setattr(torch.hub, "urlopen", urlopen)
    with pytest.raises(ValueError, match=r"could not be fetched or read .*invalid hash"):
        imagenet_weights()
    assert timeouts == [downloads.TIMEOUT] and socket.getdefaulttimeout() is None
    assert not list(place.parent.iterdir())
