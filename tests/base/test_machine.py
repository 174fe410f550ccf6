from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import date, datetime, timedelta, timezone

import pytest
import torch

from squeeze_utils import __version__
from squeeze_utils.base import machine


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


def test_versions_are_named():
    found = machine.versions()
    assert set(found) == {"python", "torch", "torchvision", "numpy", "squeeze_utils"}
    assert found["torch"].split("+")[0] == torch.__version__.split("+")[0]
    assert found["squeeze_utils"] in (__version__, "not installed")


FREED = """
import resource
from squeeze_utils.base.machine import keep_freed_memory

def page_faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(10):
        block = b"x" * 64_000_000
        del block
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(page_faults(), keep_freed_memory(), page_faults(), page_faults())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is a setting of glibc")
def test_freed_memory_is_kept_and_does_not_come_back_as_page_faults():
    done = subprocess.run([sys.executable, "-c", FREED], capture_output=True, text=True)
    before, taken, _, after = done.stdout.split()
    assert taken == "True"
    assert int(before) >= 100 and int(after) < int(before) / 10


def test_another_system_keeps_its_own_ways(monkeypatch):
    ask = machine.keep_freed_memory.__wrapped__
    monkeypatch.setattr(machine.ctypes, "CDLL", lambda name: object())  # without mallopt
    assert ask() is False
    monkeypatch.setattr(machine.sys, "platform", "darwin")
    assert ask() is False


def test_the_device_is_named_with_its_threads(monkeypatch):
    monkeypatch.setattr(machine, "_processor", lambda: "Example 3000")
    for threads, words in ((1, "1 thread"), (4, "4 threads")):
        monkeypatch.setattr(torch, "get_num_threads", lambda threads=threads: threads)
        assert machine.device_name("cpu") == f"Example 3000, {words}"
    monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: f"GPU of {device}")
    assert machine.device_name("cuda:1") == "GPU of cuda:1"


def test_the_facts_of_a_measurement(monkeypatch):
    monkeypatch.setattr(machine, "commit", lambda: "0123456789ab")
    found = machine.facts("cpu")
    today = datetime.now(timezone.utc).date()
    assert list(found) == ["device", "versions", "commit", "date"]
    assert found["device"] == machine.device_name("cpu")
    assert found["versions"] == machine.versions()
    assert found["commit"] == "0123456789ab"
    assert today - date.fromisoformat(found["date"]) <= timedelta(days=1)
    assert machine.facts(at_commit="begun at")["commit"] == "begun at"


@pytest.mark.parametrize(("jobs", "threads"), [(1, 6), (2, 3), (4, 1), (9, 1)])
def test_processes_share_the_threads(jobs, threads, monkeypatch):
    monkeypatch.setattr(machine, "cores", lambda: 6)
    assert machine.threads_each(jobs) == threads


def test_cores_are_those_that_the_process_may_use(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 64)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0, 5}, raising=False)
    assert machine.cores() == 2
    monkeypatch.delattr(os, "sched_getaffinity")
    assert machine.cores() == 64


@pytest.mark.parametrize("jobs", [0, -1, 1.5, True])
def test_a_wrong_number_of_processes_is_refused(jobs):
    with pytest.raises(ValueError, match="jobs must be a whole number of at least 1, got"):
        machine.threads_each(jobs)


def _git(folder, *arguments):
    name = ("-c", "user.name=t", "-c", "user.email=t@example.org")
    subprocess.run(["git", "-C", str(folder), *name, *arguments], check=True, capture_output=True)


def test_the_commit_is_marked_when_package_code_differs(tmp_path, monkeypatch):
    tmp_path = tmp_path / "a folder"
    tmp_path.mkdir()
    monkeypatch.setattr(machine, "repository", lambda: tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent.parent))
    assert machine.commit() == "unknown"  # not a checkout
    (tmp_path.parent / "another").write_text("someone else's\n")
    for arguments in (("init",), ("add", "another"), ("commit", "-m", "theirs")):
        _git(tmp_path.parent, *arguments)
    assert machine.commit() == "unknown"  # inside of another checkout
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
    assert machine.commit() == f"squeeze_utils {machine.versions()['squeeze_utils']}"
