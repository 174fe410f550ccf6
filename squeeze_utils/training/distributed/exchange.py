"""What the processes of a training exchange: gradients in every step, or weights now and then."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from squeeze_utils.training.distributed.ranks import ProcessGroupError, here, mean_of_all

Hook = tuple[object, Callable]  # the state and the function that DistributedDataParallel takes


class Exchange:
    """Statistics are averaged once an epoch, and nothing else is: what all exchanges do.

    `network` is what a training step calls.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.network: nn.Module = model
        check_equal(model)

    def after_step(self, step: int) -> None:
        """Called after optimizer step number `step`, counted from 1."""

    def after_epoch(self) -> None:
        """Called before validation: all processes then have the same network."""
        average(buffer for buffer in self.model.buffers() if buffer.is_floating_point())


class GradientExchange(Exchange):
    """Gradients are averaged in every step, by DistributedDataParallel; nothing where alone.

    With shards of equal size the mean of the gradients is that of the whole batch. `hook` replaces
    the plain sum of gradients.
    """

    def __init__(self, model: nn.Module, hook: Hook | None = None) -> None:
        super().__init__(model)
        if not here().alone:
            # Statistics of batch normalisation are averaged once an epoch, not sent in each step.
            self.network = DistributedDataParallel(model, broadcast_buffers=False, init_sync=False)
            if hook is not None:
                self.network.register_comm_hook(*hook)


class SeldomExchange(Exchange):
    """Each process trains by itself; every `every` steps their weights are averaged.

    This is local SGD (Stich 2019). Weights are averaged at the end of an epoch, too.
    """

    def __init__(self, model: nn.Module, every: int) -> None:
        super().__init__(model)
        self.every, self._last = every, 0

    def after_step(self, step: int) -> None:
        """Average the weights where it is time."""
        self._last = step
        if step % self.every == 0:
            average(self.model.parameters())

    def after_epoch(self) -> None:
        """Average weights and statistics."""
        if self._last % self.every:
            average(self.model.parameters())
        super().after_epoch()


def check_equal(model: nn.Module) -> None:
    """Raise unless all processes begin with the same weights: each sends one number."""
    ranks = here()
    if ranks.alone:
        return
    own = sum(p.detach().double().abs().sum().cpu() for p in model.parameters()).view(1)
    found = [torch.empty_like(own) for _ in range(ranks.size)]
    dist.all_gather(found, own)
    if any(not torch.equal(one, own) for one in found):
        raise ProcessGroupError("the processes begin with different networks: use equal seeds")


@torch.no_grad()
def average(tensors: Iterable[Tensor]) -> None:
    """Replace each of these tensors by its mean over the processes: one message for all."""
    found: list[Tensor] = list(tensors)
    if here().alone or not found:
        return
    flat = mean_of_all(torch.cat([tensor.detach().reshape(-1).float() for tensor in found]))
    for tensor, part in zip(found, flat.split([t.numel() for t in found]), strict=True):
        tensor.copy_(part.view(tensor.shape))
