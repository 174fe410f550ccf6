from __future__ import annotations

import subprocess

import pytest
import torch

from squeeze_utils import __version__
from squeeze_utils.base import machine, paths


@pytest.mark.parametrize("wanted", ["float32", "bfloat16"])
def test_a_precision_that_is_asked_for_is_taken(wanted):
    assert machine.precision(wanted) == wanted


def test_an_unknown_precision_is_refused():
    with pytest.raises(ValueError, match="unknown precision 'half'; accepted: auto, float32"):
        machine.precision("half")


@pytest.mark.parametrize(("has_it", "chosen"), [(True, "bfloat16"), (False, "float32")])
def test_auto_is_bfloat16_where_the_processor_has_it(has_it, chosen, monkeypatch):
    monkeypatch.setattr(machine, "_processor_has_bfloat16", lambda: has_it)
    assert machine.precision("auto", "cpu") == chosen


def test_a_torch_without_onednn_computes_in_float32(monkeypatch):
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    assert machine.precision("auto") == "float32"


def test_emulated_bfloat16_is_not_chosen(monkeypatch):
    if not hasattr(torch.cpu, "_is_avx512_bf16_supported"):
        pytest.skip("this torch does not say what the processor has")
    monkeypatch.setattr(machine.platform, "machine", lambda: "x86_64")
    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda: False)
    assert machine.precision("auto") == "float32"


@pytest.mark.parametrize(("native", "chosen"), [(True, "bfloat16"), (False, "float32")])
def test_a_gpu_that_only_emulates_bfloat16_computes_in_float32(native, chosen, monkeypatch):
    """As Colab's T4 does, of which torch says that it supports bfloat16."""
    monkeypatch.setattr(
        torch.cuda,
        "is_bf16_supported",
        lambda including_emulation=True: including_emulation or native,
    )
    assert machine.precision("auto", "cuda") == chosen


def test_versions_and_device_are_named():
    found = machine.versions()
    assert set(found) == {"python", "torch", "torchvision", "numpy", "squeeze_utils"}
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["squeeze_utils"] in (__version__, "not installed")
    threads = torch.get_num_threads()
    assert machine.device_name("cpu").endswith(f", {threads} thread{'' if threads == 1 else 's'}")
    assert isinstance(machine.keep_freed_memory(), bool)


def _git(folder, *arguments):
    name = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", "-C", str(folder), *name, *arguments], check=True, capture_output=True)


def test_the_commit_is_marked_when_package_code_differs(tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "repository", lambda: tmp_path)
    assert machine.commit() == "unknown" or len(machine.commit()) >= 12  # no git, or one around
    package = tmp_path / "squeeze_utils"
    package.mkdir()
    (package / "a.py").write_text("a = 1\n")
    _git(tmp_path, "init")
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-m", "one")
    clean = machine.commit()
    assert len(clean) == 12 and set(clean) <= set("0123456789abcdef")
    (tmp_path / "note.txt").write_text("outside the package\n")
    assert machine.commit() == clean
    (package / "a.py").write_text("a = 2\n")
    assert machine.commit() == f"{clean}+changes"


def test_an_installed_package_names_its_version(monkeypatch):
    monkeypatch.setattr(machine, "repository", lambda: None)
    assert machine.commit().startswith("squeeze_utils ")


def test_places_in_a_checkout_and_in_an_installed_package(tmp_path, monkeypatch):
    assert paths.shipped("runs") == paths.repository() / "data" / "runs"
    assert paths.cache() == paths.repository() / "data" / "cache"
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "squeeze_utils")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert paths.repository() is None
    assert paths.shipped("runs") == tmp_path / "squeeze_utils" / "_data" / "runs"
    assert paths.cache() == tmp_path / "cache" / "squeeze_utils"
