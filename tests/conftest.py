"""Fixtures of more than one file."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from hypothesis import settings

from squeeze_utils.__main__ import main
from squeeze_utils.training import loop

settings.register_profile("series", deadline=None, derandomize=True, database=None)
settings.load_profile("series")  # busy machines are slow, and a test fails today as tomorrow


def _own_addresses() -> set[str]:
    name = socket.gethostname()
    try:
        return {name, *socket.gethostbyname_ex(name)[2]}
    except OSError:  # a machine that does not know its own address
        return {name}


@pytest.fixture(scope="session", autouse=True)
def no_network() -> Iterator[None]:
    """No test reaches another machine. Its own addresses are fine: workers and servers use them.

    So is `connect` of a datagram socket, which sends nothing: dask finds its own address with it.
    """
    near = {"localhost", "127.0.0.1", "::1", "0.0.0.0", "::", "", None, *_own_addresses()}
    connect, look_up = socket.socket.connect, socket.getaddrinfo

    def connect_here(self: socket.socket, address: object) -> None:
        internet = self.family in (socket.AF_INET, socket.AF_INET6)
        if internet and self.type == socket.SOCK_STREAM and address[0] not in near:
            raise AssertionError(f"a test tried to connect to {address[0]}")
        connect(self, address)

    def look_up_here(host: object, *rest: object, **more: object) -> object:
        if host not in near:
            raise AssertionError(f"a test asked for the address of {host}")
        return look_up(host, *rest, **more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket.socket, "connect", connect_here)
        patch.setattr(socket, "getaddrinfo", look_up_here)
        yield


@pytest.fixture
def says(capsys):
    """The one line that a command with a mistake in it answers."""

    def get(*arguments: object) -> str:
        capsys.readouterr()
        assert main([str(argument) for argument in arguments]) == 2
        (line,) = capsys.readouterr().err.splitlines()
        return line

    return get


@pytest.fixture
def fits(monkeypatch):
    """The learning rate of every call of `fit`, in order."""
    calls = []
    real = loop.fit

    def counted(model, data, plan, **options):
        calls.append(plan.lr)
        return real(model, data, plan, **options)

    monkeypatch.setattr(loop, "fit", counted)
    return calls
