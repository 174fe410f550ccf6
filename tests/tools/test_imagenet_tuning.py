"""The maker of the table of tuning, without its hours."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from squeeze_utils.base.measurements import Measurement
from squeeze_utils.compress.pricing import Squeezed
from squeeze_utils.compress.pricing.tuning import Tuned
from squeeze_utils.imagenet import tuning_gain
from squeeze_utils.models import build
from tools import imagenet_tuning


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    """A narrow SqueezeNet 1.1 whose biases are not zero."""
    torch.manual_seed(0)
    network = build("squeezenet1_1", width=0.125).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_((parameter.ndim == 1) * 0.01)
    return network


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root, others = (tmp_path_factory.mktemp(name) for name in ("pictures", "others"))
    generator = torch.Generator().manual_seed(0)
    for name in ("n01440764", "goldfish", "n01484850"):
        (root / name).mkdir()
        for i in range(4):
            noise = torch.randint(256, (60, 80, 3), generator=generator, dtype=torch.uint8)
            Image.fromarray(noise.numpy()).resize((320, 240)).save(root / name / f"{i}.png")
    Image.new("RGB", (300, 260)).save(others / "0.png")
    return root, others


@pytest.fixture
def recording(model, monkeypatch):
    """Rounding and tuning replaced: the images they were shown, and the table that is kept."""
    seen, kept = {"rounding": [], "tuning": []}, {}
    other = build("squeezenet1_1", width=0.125).eval()

    def squeeze(network, images, target, seed, progress, coder):
        seen["rounding"].append(images)
        return Squeezed(other, b"x" * target, {}, [], 1.0)

    def tune(rounded, network, batches, held, target, coder, progress):
        seen["tuning"].append((held, target))
        return Tuned(Squeezed(model, b"x" * (target - 1), {}, [], 1.0), 0.5, 0.25, 10)

    def keep(name, rows, **about):
        kept[name] = list(rows), about

    monkeypatch.setattr(imagenet_tuning, "kept_squeeze", squeeze)
    monkeypatch.setattr(imagenet_tuning.tuning, "tune", tune)
    monkeypatch.setattr(imagenet_tuning, "original", lambda name: model)
    monkeypatch.setattr(
        imagenet_tuning.measurements,
        "read_measurement",
        lambda name: Measurement(*kept[name]) if name in kept else None,
    )
    monkeypatch.setattr(imagenet_tuning.measurements, "keep_measurement", keep)
    return seen, kept


def test_three_files_are_judged_on_pictures_that_none_of_them_saw(folders, recording):
    seen, kept = recording
    list(imagenet_tuning.record(*folders, seeds=(4,), targets=(30,)))
    rows, about = kept[tuning_gain.NAME]
    assert [(row["half"], row["stage"], row["bytes"], row["calibrated"]) for row in rows] == [
        (0, "all", 30, 6), (0, "rounded", 30, 5), (0, "tuned", 29, 5),
        (1, "all", 30, 6), (1, "rounded", 30, 5), (1, "tuned", 29, 5),
    ]  # fmt: skip
    assert all(row["n"] == 6 == len(row["divergences"]) for row in rows)
    for row in rows:
        assert sum(row["divergences"]) == pytest.approx(row["divergence"], abs=1e-3)
        assert (row["divergence"] < 1e-6) == (row["stage"] == "tuned")  # the original itself here
    assert [row["held_before"] for row in rows if row["stage"] == "tuned"] == [0.5, 0.5]
    assert about["original"]["n"] == 12 and about["photographs"].startswith("1 pictures of others")
    shown, all_of_first, second, *_ = seen["rounding"]
    (held, target), _ = seen["tuning"]
    assert len(held) == 1 and target == 30 and len(shown) == 10
    assert not any(torch.equal(held[0], image) for image in shown)  # held back
    assert any(torch.equal(held[0], image) for image in all_of_first)
    assert not any(torch.equal(a, b) for a in all_of_first for b in second)


def test_rows_of_others_stay_and_own_ones_are_replaced(folders, recording):
    _, kept = recording
    run = [str(folder) for folder in folders]
    assert imagenet_tuning.main([*run, "--targets", "30", "--halves", "1"]) == 0
    assert imagenet_tuning.main([*run, "--targets", "30", "--halves", "0"]) == 0
    assert imagenet_tuning.main([*run, "--targets", "30", "20", "--seeds", "1"]) == 0
    assert imagenet_tuning.main([*run, "--targets", "30", "--halves", "1"]) == 0
    rows, _ = kept[tuning_gain.NAME]
    places = [(row["seed"], row["half"], row["target"], row["stage"]) for row in rows]
    assert len(places) == len(set(places)) == 18 and places == sorted(places)


def test_mistakes_are_named(folders, tmp_path, capsys):
    assert imagenet_tuning.main([str(tmp_path / "nowhere"), str(folders[1])]) == 2
    assert "there is no folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        imagenet_tuning.main([*map(str, folders), "--halves", "2"])


def test_the_table_names_a_network_of_the_tables(monkeypatch):
    monkeypatch.setattr("tools.imagenet_tables.networks.fetch", lambda: "file")
    monkeypatch.setattr("tools.imagenet_tables.networks.trained", lambda source: source)
    assert imagenet_tuning.original(tuning_gain.NETWORK) == "file"
