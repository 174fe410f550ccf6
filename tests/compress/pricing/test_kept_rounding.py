"""A rounding that is on disk is not made again, and only a whole and fitting one is used."""

from __future__ import annotations

import pytest
import torch
from biased_networks import biased_network, grey_images

from squeeze_utils.compress.pricing import Squeezed, kept_rounding
from squeeze_utils.compress.sqz import container

ROW = {"layer": "features.0", "step": 0.5}


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """`kept_squeeze` in a folder of its own, and the calls of `squeeze` behind it."""
    calls = []

    def squeeze(model, images, target_bytes, seed, progress, coder):
        calls.append((target_bytes, seed, coder))
        data, parts = container.encode_sqz(model, coder)
        steps = {"features.0.weight": torch.tensor([0.5])}
        return Squeezed(container.decode_sqz(data), data, parts, [ROW], 0.25, steps)

    def call(model, images=None, *arguments, **options):
        images = grey_images() if images is None else images
        return kept_rounding.kept_squeeze(
            model, images, *(arguments or (9_000,)), **options, folder=tmp_path
        )

    monkeypatch.setattr(kept_rounding, "squeeze", squeeze)
    return call, calls, tmp_path


def test_the_second_call_reads_what_the_first_has_made(kept):
    call, calls, folder = kept
    first, again = call(biased_network(0.125)), call(biased_network(0.125))
    assert len(calls) == 1 and len(list(folder.iterdir())) == 1
    assert (again.data, again.parts, again.price) == (first.data, first.parts, first.price)
    assert again.layers == [ROW] and again.grids == first.grids
    assert torch.equal(again.model(grey_images()), first.model(grey_images()))


def test_another_network_other_images_and_other_arguments_are_rounded_anew(kept, monkeypatch):
    call, calls, _ = kept
    model = biased_network(0.125)
    call(model)
    call(model, grey_images() + 1)
    call(model, None, 8_000)
    call(model, None, 9_000, 1)
    call(model, coder="range")
    with torch.no_grad():
        model.classifier[1].bias[0] += 1
    call(model)
    monkeypatch.setattr(kept_rounding.machine, "versions", lambda: {"torch": "9"})
    call(model)
    assert len(calls) == 7


def test_another_version_of_the_coders_library_rounds_anew(kept, monkeypatch):
    call, calls, _ = kept
    call(biased_network(0.125))
    monkeypatch.setattr(kept_rounding.metadata, "version", lambda name: f"{name} 9")
    call(biased_network(0.125))
    assert len(calls) == 2


def test_all_that_writes_a_file_is_known_as_code():
    names = {file.name for file in kept_rounding.CODE}
    assert {"forms.py", "floats.py", "compact.py", "mixture.py", "huffman.py", "bits.py"} < names
    assert {"container.py", "after_training.py", "replacing.py"} < names
    assert all(file.is_file() for file in kept_rounding.CODE)


def test_other_code_rounds_anew(kept, tmp_path_factory, monkeypatch):
    call, calls, _ = kept
    call(biased_network(0.125))
    changed = tmp_path_factory.mktemp("code") / "priced_rounding.py"
    changed.write_text("MOST = 3\n")
    monkeypatch.setattr(kept_rounding, "CODE", (*kept_rounding.CODE[1:], changed))
    call(biased_network(0.125))
    assert len(calls) == 2


def test_a_damaged_file_or_another_ones_is_replaced(kept, monkeypatch):
    call, calls, folder = kept
    call(biased_network(0.125))
    (path,) = folder.iterdir()
    path.write_bytes(path.read_bytes()[:-9])
    call(biased_network(0.125))
    call(biased_network(0.125))
    assert len(calls) == 2
    other = path.with_name("0" * 32 + ".rounded")
    path.rename(other)  # whole, but made of something else
    monkeypatch.setattr(kept_rounding, "_signature", lambda *arguments: "0" * 32)
    call(biased_network(0.125))
    assert len(calls) == 3
