from __future__ import annotations

import subprocess
import sys

import pytest

from squeeze_utils.base import memory

PROGRAM = """
import sys
from squeeze_utils.base.memory import peak_bytes
before = peak_bytes()
block = b"x" * 64_000_000
del block
print(before, peak_bytes() - before, "torch" in sys.modules)
"""


def test_the_peak_sees_what_was_freed_again_and_loads_no_library():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    before, rise, torch_loaded = done.stdout.split()
    assert 4e6 < int(before) < 100e6
    assert 0.9 * 64e6 < int(rise) < 1.2 * 64e6
    assert torch_loaded == "False"


def missing(path):
    raise FileNotFoundError(path)


def test_elsewhere_the_operating_system_is_asked(monkeypatch):
    resource = pytest.importorskip("resource")

    monkeypatch.setattr(memory, "open", missing, raising=False)
    known = resource.getrusage(resource.RUSAGE_SELF)
    monkeypatch.setattr(resource, "getrusage", lambda who: known)
    monkeypatch.setattr(memory.sys, "platform", "linux")
    assert memory.peak_bytes() == 1024 * known.ru_maxrss
    monkeypatch.setattr(memory.sys, "platform", "darwin")
    assert memory.peak_bytes() == known.ru_maxrss


def test_where_nobody_knows_it_says_so(monkeypatch):
    monkeypatch.setattr(memory, "open", missing, raising=False)
    monkeypatch.setitem(sys.modules, "resource", None)
    with pytest.raises(OSError, match="peak memory needs Linux or macOS"):
        memory.peak_bytes()
