"""What the processes of a training exchange: gradients in every step, or weights now and then.

With all gradients, n processes do what one does, up to rounding: batches, the mean that a loss is
(over images, cells or pixels), and noise on weights are those of one process. What is computed
within a process's own part of a batch is not: the statistics of batch normalisation, the units that
dropout leaves out, and the pairs that mixup mixes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from squeeze_utils.training.distributed.ranks import ProcessGroupError, here, mean_of_all

Hook = tuple[object, Callable]  # the state and the function that DistributedDataParallel takes
APART = (
    "the processes have different weights after an epoch: each of them has changed its own by "
    "something that the others do not have, such as random numbers from torch's global generator"
)


class Exchange:
    """Statistics are averaged once an epoch, and nothing else is: what all exchanges do.

    `network` is what a training step calls.
    """

    def __init__(self, model: nn.Module) -> None:
        self.model = model
        self.network: nn.Module = model
        check_equal(model, "the processes begin with different networks: use equal seeds")

    def as_part(self, loss: Tensor, counted: Callable[[], Tensor | None]) -> Tensor:
        """The loss of this process's part of a batch, as it is to be made small here.

        `loss` is a mean over what `counted` counts, see `Task.counted`.
        """
        return loss

    def after_step(self, step: int) -> None:
        """Called after optimizer step number `step`, counted from 1."""

    def after_epoch(self) -> None:
        """Called before validation: all processes then have the same network, or this raises."""
        average(buffer for buffer in self.model.buffers() if buffer.is_floating_point())
        check_equal(self.model, APART)


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

    def as_part(self, loss: Tensor, counted: Callable[[], Tensor | None]) -> Tensor:
        """So weighted that the mean over the processes is the loss of the whole batch.

        With n_r things in the part of process r, and R processes, the weight is R n_r / sum of n_r.
        A part without any counts as one thing, as losses do, and so does a batch.
        """
        if here().alone or (own := counted()) is None:
            return loss
        mean = mean_of_all(own.clone()).clamp(min=1 / here().size)
        return loss * (own.clamp(min=1) / mean).to(loss)


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


def check_equal(model: nn.Module, otherwise: str) -> None:
    """Raise with these words unless all processes have the same weights: each sends one number.

    Weights that are not finite count as equal: other checks see those.
    """
    ranks = here()
    if ranks.alone:
        return
    own = sum(p.detach().double().abs().sum().cpu() for p in model.parameters()).view(1)
    own.nan_to_num_()
    found = [torch.empty_like(own) for _ in range(ranks.size)]
    dist.all_gather(found, own)
    if any(not torch.equal(one, own) for one in found):
        raise ProcessGroupError(otherwise)


@torch.no_grad()
def average(tensors: Iterable[Tensor]) -> None:
    """Replace each of these tensors by its mean over the processes: one message for all."""
    found: list[Tensor] = list(tensors)
    if here().alone or not found:
        return
    flat = mean_of_all(torch.cat([tensor.detach().reshape(-1).float() for tensor in found]))
    for tensor, part in zip(found, flat.split([t.numel() for t in found]), strict=True):
        tensor.copy_(part.view(tensor.shape))
