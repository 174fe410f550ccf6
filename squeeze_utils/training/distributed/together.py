"""`Train` by several processes that exchange less than all of their gradients."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from squeeze_utils.base.checks import choose, real_number, whole_number
from squeeze_utils.training.distributed.exchange import (
    Exchange,
    GradientExchange,
    Hook,
    SeldomExchange,
)
from squeeze_utils.training.distributed.ranks import here, mean_of_all
from squeeze_utils.training.distributed.top_k import TopK, top_k_hook
from squeeze_utils.training.distributed.wire import traffic
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State

EXCHANGES: tuple[str, ...] = ("all", "half", "low rank", "largest", "seldom")


@dataclass(frozen=True)
class TrainTogether(Train):
    """Train with `workers` processes, each with its part of every batch.

    What they exchange: "all" gradients in float32; "half": in float16; "low rank": PowerSGD of
    `rank` (Vogels et al. 2019), after ten steps; "largest": the share `density` with the
    largest sums, reached after the first `warm_up` of training, forgotten otherwise without
    `feedback` (Lin et al. 2018); "seldom": weights, averaged `every` so many steps.

    "largest" has its momentum of 0.9 inside, so it needs the optimizer "sgd".

    >>> TrainTogether(2, exchange="seldom", every=10).workers
    2
    """

    workers: int = 2
    exchange: str = "all"
    rank: int = 1
    density: float = 0.001
    warm_up: float = 0.04
    feedback: bool = True
    every: int = 128

    def __post_init__(self) -> None:
        super().__post_init__()
        choose("exchange", self.exchange, EXCHANGES)
        whole_number("workers", self.workers, 1)
        whole_number("rank", self.rank, 1)
        whole_number("every", self.every, 1)
        real_number("density", self.density, above=0, most=0.25)
        real_number("warm_up", self.warm_up, least=0, most=1)
        if self.exchange == "largest" and self.optimizer != "sgd":
            raise ValueError(
                'the exchange "largest" has momentum of its own: use optimizer="sgd", '
                f"not {self.optimizer!r}"
            )
        if self.exchange == "seldom" and (self.ema or self.during):
            raise ValueError(
                'with the exchange "seldom" weights differ between processes: leave ema and during '
                "out, which would act on each process's own"
            )
        if self.workers == 1 and self.exchange != "all":
            raise ValueError(f"one process exchanges nothing: {self.exchange!r} needs two or more")

    def make_exchange(self, model: nn.Module, steps: int) -> Exchange:
        """What the fields say."""
        if self.exchange == "seldom":
            return SeldomExchange(model, self.every)
        return GradientExchange(model, self._hook(steps))

    def _hook(self, steps: int) -> Hook | None:
        from torch.distributed.algorithms.ddp_comm_hooks import default_hooks, powerSGD_hook

        match self.exchange:
            case "half":
                return None, default_hooks.fp16_compress_hook
            case "low rank":
                state = powerSGD_hook.PowerSGDState(None, self.rank, start_powerSGD_iter=10)
                return state, powerSGD_hook.powerSGD_hook
            case "largest":
                warm_up = round(self.warm_up * steps)
                return TopK(self.density, warm_up=warm_up, feedback=self.feedback), top_k_hook
        return None

    def apply(self, state: State) -> dict[str, Any]:
        """`Train`; and the bytes that a process has sent, in the mean, where they are counted.

        It is not kept halfway: such a file would lack the bytes sent so far, what an exchange
        keeps back, and the momentum of all processes but one. Cut off, it begins anew.
        """
        size = here().size
        if size != self.workers:
            raise ValueError(
                f"this training is one of {self.workers} processes, and here is {size}: start it "
                f"by torchrun --nproc-per-node {self.workers}, or as a study, which does so"
            )
        before = traffic()
        halfway, state.halfway = state.halfway, None
        try:
            measured = super().apply(state)
        finally:
            state.halfway = halfway
        if before is not None:
            sent = traffic() - before
            counts = torch.tensor([sent.sent, sent.control], dtype=torch.float64)
            both = mean_of_all(counts).tolist()
            measured["sent_bytes"], measured["control_bytes"] = (round(count) for count in both)
        return measured
