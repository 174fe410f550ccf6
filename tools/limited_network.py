"""Time training steps whose processes are joined by a network of a given speed.

    python -m tools.limited_network

Every process gets a host of its own: a network namespace of Linux, joined to the others by a
bridge, which a token bucket lets send so many gigabits a second. Nothing outside the namespaces
changes. It takes a few minutes; the machine should do nothing else.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from squeeze_utils.base.checks import real_number
from squeeze_utils.base.commandline import exit_code
from squeeze_utils.base.measurements import keep_measurement
from squeeze_utils.base.processes import child_environment
from squeeze_utils.models import ModelSpec
from squeeze_utils.results.limited_network import LIMITED
from squeeze_utils.training.distributed import count_steps

NETWORKS = {
    "AlexNet": ModelSpec.of("alexnet", num_classes=10, image_size=32),
    "VGG-11": ModelSpec.of("vgg11", num_classes=10, image_size=32),
    "SqueezeNet": ModelSpec.of("squeezenet_small", num_classes=10),
}
PROCESSES = (2, 4)
BATCH, STEPS = 8, 31
LIMITS = (None, 10.0, 1.0)  # gigabits a second that a host may send; None: as fast as it goes
PROGRAMS = ("unshare", "nsenter", "ip", "tc")
OWN_NETWORK = ("unshare", "--user", "--map-root-user", "--net")
BRIDGE, INTERFACE, PORT = "bridge0", "cable", 29400
BURST = 0.001  # seconds for which a host may send faster; longer than the kernel's timer ticks
MOMENT = 0.02  # seconds between two looks
PATIENCE = 300.0  # seconds


def measure(
    networks: Mapping[str, ModelSpec], processes: Sequence[int], gigabits: float | None
) -> list[dict[str, Any]]:
    """What `count_steps` finds where every process may send `gigabits` a second."""
    if gigabits is not None:
        real_number("gigabits", gigabits, above=0)
    lacking = [name for name in PROGRAMS if shutil.which(name) is None]
    if lacking:
        raise FileNotFoundError(
            f"{', '.join(lacking)} not found; hosts of their own need util-linux and iproute2"
        )
    asked = {
        "networks": {name: spec.as_dict() for name, spec in networks.items()},
        "processes": list(processes),
        "gigabits": gigabits,
    }
    command = [*OWN_NETWORK, sys.executable, "-m", "tools.limited_network", "--inside"]
    command.append(json.dumps(asked))
    done = subprocess.run(command, env=child_environment(), capture_output=True, text=True)
    if done.returncode:
        said = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise RuntimeError(f"measuring between hosts of their own failed: {said}")
    return json.loads(done.stdout.splitlines()[-1])


def _inside(networks: dict[str, dict], processes: list[int], gigabits: float | None) -> None:
    """In a network of its own: make the hosts, count, print the rows."""
    _run("ip", "link", "add", "name", BRIDGE, "type", "bridge")
    _run("ip", "link", "set", BRIDGE, "up")
    with ExitStack() as stack:
        hosts = [stack.enter_context(_host(n, gigabits)) for n in range(max(processes))]

        def start(module: str, count: int, **asked: Any) -> list[Any]:
            return _on_hosts(hosts[:count], module, asked)

        specs = {name: ModelSpec.from_dict(values) for name, values in networks.items()}
        rows = count_steps(specs, processes, batch=BATCH, steps=STEPS, start=start)
    print(json.dumps(rows))


@contextmanager
def _host(number: int, gigabits: float | None) -> Iterator[int]:
    """A network namespace with one cable to the bridge: the id of a process that keeps it."""
    waiting = [sys.executable, "-c", "import sys; sys.stdin.read()"]
    keeper = subprocess.Popen(["unshare", "--net", *waiting], stdin=subprocess.PIPE)
    try:
        _wait_for_namespace(keeper.pid)
        cable = ("type", "veth", "peer", "name", INTERFACE, "netns", str(keeper.pid))
        _run("ip", "link", "add", f"to{number}", *cable)
        _run("ip", "link", "set", f"to{number}", "master", BRIDGE, "up")
        inside = ("nsenter", "--target", str(keeper.pid), "--net")
        _run(*inside, "ip", "address", "add", f"{_address(number)}/24", "dev", INTERFACE)
        for interface in ("lo", INTERFACE):
            _run(*inside, "ip", "link", "set", interface, "up")
        if gigabits is not None:
            burst = max(128_000, round(gigabits * 1e9 / 8 * BURST))
            bucket = ("tbf", "rate", f"{gigabits}gbit", "burst", str(burst), "latency", "50ms")
            _run(*inside, "tc", "qdisc", "add", "dev", INTERFACE, "root", *bucket)
        yield keeper.pid
    finally:
        keeper.kill()
        keeper.wait()


def _wait_for_namespace(pid: int) -> None:
    """Until the process `pid` has left this network."""
    end = time.monotonic() + PATIENCE
    while os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net"):
        if time.monotonic() > end:
            raise RuntimeError("a host could not be made")
        time.sleep(MOMENT)


def _on_hosts(hosts: Sequence[int], module: str, asked: dict[str, Any]) -> list[Any]:
    """`launch`, with a host for every process."""
    seconds = asked.pop("seconds")
    with tempfile.TemporaryDirectory(prefix="squeeze_utils-hosts-") as folder:
        command = [sys.executable, "-m", module, json.dumps(asked), folder]
        workers = []
        try:
            for rank, host in enumerate(hosts):
                inside = ["nsenter", "--target", str(host), "--net"]
                env = _environment(rank, len(hosts))
                workers.append(subprocess.Popen([*inside, *command], env=env))
            codes = [worker.wait(seconds) for worker in workers]
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
        if any(codes):
            raise RuntimeError(f"processes ended with {codes}")
        return [json.loads((Path(folder) / f"{n}.json").read_text()) for n in range(len(hosts))]


def _environment(rank: int, count: int) -> dict[str, str]:
    """What torchrun would set."""
    return child_environment(
        threads=1,
        GLOO_SOCKET_IFNAME=INTERFACE,
        RANK=str(rank),
        LOCAL_RANK="0",
        WORLD_SIZE=str(count),
        MASTER_ADDR=_address(0),
        MASTER_PORT=str(PORT),
    )


def _address(number: int) -> str:
    return f"10.9.0.{number + 1}"


def _run(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure with every limit and keep the table."""
    parser = ArgumentParser(prog="python -m tools.limited_network", description=__doc__)
    parser.add_argument("--inside", help="what to do in a network of its own (used by itself)")
    asked = parser.parse_args(arguments)

    def work() -> None:
        if asked.inside:
            _inside(**json.loads(asked.inside))
            return
        rows = []
        for gigabits in LIMITS:
            found = measure(NETWORKS, PROCESSES, gigabits)
            rows += [{"gigabits": gigabits, **row} for row in found]
        print(keep_measurement(LIMITED, rows, batch=BATCH, steps=STEPS, cores=os.cpu_count()).name)

    return exit_code(work, "the old table is kept")


if __name__ == "__main__":
    sys.exit(main())
