"""The maker of notebook 14's tables, without its hours."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from squeeze_utils.base.measurements import Measurement
from squeeze_utils.compress.pricing import Squeezed
from squeeze_utils.compress.sqz import container
from squeeze_utils.models import build
from tools import imagenet_tables

TARGETS = {"squeezenet1_1": (10, 20)}


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    """A narrow SqueezeNet 1.1 whose biases are not zero."""
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


@pytest.fixture
def recording(model, monkeypatch):
    """`frontier` replaced: the images it was shown, and the tables that are kept."""
    seen, kept = [], {}

    def frontier(network, images, targets, seed, progress, coder):
        seen.append(images)
        for target in targets:
            parts = {"a.weight/codes": target}
            yield Squeezed(network, b"x" * target, parts, [{"layer": "a"}], 1.0)

    def read(name):
        return Measurement(*kept[name]) if name in kept else None

    def keep(name, rows, **about):
        kept[name] = list(rows), about

    monkeypatch.setattr(imagenet_tables, "frontier", frontier)
    monkeypatch.setattr(imagenet_tables, "TARGETS", TARGETS)
    monkeypatch.setattr(imagenet_tables, "original", lambda name: model)
    monkeypatch.setattr(imagenet_tables, "EXAMPLES", 3)
    monkeypatch.setattr(imagenet_tables.measurements, "read_measurement", read)
    monkeypatch.setattr(imagenet_tables.measurements, "keep_measurement", keep)
    return seen, kept


def test_no_picture_that_calibrated_is_judged(folder, recording):
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


def test_rows_of_other_seeds_stay(folder, recording):
    seen, kept = recording
    list(imagenet_tables.record(folder, ["squeezenet1_1"], [5, 6]))
    five = [row for row in kept["released/squeezenet1_1"][0] if row["seed"] == 5]
    command = [str(folder), "--network", "squeezenet1_1", "--seeds", "6", "0"]
    assert imagenet_tables.main(command) == 0
    rows, _ = kept["released/squeezenet1_1"]
    assert [row["seed"] for row in rows] == [0] * 4 + [5] * 4 + [6] * 4  # 6 anew, none twice
    assert rows[4:8] == five and len(seen) == 8


def test_rows_that_another_run_makes_meanwhile_stay(folder, recording):
    _, kept = recording
    one = imagenet_tables.record(folder, ["squeezenet1_1"], [1])
    next(one)
    list(imagenet_tables.record(folder, ["squeezenet1_1"], [2]))
    list(one)
    rows, _ = kept["released/squeezenet1_1"]
    assert [row["seed"] for row in rows] == [1] * 4 + [2] * 4


def test_rows_of_targets_that_nobody_asks_for_any_more_go(folder, recording, monkeypatch):
    _, kept = recording
    list(imagenet_tables.record(folder, ["squeezenet1_1"], [0, 1]))
    monkeypatch.setattr(imagenet_tables, "TARGETS", {"squeezenet1_1": (20, 30)})
    list(imagenet_tables.record(folder, ["squeezenet1_1"], [0]))
    rows, _ = kept["released/squeezenet1_1"]
    found = [(row["seed"], row["target"]) for row in rows if not row["half"]]
    assert found == [(0, 20), (0, 30), (1, 10), (1, 20)]


def test_a_run_that_is_cut_off_loses_no_row_of_its_seeds(folder, recording):
    _, kept = recording
    list(imagenet_tables.record(folder, ["squeezenet1_1"], [5]))
    again = imagenet_tables.record(folder, ["squeezenet1_1"], [5])
    next(again)  # its first row is measured anew
    again.close()
    rows, _ = kept["released/squeezenet1_1"]
    places = {(row["seed"], row["half"], row["target"]) for row in rows}
    assert len(rows) == len(places) == 4


def test_mistakes_are_named(folder, tmp_path, capsys):
    assert imagenet_tables.main([str(folder), "--network", "mars"]) == 2
    assert "unknown network in mars" in capsys.readouterr().err
    assert imagenet_tables.main([str(tmp_path / "nowhere")]) == 2
    with pytest.raises(SystemExit):
        imagenet_tables.main([str(folder), "--seeds"])  # none named


def test_bytes_are_grouped_by_what_they_hold(model):
    data, parts = container.encode_sqz(model)
    found = imagenet_tables.grouped(parts)
    assert sum(found.values()) == len(data) and all(found.values())
