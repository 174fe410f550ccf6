"""Bytes on the wire, counted by the operating system for each socket of this process.

Linux keeps for each TCP connection how many bytes of content were sent and received (`TCP_INFO` of
getsockopt). Headers of TCP and IP are not in these numbers, nor what was sent once more because it
seemed lost, nor what other programs send. The connections to the rendezvous store of torch carry
control messages only and are told apart by its port; all others of a training process are gloo's.
"""

from __future__ import annotations

import os
import socket
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

RECEIVED, SENT = 128, 200  # where the counters stand in struct tcp_info (bytes)
SOCKETS = Path("/proc/self/fd")


@dataclass(frozen=True)
class Traffic:
    """Bytes of content that this process has sent, and of control messages both ways."""

    sent: int = 0
    control: int = 0

    def __sub__(self, earlier: Traffic) -> Traffic:
        return Traffic(self.sent - earlier.sent, self.control - earlier.control)


def traffic() -> Traffic | None:
    """What went over the TCP connections that are open now; None where that is not counted.

    `control` is what went to and from the store at MASTER_PORT, in both directions.
    """
    if not SOCKETS.is_dir():
        return None
    port = int(os.environ.get("MASTER_PORT") or 0)
    sent = control = 0
    for name in os.listdir(SOCKETS):
        try:
            found = _connection(int(name))
        except struct.error:  # an old kernel, whose table ends before the counters
            return None
        if found is None:
            continue
        ports, out, back = found
        if port in ports:
            control += out + back
        else:
            sent += out
    return Traffic(sent, control)


def _connection(number: int) -> tuple[tuple[int, int], int, int] | None:
    """Ports and bytes (sent, received) of the TCP connection with this file number."""
    with suppress(OSError, ValueError):
        if not os.readlink(SOCKETS / str(number)).startswith("socket:"):
            return None
        copy = socket.socket(fileno=os.dup(number))
        with copy:
            if copy.type != socket.SOCK_STREAM or copy.family == socket.AF_UNIX:
                return None
            ports = copy.getsockname()[1], copy.getpeername()[1]
            info = copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
        (received,) = struct.unpack_from("Q", info, RECEIVED)
        sent, again = struct.unpack_from("QQ", info, SENT)
        return ports, sent - again, received
    return None


def ring_bytes(numbers: int, processes: int, bytes_each: int = 4) -> float:
    """Bytes that each of n processes sends to sum N numbers in a ring: 2 (n - 1) / n x N x size.

    >>> ring_bytes(1000, 4)
    6000.0
    """
    return 2 * (processes - 1) / processes * numbers * bytes_each
