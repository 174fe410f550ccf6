"""How good a network is on pictures, and how far from another one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import NormalDist

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from squeeze_utils.base.checks import whole_number
from squeeze_utils.imagenet import pictures
from squeeze_utils.training.evaluation import evaluating


@dataclass(frozen=True)
class Verdict:
    """Counts over `n` pictures.

    Those over different pictures can be added, those over the same ones averaged.

    `right` and `right5` are right at once and within five guesses (of fewer classes: within all),
    `same` agrees with the original's first guess, `gained` is right where the original is wrong,
    `lost` the reverse; `divergence` is the sum over pictures, in nats.
    """

    n: float
    right: float
    right5: float
    same: float
    gained: float
    lost: float
    divergence: float

    def __add__(self, other: Verdict) -> Verdict:
        mine, theirs = asdict(self), asdict(other)
        return Verdict(**{name: mine[name] + theirs[name] for name in mine})

    @classmethod
    def mean(cls, verdicts: Sequence[Verdict]) -> Verdict:
        """The mean counts of several networks on the same pictures: `n` does not grow."""
        counts = [asdict(verdict) for verdict in verdicts]
        return cls(**{name: sum(c[name] for c in counts) / len(counts) for name in counts[0]})

    @property
    def top1(self) -> float:
        """Accuracy in percent."""
        return 100 * self.right / self.n

    @property
    def top5(self) -> float:
        """Share of pictures whose class is among the five likeliest, in percent."""
        return 100 * self.right5 / self.n

    @property
    def agreement(self) -> float:
        """Share of pictures with the original's first guess, in percent."""
        return 100 * self.same / self.n

    @property
    def difference(self) -> float:
        """Top-1 less the original's on the same pictures, in points."""
        return 100 * (self.gained - self.lost) / self.n

    @property
    def interval(self) -> float:
        """Half of the 95 % interval of `difference`, in points, from the pairs that differ."""
        return self.interval_of_one_among(1)

    def interval_of_one_among(self, comparisons: int) -> float:
        """The same where so many networks are judged together: all intervals hold at once.

        That is Bonferroni's correction, as in `results.differences.family`. Half a pair is added
        to each of the four kinds (Agresti and Min 2005), so that no difference at all among few
        pictures is not taken for certain.
        """
        n, differing, net = self.n + 2, self.gained + self.lost + 1, self.gained - self.lost
        z = NormalDist().inv_cdf(1 - 0.025 / whole_number("comparisons", comparisons, 1))
        return 100 * z * (differing - net**2 / n) ** 0.5 / n


@torch.no_grad()
def outputs(model: nn.Module, paths: Sequence[Path], progress: bool = False) -> Tensor:
    """The network's scores (n, classes) for pictures."""
    model = model.to(memory_format=torch.channels_last)
    total = -(-len(paths) // pictures.BATCH)
    bar = tqdm(pictures.batches(paths, model), "evaluate", total, disable=not progress, leave=False)
    with evaluating(model):
        return torch.cat([model(x.contiguous(memory_format=torch.channels_last)) for x in bar])


def judge(scores: Tensor, original: Tensor, labels: Tensor) -> Verdict:
    """Scores (n, classes) compared with the labels (n,) and the original's scores."""
    first, before = scores.argmax(1), original.argmax(1)
    right, was_right = first == labels, before == labels
    within = (scores.topk(min(5, scores.shape[1])).indices == labels[:, None]).any(1)
    divergence = F.kl_div(
        scores.log_softmax(1), original.log_softmax(1), reduction="sum", log_target=True
    )
    return Verdict(
        n=len(labels),
        right=int(right.sum()),
        right5=int(within.sum()),
        same=int((first == before).sum()),
        gained=int((right & ~was_right).sum()),
        lost=int((was_right & ~right).sum()),
        divergence=float(divergence),
    )
