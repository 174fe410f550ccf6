"""A moving average of a network's weights, and batch normalisation's statistics to go with it."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from squeeze_utils.data import Batches, ImageSet, Split
from squeeze_utils.training.evaluation import evaluating, numerics
from squeeze_utils.training.frozen import is_in
from squeeze_utils.training.step import trained_parameter
from squeeze_utils.training.tasks import task_of

IMAGES = 2500  # training images that batch normalisation's statistics are measured on
BATCH = 250


def decay_at(step: int, decay: float) -> float:
    """The decay of step t = 1, 2, ...: min(decay, (1 + t) / (10 + t)).

    The average soon forgets the weights that training began with: it spans about the last tenth
    of the steps until `decay` is reached.
    """
    return min(decay, (1 + step) / (10 + step))


class MovingAverage:
    """A second network, whose weights are the moving average of those in training.

    With d_t from `decay_at`, weights w_t after step t and masks m_t of pruned weights,

        e_0 = w_0,    e_t = m_t (d_t e_(t-1) + (1 - d_t) w_t),

    so that what is pruned is zero in the average, too. The average is less noisy than w_t (Polyak
    and Juditsky 1992; of training networks: Tarvainen and Valpola 2017, Izmailov et al. 2018).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.network = copy.deepcopy(model)

    @torch.no_grad()
    def update(self, model: nn.Module, step: int, masks: dict[str, Tensor]) -> None:
        """Take in the weights after step `step`, counted from 1."""
        averages, weights = list(self.network.parameters()), list(model.parameters())
        torch._foreach_lerp_(averages, weights, 1 - decay_at(step, self.decay))
        for name, mask in masks.items():
            average = trained_parameter(self.network, name)
            if average.shape == mask.shape:  # weights made of shared values hold their own zeros
                average.mul_(mask)

    @torch.no_grad()
    def settle(
        self, model: nn.Module, data: ImageSet, precision: str, parts: Sequence[str] = ()
    ) -> nn.Module:
        """The average as a network that can be judged: the buffers of `model`, fresh statistics.

        Where only `parts` are trained, the statistics of the rest stay as they are.
        """
        for own, others in zip(self.network.buffers(), model.buffers(), strict=True):
            own.copy_(others)
        measure_statistics(self.network, data, precision, parts)
        return self.network


@torch.no_grad()
def measure_statistics(
    model: nn.Module, data: ImageSet, precision: str = "float32", parts: Sequence[str] = ()
) -> None:
    """Measure batch normalisation's statistics on training images, not augmented, dropout off.

    Those of `parts` alone, where there are any; their names are as in `Train`.

    The running statistics of a training belong to its latest weights; averaging them does not
    give those of the averaged weights, because a network is not linear in its weights. So they
    are measured, as means over batches of 250 (of 16 for boxes and masks) of up to 2,500 images
    spread evenly over the split (Wu and Johnson 2021, "precise" statistics): a forward pass, about
    2 % of an epoch of 45,000.
    """
    norms = [
        module
        for name, module in model.named_modules()
        if isinstance(module, _BatchNorm)
        and module.track_running_stats
        and (not parts or is_in(name, parts))
    ]
    if not norms:
        return
    momenta = [norm.momentum for norm in norms]
    device = next(model.parameters()).device
    try:
        with evaluating(model):
            for norm in norms:
                norm.reset_running_stats()
                norm.momentum = None  # torch's word for a cumulative average
                norm.training = True
            batch = min(BATCH, task_of(data).batch)
            for x, _ in Batches(_spread(data.train, batch), batch, mean=data.mean, std=data.std):
                with numerics(precision, device):
                    model(x.to(device))
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


def _spread(split: Split, batch: int) -> Split:
    """At most IMAGES of a split, from its first to its last; whole batches if it has many."""
    count = min(len(split), IMAGES)
    count -= count % batch if count > batch else 0
    at = torch.arange(count, device=split.labels.device) * len(split) // count
    return Split(split.images[at], split.labels[at])
