from __future__ import annotations

import pytest
import torch
from PIL import Image

from squeeze_utils.base.measurements import Measurement
from squeeze_utils.compress.pricing import Squeezed
from squeeze_utils.compress.sqz import container
from squeeze_utils.imagenet import networks, released_file
from squeeze_utils.imagenet.commands import main
from squeeze_utils.models import build
from tools import imagenet_tables


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    """A narrow SqueezeNet 1.1 with a thousand classes and few values."""
    torch.manual_seed(0)
    network = build("squeezenet1_1", width=0.125).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            scale = parameter.abs().max().clamp(min=0.05) / 20
            parameter.copy_((parameter / scale).round() * scale + (parameter.ndim == 1) * 0.01)
    return network


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root = tmp_path_factory.mktemp("pictures")
    generator = torch.Generator().manual_seed(0)
    for name in ("n01440764", "goldfish", "n01484850"):
        (root / name).mkdir()
        for i in range(2):
            noise = torch.randint(256, (60, 80, 3), generator=generator, dtype=torch.uint8)
            Image.fromarray(noise.numpy()).resize((320, 240)).save(root / name / f"{i}.png")
    return root


@pytest.fixture(scope="module")
def file(model, tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "narrow.sqz"
    container.save_sqz(model, path)
    return path


def run(*arguments) -> int:
    return main([str(argument) for argument in arguments])


def test_the_released_file_without_loss(tmp_path, capsys):
    torch.manual_seed(0)
    network = build("squeezenet1_0", last_padding=1).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.copy_((weight * 50).round() / 50 if weight.ndim == 4 else weight + 0.1)
    source, out = tmp_path / "x.net", tmp_path / "x.sqz"
    source.write_bytes(released_file.write_released(released_file.from_model(network)))
    assert run("released", source, "--lossless", "-o", out) == 0
    assert f"{out.stat().st_size:,} bytes, every weight as it was" in capsys.readouterr().out
    again = networks.trained(out)
    assert released_file.write_released(released_file.from_model(again)) == source.read_bytes()


def test_a_network_into_wanted_bytes_again_and_again_the_same(file, folder, tmp_path, capsys):
    first, second = tmp_path / "a.sqz", tmp_path / "b.sqz"
    target = 40_000
    for out in (first, second):
        arguments = ("--target-bytes", target, "--calibrate", folder, "--images", 4, "--seed", 3)
        assert run("released", file, *arguments, "-o", out) == 0
    assert 0.9 * target < first.stat().st_size <= target
    assert first.read_bytes() == second.read_bytes()
    assert f"{first.stat().st_size:,} bytes, calibrated on 4 pictures" in capsys.readouterr().out


def test_evaluation_counts_and_classification_names(file, folder, capsys):
    assert run("evaluate", file, folder) == 0
    out = capsys.readouterr().out
    assert f"bytes  {file.stat().st_size:,}" in out and "n      6" in out
    assert "top-1  " in out and "top-5  " in out
    assert run("classify", file, folder / "goldfish" / "0.png") == 0
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_what_is_missing_or_wrong_is_said_in_one_line(file, folder, tmp_path, capsys):
    def says(*arguments) -> str:
        assert run(*arguments) == 1
        return capsys.readouterr().err

    out = ("-o", tmp_path / "out.sqz")
    small = ("--target-bytes", 40_000)
    assert "give either --lossless or --target-bytes" in says("released", file, *out)
    assert "give either" in says("released", file, "--lossless", *small, *out)
    assert "needs --calibrate DIR" in says("released", file, *small, *out)
    assert "there is no file" in says("released", tmp_path / "no.net", "--lossless", *out)
    nowhere = ("--calibrate", tmp_path / "nowhere")
    assert "there is no folder" in says("released", file, *small, *nowhere, *out)
    assert "no pictures in" in says("evaluate", file, tmp_path)
    cut = tmp_path / "cut.sqz"
    cut.write_bytes(file.read_bytes()[:-9])
    assert "cut.sqz: truncated" in says("evaluate", cut, folder)
    (tmp_path / "cut.net").write_bytes(b"\0" * 50)
    assert "cut.net: truncated" in says("released", tmp_path / "cut.net", "--lossless", *out)
    (tmp_path / "more" / "unicorn").mkdir(parents=True)
    Image.new("RGB", (9, 9)).save(tmp_path / "more" / "unicorn" / "x.png")
    assert "'unicorn' is no class of ImageNet" in says("evaluate", file, tmp_path / "more")
    assert "unknown network in mars" in says("records", folder, "--network", "mars")
    assert not (tmp_path / "out.sqz").exists()


def test_too_small_a_target_is_refused(file, folder, tmp_path, capsys):
    target = ("--target-bytes", 900, "--calibrate", folder, "--images", 2)
    assert run("released", file, *target, "-o", tmp_path / "out.sqz") == 1
    assert "900 bytes cannot be reached" in capsys.readouterr().err


@pytest.fixture
def recording(model, monkeypatch):
    """`frontier` without its hours: the images it was shown, and the tables that it keeps."""
    seen, kept = [], {}

    def fake(network, images, targets, seed, progress):
        seen.append(images)
        for target in targets:
            yield Squeezed(
                network, b"x" * target, {"a.weight/codes": target}, [{"layer": "a"}], 1.0
            )

    def read(name):
        return Measurement(*kept[name]) if name in kept else None

    monkeypatch.setattr(imagenet_tables, "frontier", fake)
    monkeypatch.setattr(imagenet_tables, "TARGETS", {"squeezenet1_1": (10, 20)})
    monkeypatch.setattr(imagenet_tables, "original", lambda name: model)
    monkeypatch.setattr(imagenet_tables, "EXAMPLES", 3)
    monkeypatch.setattr(imagenet_tables.measured, "read", read)
    monkeypatch.setattr(
        imagenet_tables.measured,
        "keep",
        lambda name, rows, **about: kept.__setitem__(name, (list(rows), about)),
    )
    return seen, kept


def test_records_never_judge_what_has_calibrated(folder, recording):
    seen, kept = recording
    list(imagenet_tables.record(folder, ["squeezenet1_1"]))
    rows, about = kept["released/squeezenet1_1"]
    assert [(row["seed"], row["half"], row["target"], row["n"]) for row in rows] == [
        (0, 0, 10, 3), (0, 0, 20, 3), (0, 1, 10, 3), (0, 1, 20, 3),
    ]  # fmt: skip
    assert all(row["same"] == 3 and row["gained"] == row["lost"] == 0 for row in rows)
    assert about["original"]["n"] == 6 and about["values"] == "float32"
    first, second = seen
    assert not any(torch.equal(a, b) for a in first for b in second)
    assert len(kept["released/squeezenet1_1_examples"][0]) == 3
    assert kept["released/squeezenet1_1_inside"][1]["parts"]["weights"] == 10


def test_records_of_other_seeds_stay(folder, recording):
    seen, kept = recording
    list(imagenet_tables.record(folder, ["squeezenet1_1"], [5, 6]))
    five = [row for row in kept["released/squeezenet1_1"][0] if row["seed"] == 5]
    assert run("records", folder, "--network", "squeezenet1_1", "--seeds", 6, 0) == 0
    rows, _ = kept["released/squeezenet1_1"]
    assert [row["seed"] for row in rows] == [5] * 4 + [6] * 4 + [0] * 4  # 6 anew, none twice
    assert rows[:4] == five and len(seen) == 8
    with pytest.raises(SystemExit):
        run("records", folder, "--seeds")  # none named


def test_bytes_are_grouped_by_what_they_hold(model):
    data, parts = container.encode_sqz(model)
    found = imagenet_tables.grouped(parts)
    assert sum(found.values()) == len(data) and all(found.values())
