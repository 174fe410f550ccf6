"""Downloads that do not wait for ever."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager

TIMEOUT = 30.0  # seconds without a single byte before a download is given up


@contextmanager
def socket_timeout(seconds: float = TIMEOUT) -> Iterator[None]:
    """Within, every connection that libraries open ends after `seconds` without a byte."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(seconds)
    try:
        yield
    finally:
        socket.setdefaulttimeout(before)
