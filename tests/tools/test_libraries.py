"""The tables of the sections "At work": what does not need the libraries themselves."""

from __future__ import annotations

import functools
import io
import json
import zipfile
from datetime import date, timedelta

import pytest
import torch
from tiny import tiny_set, tiny_spec

from squeeze_utils.base import measurements, paths
from squeeze_utils.data import load_images
from squeeze_utils.results.library_tables import TOPICS, library_table
from tools.libraries import __main__ as command
from tools.libraries import kept_up, scores, trials
from tools.libraries.bench import Bench, zipped


@pytest.fixture
def bench(tmp_path, monkeypatch):
    torch.manual_seed(0)
    model = tiny_spec(num_classes=3).build().eval()
    monkeypatch.setattr(Bench, "network", lambda self: model)
    return Bench(tiny_set(), tmp_path)


def test_a_row_compares_with_the_float_network(bench):
    row = bench.row("as it is", "torch", bench.network(), 12)
    assert (row["agreement"], row["bytes"], row["version"]) == (
        100.0,
        12,
        torch.__version__.split("+")[0],
    )
    right = bench.logits.argmax(1) == bench.images.test.labels
    assert row["accuracy"] == round(100 * right.double().mean().item(), 2)
    assert bench.row("zeros", "torch", lambda x: torch.zeros(len(x), 3), 1)["agreement"] < 100


def test_the_networks_of_a_topic_are_timed_together(bench, monkeypatch):
    monkeypatch.setattr("tools.libraries.bench.REPETITIONS", 3)
    calls = []

    def network(name):
        return lambda x: calls.append(name) or torch.zeros(len(x), 3)

    found = bench.timed(bench.row(name, "torch", network(name), 1) for name in "ab")
    assert [row["tool"] for row in found] == ["a", "b"]
    assert all(row["milliseconds"] >= 0 for row in found)
    assert calls[-6:] == ["a", "b", "b", "a", "a", "b"]  # 3 rounds, each begins one place on


def test_what_only_simulates_is_not_timed(bench, monkeypatch):
    monkeypatch.setattr("tools.libraries.bench.REPETITIONS", 3)
    model, calls = bench.network(), []

    def rounding(x):
        calls.append(x)
        return model(x)

    rows = [
        bench.row("float", "torch", model, 1),
        bench.row("rounds in float", "torch", rounding, 1, simulated=True),
    ]
    calls.clear()
    found = {row["tool"]: row["milliseconds"] for row in bench.timed(rows)}
    assert found["float"] >= 0 and found["rounds in float"] is None and not calls


def test_zip_holds_the_same_bytes():
    archive = zipfile.ZipFile(io.BytesIO(zipped(b"abc" * 1000)))
    assert archive.read("state") == b"abc" * 1000
    assert len(zipped(b"abc" * 1000)) < 300


def test_old_releases_are_named(monkeypatch):
    today = date.today()
    days = {"old": 800, "new": 3}

    def answer(request, timeout):
        name = request.full_url.rstrip("/").rpartition("/")[2]
        found = today - timedelta(days=days[name])
        files = [{"upload-time": f"{when}T00:00"} for when in ("2001-01-01", found.isoformat())]
        return io.BytesIO(json.dumps({"files": files}).encode())

    monkeypatch.setattr(kept_up, "LIBRARIES", {"old": "this", "new": "that"})
    monkeypatch.setattr(kept_up.urllib.request, "urlopen", answer)
    old, new = kept_up.kept_up(None)
    assert old["note"] == "this; no release for 800 days" and new["note"] == "that; kept up"
    assert new["last_release"] == (today - timedelta(days=3)).isoformat()


def test_a_topic_is_kept_where_the_notebooks_look(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)
    assert set(command.TOPICS) <= set(TOPICS)
    rows = [{"tool": "a", "score": 1.0}]
    monkeypatch.setitem(command.TOPICS, "scores", lambda bench: iter(rows))
    command.keep("scores", bench)
    assert measurements.read_measurement("libraries/scores").rows == rows
    assert library_table("scores").frame.loc["a", "score, %"] == "1.0000"


def test_a_topic_of_our_network_is_kept_with_its_times(bench, tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)
    row = functools.partial(bench.row, "as it is", "torch", bench.network(), 12)
    monkeypatch.setitem(command.TOPICS, "coding", lambda bench: iter([row()]))
    command.keep("coding", bench)
    found = library_table("coding")
    assert found.frame.loc["as it is", "ms a picture"] and "medians of 30 rounds" in found.source


def test_an_unknown_topic_is_refused(capsys):
    with pytest.raises(SystemExit):
        command.main(["codding"])
    assert "unknown topic codding; accepted:" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        command.main(["released"])
    assert "released needs --pictures" in capsys.readouterr().err


def test_retraining_keeps_the_masks(bench, monkeypatch):
    from squeeze_utils.training.loop import Train

    monkeypatch.setattr(trials, "RETRAIN", Train(1, batch_size=16))
    model = bench.network()
    name, weight = next(item for item in model.named_parameters() if item[1].dim() == 2)
    mask = (torch.rand_like(weight) < 0.5).float()
    before = weight.detach().clone()
    trials._retrain(model, bench, {name: mask})
    after = dict(model.named_parameters())[name].detach()
    assert not after[mask == 0].any() and not torch.equal(before[mask == 1], after[mask == 1])


def test_shaken_answers_are_neither_perfect_nor_lost():
    images = {name: load_images(f"digit_{name}") for name in ("scenes", "masks")}
    found, truth = scores.shaken_boxes(images["scenes"])
    mean = scores._our_map(found, truth, 10)
    outputs = scores.shaken_masks(images["masks"])[:40]
    covered = scores._our_iou(outputs, images["masks"].test.labels[:40])
    assert 0.2 < mean < 0.9 and 0.2 < covered < 0.9


def test_the_kept_scores_of_torchmetrics_are_ours():
    kept = {
        row["tool"]: row["score"] for row in measurements.read_measurement("libraries/scores").rows
    }
    assert kept["ours, mAP50"] == pytest.approx(kept["torchmetrics, recalls in double"], abs=1e-4)
    assert kept["ours, mIoU"] == pytest.approx(kept["torchmetrics, mIoU"], abs=1e-4)
