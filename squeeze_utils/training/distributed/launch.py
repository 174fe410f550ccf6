"""Starting processes that train together on this machine, by `torchrun`, and ending them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from squeeze_utils.base.checks import whole_number
from squeeze_utils.base.files import write_atomically
from squeeze_utils.base.processes import child_environment
from squeeze_utils.training.distributed.ranks import LostProcessError, joined, loopback

GRACE = 10.0  # seconds that processes have to end by themselves
_OURS = re.compile(r"^(?:\[rank(\d+)\]: ?)?[\w.]*Error: (.+)$", re.MULTILINE)


def launch(
    module: str, count: int, *, seconds: float | None = 600, show: bool = False, **asked: Any
) -> list[Any]:
    """Run `python -m module` as `count` processes of one thread each; what each of them returned.

    The module ends with `take_part(job)`: `job` gets `asked` and returns plain values, which come
    back in the order of the processes. All processes have ended when this function returns, also
    after an error. They are ended after so many `seconds`; None waits for as long as it takes.
    With `show` what they write is passed on to stderr.

    A process that dies makes this a `LostProcessError`, which names it and how it ended.
    """
    whole_number("the number of processes", count, 1)
    with tempfile.TemporaryDirectory(prefix="squeeze_utils-together-") as folder:
        text = json.dumps(asked)
        command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
        command += ["--nproc-per-node", str(count), "-m", module, text, folder]
        errors = Path(folder) / "errors.txt"
        with errors.open("w") as file:
            process = subprocess.Popen(
                command, env=_environment(), stdout=file, stderr=file, start_new_session=True
            )
            shown = threading.Thread(target=_pass_on, args=(errors, process), daemon=True)
            if show:
                shown.start()
            try:
                code = process.wait(seconds)
            except subprocess.TimeoutExpired:
                message = f"{count} processes of {module} have not ended within {seconds:g} seconds"
                raise LostProcessError(message) from None
            finally:
                _end(process)
                if show:
                    shown.join()
        if code:
            raise LostProcessError(_what_failed(errors.read_text(), count))
        return [json.loads((Path(folder) / f"{n}.json").read_text()) for n in range(count)]


def take_part(job: Callable[..., Any]) -> None:
    """Run `job` as one of the processes that `launch` started; write what it returns."""
    _end_with_parent()
    asked, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
    with joined() as ranks:
        found = job(**asked)
        write_atomically(folder / f"{ranks.rank}.json", json.dumps(found).encode())


def _environment() -> dict[str, str]:
    """One thread a process; this package in sight; the loopback interface unless told otherwise."""
    env = child_environment(threads=1)
    own = loopback()
    if own and not env.get("GLOO_SOCKET_IFNAME"):
        env["GLOO_SOCKET_IFNAME"] = own
    for name in ("RANK", "LOCAL_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
        env.pop(name, None)
    return env


def _end(process: subprocess.Popen) -> None:
    """End torchrun, which ends its processes; they notice by themselves if it is killed."""
    if process.poll() is None:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE)
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _pass_on(path: Path, process: subprocess.Popen) -> None:
    """Copy what is written to a file to stderr, until the process has ended."""
    with path.open() as file:
        ended = False
        while not ended:
            ended = process.poll() is not None  # asked first: what comes before its end is read
            sys.stderr.write(file.read())
            sys.stderr.flush()
            if not ended:
                time.sleep(0.5)


def _end_with_parent() -> None:
    """End this process soon after the one that started it has ended, however that happened."""
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _what_failed(text: str, count: int) -> str:
    """What torchrun wrote, in a sentence: which process was the first to fail, and of what."""
    cause = re.search(r"Root Cause.*?rank\s*: (\d+).*?exitcode\s*: (-?\d+)", text, re.DOTALL)
    if cause is None:
        return f"{count} processes could not be started: {_last(text)}"
    rank, code = int(cause[1]), int(cause[2])
    if code < 0:
        name = signal.Signals(-code).name
        return f"process {rank} of {count} was ended by {name}"
    found = [(who, line) for who, line in _OURS.findall(text) if "another of the" not in line]
    said = [line for _, line in sorted(found, key=lambda one: one[0] != str(rank))]
    return f"process {rank} of {count} has failed: {said[0] if said else _last(text)}"


def _last(text: str) -> str:
    lines = [line for line in text.splitlines() if line.strip()]
    return lines[-1].strip() if lines else "nothing was said"
