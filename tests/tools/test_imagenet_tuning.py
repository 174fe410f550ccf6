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


def test_all_files_are_judged_on_pictures_that_none_of_them_saw(folders, recording):
    seen, kept = recording
    list(imagenet_tuning.record(*folders, seeds=(4,), targets=(30,)))
    rows, about = kept[tuning_gain.NAME]
    three = [("rounded", 30, 6), ("rounded without a fifth", 30, 5), ("tuned", 29, 6)]
    assert [(row["half"], row["stage"], row["bytes"], row["calibrated"]) for row in rows] == [
        (half, *one) for half in (0, 1) for one in three
    ]
    assert all(row["n"] == 6 == len(row["divergences"]) for row in rows)
    for row in rows:
        assert sum(row["divergences"]) == pytest.approx(row["divergence"], abs=1e-3)
        tuned = row["stage"] == "tuned"  # the original itself here
        assert (row["divergence"] < 1e-6) == tuned == ("held_before" in row)
    assert about["original"]["n"] == 12 and about["photographs"].startswith("1 pictures of others")
    whole, _, without, second, *_ = seen["rounding"]  # as STAGES are ordered
    (held, target), *_ = seen["tuning"]
    assert len(held) == 1 and target == 30 and len(whole) == 12 and len(without) == 10
    assert not any(torch.equal(held[0], image) for image in without)
    assert any(torch.equal(held[0], image) for image in whole)
    assert not any(torch.equal(a, b) for a in whole for b in second)


def test_no_picture_that_tuning_holds_back_is_in_its_batches(folders, recording, monkeypatch):
    seen, drawn = recording[0], []
    monkeypatch.setattr(
        imagenet_tuning.pictures, "mixed_crops", lambda *arguments: drawn.append(arguments)
    )
    list(imagenet_tuning.record(*folders, targets=(30,), halves=(0,), stages=("tuned",)))
    ((shown, others, _, seed),), ((held, _),) = drawn, seen["tuning"]
    assert len(shown) == 5 and len(others) == 1 and seed == 0
    batches = imagenet_tuning.pictures.batches(shown, imagenet_tuning.original("any"))
    assert not any(torch.equal(held[0], image) for batch in batches for image in batch)


def test_rows_of_others_stay_and_own_ones_are_replaced(folders, recording):
    _, kept = recording
    run = [str(folder) for folder in folders]
    assert imagenet_tuning.main([*run, "--targets", "30", "--halves", "1"]) == 0
    assert imagenet_tuning.main([*run, "--targets", "30", "--halves", "0"]) == 0
    assert imagenet_tuning.main([*run, "--targets", "30", "20", "--seeds", "1"]) == 0
    assert imagenet_tuning.main([*run, "--targets", "30", "--halves", "1"]) == 0
    only = ["--targets", "9", "--halves", "1", "--stages", "rounded"]
    assert imagenet_tuning.main([*run, *only]) == 0
    rows, _ = kept[tuning_gain.NAME]
    places = [(row["seed"], row["half"], row["target"], row["stage"]) for row in rows]
    assert len(places) == len(set(places)) == 19 and places == sorted(places)


def test_mistakes_are_named(folders, tmp_path, capsys):
    assert imagenet_tuning.main([str(tmp_path / "nowhere"), str(folders[1])]) == 2
    assert "there is no folder" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        imagenet_tuning.main([*map(str, folders), "--halves", "2"])


def test_the_table_names_a_network_of_the_tables(monkeypatch):
    monkeypatch.setattr("tools.imagenet_tables.networks.fetch", lambda: "file")
    monkeypatch.setattr("tools.imagenet_tables.networks.trained", lambda source: source)
    assert imagenet_tuning.original(tuning_gain.NETWORK) == "file"
