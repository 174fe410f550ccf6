"""`start()`: what a set-up cell does and prints."""

from __future__ import annotations

import random

import numpy as np
import pandas as pd
import pytest
import torch

pytest.importorskip("matplotlib")
pytest.importorskip("IPython")

from IPython.core.formatters import DisplayFormatter

from squeeze_utils import __version__, notebook


@pytest.fixture(autouse=True)
def undo(monkeypatch):
    import matplotlib

    monkeypatch.delenv("SQUEEZE_SCALE", raising=False)
    monkeypatch.delenv("SQUEEZE_THREADS", raising=False)
    threads = torch.get_num_threads()
    with matplotlib.rc_context():
        yield
    torch.set_num_threads(threads)


def test_returns_the_quick_scale_and_prints_one_block(capsys):
    scale = notebook.start()
    captured = capsys.readouterr()
    assert scale.name == "quick"
    lines = captured.out.splitlines()
    assert [line.split()[0] for line in lines] == ["versions", "device", "scale", "seed", "data"]
    assert f"torch {torch.__version__}" in lines[0]
    assert f"squeeze_utils {__version__}" in lines[0]
    assert lines[2].split() == ["scale", "quick"]
    assert captured.err == ""


def test_a_table_without_rows_shows_as_a_sentence():
    display = DisplayFormatter()
    notebook.show_empty_tables_in_words(display)
    shown, _ = display.format(pd.DataFrame(columns=["accuracy"]))
    assert shown == {"text/plain": "No rows yet."}
    shown, _ = display.format(pd.DataFrame({"accuracy": [91.5]}))
    assert "91.5" in shown["text/plain"] and "<td>91.5</td>" in shown["text/html"]


def test_scale_comes_from_the_environment(monkeypatch, capsys):
    monkeypatch.setenv("SQUEEZE_SCALE", "reference")
    assert notebook.start().name == "reference"
    assert "reference" in capsys.readouterr().out


def test_unknown_scale_is_refused_before_anything_is_printed(monkeypatch, capsys):
    monkeypatch.setenv("SQUEEZE_SCALE", "huge")
    with pytest.raises(ValueError, match=r"(?s)huge.*quick|quick.*huge"):
        notebook.start()
    assert capsys.readouterr().out == ""


def test_seeds_every_global_generator():
    def draw():
        return random.random(), np.random.rand(), torch.rand(1).item()

    notebook.start(seed=7)
    first = draw()
    notebook.start(seed=7)
    assert draw() == first
    notebook.start(seed=8)
    assert all(a != b for a, b in zip(draw(), first, strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32, 1.5, "0", True, None])
def test_a_bad_seed_is_refused(seed):
    with pytest.raises(ValueError, match="whole number from 0"):
        notebook.start(seed=seed)


def test_threads_only_when_asked(monkeypatch):
    before = torch.get_num_threads()
    notebook.start()
    assert torch.get_num_threads() == before
    monkeypatch.setenv("SQUEEZE_THREADS", "1")
    notebook.start()
    assert torch.get_num_threads() == 1


@pytest.mark.parametrize("threads", ["0", "-1", "two", "1.5"])
def test_bad_thread_counts_are_refused(monkeypatch, threads):
    monkeypatch.setenv("SQUEEZE_THREADS", threads)
    with pytest.raises(ValueError, match="SQUEEZE_THREADS"):
        notebook.start()


def test_the_block_never_shows_where_the_data_lies(monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("SQUEEZE_DATA", str(tmp_path))
    notebook.start()
    out = capsys.readouterr().out
    assert str(tmp_path) not in out
    assert "SQUEEZE_DATA" in out


def test_a_graphics_card_is_named(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda: "Some Card")
    formats = {"cuda": "bfloat16", "cpu": "float32"}
    monkeypatch.setattr(
        "squeeze_utils.base.machine.precision", lambda wanted, device: formats[device]
    )
    quick, reference = (notebook.describe(scale, 0) for scale in ("quick", "reference"))
    assert "trains in float32 · cuda (Some Card) trains at reference scale" in quick
    assert "cuda (Some Card)" in reference and "trains in bfloat16" in reference


def test_the_house_style_is_on():
    import matplotlib

    matplotlib.rcParams["pdf.fonttype"] = 3
    notebook.start()
    assert matplotlib.rcParams["pdf.fonttype"] == 42
