from __future__ import annotations

import os

from squeeze_utils.base.paths import PACKAGE
from squeeze_utils.base.processes import child_environment


def test_a_process_finds_this_package_before_what_the_user_has(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere/else")
    assert child_environment()["PYTHONPATH"] == f"{PACKAGE.parent}{os.pathsep}/somewhere/else"
    monkeypatch.delenv("PYTHONPATH")
    assert child_environment()["PYTHONPATH"] == str(PACKAGE.parent)


def test_threads_are_set_where_they_are_given(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    monkeypatch.delenv("MKL_NUM_THREADS", raising=False)
    found = child_environment()
    assert found["OMP_NUM_THREADS"] == "7" and "MKL_NUM_THREADS" not in found
    found = child_environment(2, RANK="1")
    assert found["OMP_NUM_THREADS"] == found["MKL_NUM_THREADS"] == "2" and found["RANK"] == "1"
    assert os.environ["OMP_NUM_THREADS"] == "7" and "RANK" not in os.environ
