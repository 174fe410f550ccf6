"""The guard of `conftest.py`: tests reach this machine and no other."""

from __future__ import annotations

import socket

import pytest


def test_no_other_machine_is_reached():
    with pytest.raises(AssertionError, match="asked for the address"):
        socket.create_connection(("example.org", 80), timeout=1)
    with socket.socket() as own, pytest.raises(AssertionError, match="tried to connect to 192"):
        own.connect(("192.0.2.1", 80))


def test_this_machine_is():
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=5).close()
