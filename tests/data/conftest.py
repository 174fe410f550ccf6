"""Every test of this room: no network, and a cache folder of its own."""

from __future__ import annotations

import socket

import pytest


@pytest.fixture(autouse=True)
def no_network_and_its_own_cache(monkeypatch, tmp_path, request):
    """No test may open a connection; only those of larger sets use the cache of the checkout."""

    def refuse(*args):
        raise AssertionError("a test tried to open a network connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    if not request.node.get_closest_marker("larger_set"):
        monkeypatch.setattr("squeeze_utils.base.paths.cache", lambda: tmp_path / "cache")
