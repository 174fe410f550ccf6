"""The processes that train together: which one this is, and how they agree.

Started by `torchrun`, each process joins a group. Without `torchrun` the group is this process
alone, and nothing here does anything.
"""

from __future__ import annotations

import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

T = TypeVar("T")
SECONDS = 300.0  # without a word from the others, after which they are taken for dead
ASKED = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")  # what torchrun sets
LOOPBACK = ("lo", "lo0")
KEPT = "What was finished is kept: start the same command again to go on"


class ProcessGroupError(RuntimeError):
    """The processes cannot train together; the message says what to look at."""


class LostProcessError(RuntimeError):
    """One of the processes that train together has ended before the others."""


@dataclass(frozen=True)
class Ranks:
    """This process among those that train together: number `rank` of `size`, from 0."""

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.size == 1


def here() -> Ranks:
    """This process in its group; alone where no group was joined.

    >>> here()
    Ranks(rank=0, size=1)
    """
    if dist.is_available() and dist.is_initialized():
        return Ranks(dist.get_rank(), dist.get_world_size())
    return Ranks()


def from_first(call: Callable[[], T]) -> T:
    """What `call()` gives in the first process, in all of them; the others do not call it.

    What it raises in the first process ends the others, too.
    """
    ranks = here()
    if ranks.alone:
        return call()
    found: list = [None, None]
    if ranks.first:
        try:
            found[0] = call()
        except Exception as error:
            dist.broadcast_object_list([None, f"{type(error).__name__}: {error}"])
            raise
    dist.broadcast_object_list(found)
    if found[1] is not None:
        raise LostProcessError(f"the first process has failed: {found[1]}")
    return found[0]


def wait_for_all() -> None:
    """Go on when all processes have come here."""
    if not here().alone:
        dist.barrier()


def mean_of_all(values: Tensor) -> Tensor:
    """The mean over the processes, in place; `values` where there is one process."""
    ranks = here()
    if not ranks.alone:
        dist.all_reduce(values)
        values /= ranks.size
    return values


@contextmanager
def joined(seconds: float = SECONDS) -> Iterator[Ranks]:
    """Within, this process is one of those that `torchrun` has started; alone without it.

    Waits for the others at most `seconds`, also later, whenever they exchange something.
    """
    if here().size > 1 or not os.environ.get("RANK"):
        yield here()
        return
    _join(seconds)
    ranks = here()
    try:
        with _says_when_ended(ranks):
            yield ranks
    except RuntimeError as error:
        if _is_lost(error):
            raise LostProcessError(
                f"another of the {ranks.size} processes has ended, so process {ranks.rank} ends, "
                f"too. {KEPT}"
            ) from error
        raise
    finally:
        with suppress(RuntimeError):
            dist.destroy_process_group()


@contextmanager
def _says_when_ended(ranks: Ranks) -> Iterator[None]:
    """Within, this process says why where torchrun ends it: it does so when another one has died.

    Only a main thread can see to that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(*_: object) -> None:
        raise SystemExit(
            f"error: process {ranks.rank} of {ranks.size} was told to end (SIGTERM), as torchrun "
            f"does when another process has died. {KEPT}"
        )

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before or signal.SIG_DFL)


def _join(seconds: float) -> None:
    lacking = [name for name in ASKED if not os.environ.get(name)]
    if lacking:
        raise ProcessGroupError(
            f"RANK is set, but {', '.join(lacking)} is not: start the processes with torchrun"
        )
    _check_interface()
    place = f"{os.environ['MASTER_ADDR']}:{os.environ['MASTER_PORT']}"
    try:
        dist.init_process_group("gloo", timeout=timedelta(seconds=seconds))
    except (RuntimeError, ValueError) as error:
        raise ProcessGroupError(_why(error, place, seconds)) from error


def _check_interface() -> None:
    """GLOO_SOCKET_IFNAME must name interfaces of this machine."""
    named = [name for name in os.environ.get("GLOO_SOCKET_IFNAME", "").split(",") if name]
    known = interfaces()
    unknown = [name for name in named if name not in known]
    if unknown:
        raise ProcessGroupError(
            f"GLOO_SOCKET_IFNAME names {', '.join(unknown)}, but this machine's network interfaces "
            f"are {', '.join(known)}"
        )


def interfaces() -> list[str]:
    """The network interfaces of this machine by name."""
    try:
        return [name for _, name in socket.if_nameindex()]
    except OSError:
        return []


def loopback() -> str | None:
    """The interface by which this machine talks to itself."""
    return next((name for name in interfaces() if name in LOOPBACK), None)


def _why(error: Exception, place: str, seconds: float) -> str:
    """What went wrong when the processes looked for each other, in words."""
    text = str(error)
    if "EADDRINUSE" in text or "address already in use" in text.lower():
        return f"{place} is used by another program: choose another port (--master-port)"
    if "timed out" in text or "Timed out" in text or "Connection refused" in text:
        return (
            f"not all of the {os.environ['WORLD_SIZE']} processes came to {place} within "
            f"{seconds:g} seconds: was each of them started, and can they reach that address?"
        )
    return f"the processes could not meet at {place}: {text.splitlines()[0]}"


def _is_lost(error: RuntimeError) -> bool:
    """Whether gloo says with this error that a process is gone."""
    if isinstance(error, LostProcessError):
        return False
    text = str(error)
    signs = ("Connection closed by peer", "Connection reset", "Broken pipe", "gloo/transport")
    return any(sign in text for sign in signs) or isinstance(error, dist.DistNetworkError)


def seed_for(epoch: int, seed: int) -> None:
    """Give each process random numbers of its own in each epoch, for dropout and mixing.

    All have the same `seed`, so a training that was cut off continues with the same numbers.
    """
    ranks = here()
    if not ranks.alone:
        torch.manual_seed((seed + 1_000_003 * (epoch * ranks.size + ranks.rank + 1)) % 2**63)


def common_generator(device: torch.device) -> torch.Generator | None:
    """Where several processes train: random numbers that are equal in all of them, for weights.

    They are those that one process draws from torch's global generator after `torch.manual_seed`,
    which all processes must have called with the same seed. None where this process is alone: it
    takes the global generator itself.
    """
    if here().alone:
        return None
    return torch.Generator(device).manual_seed(torch.initial_seed())
