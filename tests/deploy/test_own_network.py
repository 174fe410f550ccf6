"""A reader's own folder of pictures: to a network, to a small file, and clear words on bad ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from image_folders import write_folder

from squeeze_utils.__main__ import main
from squeeze_utils.deploy import network_files, own_network
from squeeze_utils.deploy.own_network import transfer_folder
from squeeze_utils.models import build, pretrained


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Sixty pictures of three classes that differ in colour, and weights without a download."""
    torch.manual_seed(0)
    published = build("squeezenet1_1")
    monkeypatch.setattr(pretrained, "imagenet_weights", published.state_dict)
    rng = np.random.default_rng(0)
    for place, name in enumerate(("apple", "leaf", "sky")):
        pictures = rng.integers(0, 60, (20, 40, 40, 3), dtype=np.uint8)
        pictures[..., place] += 150
        write_folder(tmp_path / "mine" / name, pictures)
    return tmp_path / "mine"


def test_sixty_pictures_become_a_small_file_that_names_them(folder, tmp_path, capsys):
    net, small = tmp_path / "net.safetensors", tmp_path / "net.sqz"
    common = ["--size", "64"]
    assert main(["transfer", str(folder), "-o", str(net), *common]) == 0
    assert "classes apple, leaf, sky" in capsys.readouterr().out
    assert main(["compress", str(net), "--lossless", "-o", str(small)]) == 0
    assert small.stat().st_size < net.stat().st_size
    picture = str(next((folder / "sky").iterdir()))
    capsys.readouterr()
    assert main(["classify", str(small), picture, "--data", str(folder), *common]) == 0
    assert "sky" in capsys.readouterr().out.splitlines()[0]


def said(capsys, *command: object) -> str:
    """What a command prints, once it has ended well."""
    capsys.readouterr()
    assert main([str(word) for word in command]) == 0
    return capsys.readouterr().out


def test_every_command_takes_the_size_that_the_network_was_trained_at(folder, tmp_path, capsys):
    net, small = tmp_path / "net.safetensors", tmp_path / "net.sqz"
    said(capsys, "transfer", folder, "-o", net, "--size", 64)
    said(capsys, "compress", net, "--lossless", "-o", small)
    picture = next((folder / "sky").iterdir())
    for file in (net, small):
        model = network_files.torch_network(file)
        assert model.input_shape == (3, 64, 64)
        batch, same = (
            network_files.calibration_batch(model, str(folder), 9, size) for size in (None, 64)
        )
        assert batch.shape == (9, 3, 64, 64) and torch.equal(batch, same)
        for command in (("evaluate", file, folder), ("classify", file, picture, "--data", folder)):
            assert said(capsys, *command) == said(capsys, *command, "--size", 64)


def test_a_network_for_224_pixels_is_saved_as_before(folder, tmp_path):
    net = tmp_path / "net.safetensors"
    transfer_folder(folder, net)
    model = network_files.torch_network(net)
    assert dict(model.spec.options) == {"num_classes": 3, "final_relu": False}
    assert model.input_shape == (3, 224, 224)


@pytest.mark.slow
def test_the_readme_path_ends_in_a_file_of_the_wanted_size(folder, tmp_path, capsys):
    net, small = tmp_path / "net.safetensors", tmp_path / "net.sqz"
    common = ["--data", str(folder)]
    assert main(["transfer", str(folder), "-o", str(net), "--size", "48"]) == 0
    assert main(["compress", str(net), *common, "--target-bytes", "120000", "-o", str(small)]) == 0
    assert 100_000 < small.stat().st_size <= 120_000
    assert "calibrated on 42 images" in capsys.readouterr().out  # all training pictures
    for name in ("apple", "leaf", "sky"):
        picture = str(next((folder / name).iterdir()))
        assert main(["classify", str(small), picture, *common]) == 0
        assert name in capsys.readouterr().out.splitlines()[0]


def test_the_last_modules_can_be_trained_too_and_the_file_is_judged(folder, tmp_path, monkeypatch):
    judged = []
    judge = own_network.evaluate
    monkeypatch.setattr(own_network, "evaluate", lambda m, *a: judged.append(m) or judge(m, *a))
    found = transfer_folder(folder, tmp_path / "net.safetensors", 48, epochs=1)
    assert all(torch.equal(p, p.half().float()) for p in judged[-1].parameters())
    assert found.test == 12 and found.classes == ("apple", "leaf", "sky")


def test_a_folder_with_one_class_is_refused(folder, tmp_path, capsys):
    for name in ("apple", "leaf"):
        for path in (folder / name).iterdir():
            path.unlink()
        (folder / name).rmdir()
    assert main(["transfer", str(folder), "-o", str(tmp_path / "a.safetensors")]) == 2
    assert "has one class only (sky)" in capsys.readouterr().err


def test_an_empty_class_and_a_broken_picture_are_named(folder, tmp_path, capsys):
    (folder / "empty").mkdir()
    command = ["transfer", str(folder), "-o", str(tmp_path / "a.safetensors"), "--size", "48"]
    assert main(command) == 2 and "empty class" in capsys.readouterr().err
    (folder / "empty").rmdir()
    (folder / "sky" / "000.png").write_bytes(b"no picture")
    assert main(command) == 2
    error = capsys.readouterr().err
    assert "unreadable image" in error and "000.png" in error
    assert not (tmp_path / "a.safetensors").exists()


def test_pictures_without_pixels_are_refused(folder, tmp_path):
    with pytest.raises(ValueError, match=r"size \(pixels\)"):
        transfer_folder(folder, tmp_path / "net.safetensors", 0)


def test_another_kind_of_file_is_refused_before_anything_is_done(folder, tmp_path):
    with pytest.raises(ValueError, match=r"must end with \.safetensors, got net\.sqz"):
        transfer_folder(folder, tmp_path / "net.sqz", 48)
