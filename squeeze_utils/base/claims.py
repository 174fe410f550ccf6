"""Claims: files by which processes that share a folder agree on who does what.

A claim is a small file, made so that of many processes exactly one succeeds. Its owner renews it
every few seconds. Where it is not renewed for long enough, the owner is taken for dead, and
another process makes the claim of the next generation: `name.1.claim` after `name.0.claim`. That
again only one can do, so a dead owner has exactly one heir. Nothing depends on equal clocks: each
process measures by its own how long a claim has not changed.
"""

from __future__ import annotations

import glob
import json
import os
import secrets
import socket
import threading
import time
import warnings
from contextlib import suppress
from pathlib import Path
from typing import Any

from squeeze_utils.base.checks import real_number

CLAIMS = ".claims"  # the name of a folder of claims, beside what is claimed
BEAT = 10.0  # seconds between two renewals
LIMIT = 120.0  # seconds without renewal, after which an owner is taken for dead
PATIENCE = 1.0  # seconds between two looks at what another process has claimed


class Claims:
    """The claims of this process in `folder`.

    An owner on this machine is dead when its process is gone; any owner, wherever it is, when its
    claim was not renewed for `limit` seconds. `beat` is how often own claims are renewed, in
    seconds; it must be well below `limit`.
    """

    def __init__(self, folder: Path, *, beat: float = BEAT, limit: float = LIMIT) -> None:
        real_number("limit", limit, above=0)
        real_number("beat", beat, above=0, most=limit / 2)
        self.folder, self.beat, self.limit = Path(folder), beat, limit
        self._seen: dict[Path, tuple[Any, float]] = {}

    def take(self, name: str) -> Claim | None:
        """The claim on `name`; None where another process that is alive has it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        held = self._generations(name)
        if held and not self._is_dead(held[-1]):
            return None
        path = self._path(name, _generation(held[-1]) + 1 if held else 0)
        claim = Claim.make(path, held, self.beat)
        if claim and held and not held[-1].exists():  # its heir has come and gone: begin anew
            claim.give_back()
            return None
        return claim

    def wait_for(self, name: str) -> Claim:
        """The claim on `name`, once no other process that is alive has it."""
        if claim := self.take(name):
            return claim
        warnings.warn(f"another process works on {name}: waiting for it", stacklevel=3)
        while (claim := self.take(name)) is None:
            time.sleep(PATIENCE)
        return claim

    def _path(self, name: str, generation: int) -> Path:
        return self.folder / f"{name}.{generation}.claim"

    def _generations(self, name: str) -> list[Path]:
        """The claims on `name`, oldest first; the last one counts."""
        found = self.folder.glob(f"{glob.escape(name)}.*.claim")
        return sorted((path for path in found if _parts(path)[0] == name), key=_generation)

    def _is_dead(self, path: Path) -> bool:
        try:
            state: Any = (path.stat().st_mtime_ns, path.stat().st_ino)
        except FileNotFoundError:  # given back just now: the next look will find it free
            return False
        found = _read(path)
        if found and found["machine"] == _machine() and not is_running(found["process"]):
            return True
        before, since = self._seen.get(path, (None, 0.0))
        if state != before:
            self._seen[path] = (state, time.monotonic())
            return False
        return time.monotonic() - since > self.limit


class Claim:
    """One claim, renewed by a thread until it is given back. Use it in a `with` statement."""

    def __init__(self, path: Path, token: str, older: list[Path], beat: float) -> None:
        self.path, self._token, self._older, self._beat = path, token, older, beat
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._renew, daemon=True)
        self._thread.start()

    @classmethod
    def make(cls, path: Path, older: list[Path], beat: float) -> Claim | None:
        """The claim in the file `path`, which must be new; None where another was faster."""
        token = secrets.token_hex(8)
        text = json.dumps({"machine": _machine(), "process": os.getpid(), "token": token})
        try:
            handle = os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        except FileExistsError:
            return None
        with os.fdopen(handle, "w") as file:
            file.write(text)
        return cls(path, token, older, beat)

    def is_lost(self) -> bool:
        """Whether another process took this one for dead, and has the claim now.

        That happens to a process that was stopped for longer than the limit. Others may even have
        come and gone since, and the file be that of a new owner: it has another token.
        """
        name, generation = _parts(self.path)
        heir = self.path.with_name(f"{name}.{int(generation) + 1}.claim")
        return heir.exists() or not self._is_ours()

    def _is_ours(self) -> bool:
        found = _read(self.path)
        return found is not None and found.get("token") == self._token

    def give_back(self) -> None:
        """Others may have it now. Doing so twice does no harm."""
        if self._over.is_set():
            return
        self._over.set()
        self._thread.join()
        if not self.is_lost():
            for path in (*self._older, self.path):  # the newest, which counts, comes last
                path.unlink(missing_ok=True)

    def __enter__(self) -> Claim:
        return self

    def __exit__(self, *error: object) -> None:
        self.give_back()

    def _renew(self) -> None:
        while not self._over.wait(self._beat):
            with suppress(OSError):  # a folder that is away for a moment
                if self._is_ours():
                    os.utime(self.path)


def _parts(path: Path) -> tuple[str, str]:
    """What a claim's file name says: what is claimed, and the generation."""
    name, generation, _ = path.name.rsplit(".", 2)
    return name, generation


def _generation(path: Path) -> int:
    number = _parts(path)[1]
    return int(number) if number.isdigit() else -1


def _read(path: Path) -> dict[str, Any] | None:
    """What a claim says of its owner; None where it is not written yet, or damaged."""
    try:
        found = json.loads(path.read_text())
    except (ValueError, OSError):
        return None
    whole = isinstance(found, dict) and isinstance(found.get("process"), int)
    return found if whole and isinstance(found.get("machine"), str) else None


def this_machine() -> tuple[str, str, str]:
    """Where process numbers mean something: the host's name, its last start, the process space.

    Another start of the host does not know the processes, and containers of one host may number
    theirs apart. What the system does not tell is empty.
    """
    start = space = ""
    with suppress(OSError):
        start = Path("/proc/sys/kernel/random/boot_id").read_text().strip()[:8]
    with suppress(OSError):
        space = os.readlink("/proc/self/ns/pid").strip("pid:[]")
    return socket.gethostname(), start, space


def _machine() -> str:
    return " ".join(this_machine())


def is_running(process: int) -> bool:
    """Whether a process of this machine is there and has not ended; Windows does not tell."""
    if os.name != "posix":
        return True  # there, signal 0 would not ask but interrupt
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except (OverflowError, OSError):
        return True
    status = Path(f"/proc/{process}/stat")
    with suppress(OSError, IndexError):
        return status.read_text().rpartition(")")[2].split()[0] != "Z"  # dead, not yet buried
    return True
