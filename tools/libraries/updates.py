"""One client's change of a network (chapter 20), written by us and by nncodec."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from squeeze_utils.compress.updates.messages import added, difference, encode_update, float_state
from squeeze_utils.training.loop import Train, fit
from tools.libraries.bench import BATCH, Bench
from tools.libraries.trials import nncodec_there_and_back

IMAGES = 4500  # a tenth of the training images: one of ten clients
PLAN = Train(1, lr=0.01, optimizer="momentum", schedule="constant", batch_size=32)
STEPS = (0.5, 1.0, 2.0, 4.0)  # of "coded", in standard deviations
QUALITIES = (-48, -44, -40, -36, -32, -28)  # of nncodec, from large messages to small ones
JUDGED = 2000  # validation images on which the networks are compared


def updates(bench: Bench) -> Iterator[dict[str, Any]]:
    """How many bytes a message has, and how far the receiver's network is from the client's."""
    model = bench.network()
    before = float_state(model)
    images = replace(bench.images, train=bench.images.train.first(IMAGES))
    fit(model, images, PLAN, generator=torch.Generator().manual_seed(0), progress=True)
    model.eval()
    change = difference(float_state(model), before)
    x = bench.batch("validation", 0, JUDGED)
    wanted = _answers(model, x)

    def row(
        tool: str, package: str, read: Mapping[str, Tensor], size: int, seconds: float
    ) -> dict[str, Any]:
        model.load_state_dict(added(before, read), strict=False)
        apart = F.kl_div(_answers(model, x), wanted, reduction="batchmean", log_target=True)
        return {
            "tool": tool,
            "version": version(package),
            "bytes": size,
            "divergence": round(float(apart), 6),
            "seconds": round(seconds, 2),
        }

    for kind, step in (("float", 1.0), ("int8", 1.0), *(("coded", step) for step in STEPS)):
        start = time.perf_counter()
        message, read = encode_update(change, kind, step)
        seconds = time.perf_counter() - start
        name = f"ours, {kind}" + (f", step {step:g}" if kind == "coded" else "")
        yield row(name, "squeeze_utils", read, len(message), seconds)
    for quality in QUALITIES:
        read, size, seconds = nncodec_there_and_back(change, quality)
        yield row(f"nncodec, qp {quality}", "nncodec", read, size, seconds)


@torch.no_grad()
def _answers(model: nn.Module, x: Tensor) -> Tensor:
    """Logarithms of the probabilities."""
    return torch.cat([model(part).log_softmax(1) for part in x.split(BATCH)])
