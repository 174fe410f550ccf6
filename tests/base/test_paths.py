from __future__ import annotations

import os

from squeeze_utils.base import paths


def test_places_in_a_checkout(monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: True)
    assert paths.shipped("runs") == paths.repository() / "data" / "runs"
    assert paths.cache() == paths.repository() / "data" / "cache"


def test_places_of_an_installed_package(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "squeeze_utils")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert paths.repository() is None
    assert paths.shipped("runs") == tmp_path / "squeeze_utils" / "_data" / "runs"
    assert paths.cache() == tmp_path / "cache" / "squeeze_utils"
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.setattr(paths.Path, "home", lambda: tmp_path)
    assert paths.cache() == tmp_path / ".cache" / "squeeze_utils"


def test_a_checkout_that_cannot_be_written_leaves_the_cache_to_the_user(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    refused = []
    monkeypatch.setattr(os, "access", lambda path, mode: refused.append((path, mode)))
    assert paths.cache() == tmp_path / "squeeze_utils"
    assert refused == [(paths.repository() / "data", os.W_OK)]
