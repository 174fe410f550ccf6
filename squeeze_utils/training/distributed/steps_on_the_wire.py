"""What steps of data-parallel training send, counted by the sockets, and how long they take."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
import torch.distributed as dist
from torch import nn
from torch.nn import functional as F
from torch.nn.parallel import DistributedDataParallel

from squeeze_utils.base.checks import whole_number
from squeeze_utils.models import ModelSpec
from squeeze_utils.training.distributed.launch import launch, take_part
from squeeze_utils.training.distributed.ranks import here
from squeeze_utils.training.distributed.wire import Traffic, ring_bytes, traffic

WARM_UP = 2  # steps: in the first, DistributedDataParallel arranges its buckets


def count_steps(
    networks: Mapping[str, ModelSpec],
    processes: Sequence[int] = (1, 2, 4),
    *,
    batch: int = 8,
    steps: int = 5,
    seconds: float = 300,
    start: Callable[..., list[Any]] = launch,
) -> list[dict[str, Any]]:
    """For each network and number of processes: bytes and seconds of a step, as rows of a table.

    Starts as many processes as the largest number; the smaller groups are the first of them.
    `sent` are the bytes of content that a process sends in a step, in the mean, `formula` those
    of a ring, `control` those to and from the rendezvous store. `alone` are the seconds of a step
    without exchange. Images are random, `batch` of them in each process. `start` starts the
    processes, as `launch` does.
    """
    for count in processes:
        whole_number("processes", count, 1)
    found = start(
        "squeeze_utils.training.distributed.steps_on_the_wire",
        max(processes),
        seconds=seconds,
        networks={name: spec.as_dict() for name, spec in networks.items()},
        processes=list(processes),
        batch=batch,
        steps=steps,
    )
    return found[0]


def job(networks: dict[str, dict], processes: list[int], batch: int, steps: int) -> list[dict]:
    """What each of the processes does; the first one has the rows."""
    rows = []
    groups = {count: dist.new_group(list(range(count))) for count in processes}
    for name, values in networks.items():
        for count, group in groups.items():
            if here().rank < count:
                measured = _measure(ModelSpec.from_dict(values), group, batch, steps)
                rows.append({"network": name, "processes": count, **measured})
            dist.barrier()
    return rows


def _measure(spec: ModelSpec, group: dist.ProcessGroup, batch: int, steps: int) -> dict[str, Any]:
    torch.manual_seed(0)
    model = spec.build().to(memory_format=torch.channels_last)
    network = DistributedDataParallel(model, process_group=group, broadcast_buffers=False)
    x = torch.randn(batch, *model.input_shape).to(memory_format=torch.channels_last)
    y = torch.arange(batch) % 10
    _steps(network, x, y, WARM_UP)
    before = _traffic_so_far(group)
    together = _steps(network, x, y, steps)
    after = _traffic_so_far(group)
    with network.no_sync():
        alone = _steps(network, x, y, steps)
    numbers = sum(p.numel() for p in model.parameters())
    size = dist.get_world_size(group)
    row = {"parameters": numbers, "formula": ring_bytes(numbers, size)}
    if before is not None:
        sent = after - before
        counts = torch.tensor([sent.sent, sent.control], dtype=torch.float64) / steps / size
        dist.all_reduce(counts, group=group)
        row["sent"], row["control"] = counts.tolist()
    return {**row, "seconds": together, "alone": alone}


def _traffic_so_far(group: dist.ProcessGroup) -> Traffic | None:
    """The counters once all that was sent has arrived.

    After the first barrier a process has received all that was sent to it before; the second one
    makes sure that all have passed the first.
    """
    for _ in range(2):
        dist.barrier(group)
    return traffic()


def _steps(network: nn.Module, x: torch.Tensor, y: torch.Tensor, count: int) -> float:
    """Forward and backward passes; the median of their seconds."""
    seconds = []
    for _ in range(count):
        start = time.perf_counter()
        F.cross_entropy(network(x), y).backward()
        seconds.append(time.perf_counter() - start)
    return statistics.median(seconds)


if __name__ == "__main__":
    take_part(job)
