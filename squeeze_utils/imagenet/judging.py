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
    `lost` the reverse; `divergence` is the sum over pictures, in nats, and `squares` that of the
    squared divergences. Files from before that was counted have no `squares`.
    """

    n: float
    right: float
    right5: float
    same: float
    gained: float
    lost: float
    divergence: float
    squares: float | None = None

    def __add__(self, other: Verdict) -> Verdict:
        mine, theirs = asdict(self), asdict(other)
        return Verdict(**{name: _sum(mine[name], theirs[name]) for name in mine})

    @classmethod
    def mean(cls, verdicts: Sequence[Verdict]) -> Verdict:
        """The mean counts of several networks on the same pictures: `n` does not grow.

        The mean of `squares` is at least the square of a picture's mean divergence. So intervals
        of divergence are, if anything, too wide.
        """
        added = asdict(sum(verdicts[1:], start=verdicts[0]))
        return cls(**{k: v if v is None else v / len(verdicts) for k, v in added.items()})

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

    def divergence_interval(self, comparisons: int = 1) -> float | None:
        """Half of the 95 % interval of the mean divergence over pictures, in nats.

        For so many networks at once as in `interval_of_one_among`; None without `squares`.
        """
        if self.squares is None or self.n < 2:
            return None
        variance = max(0.0, self.squares - self.divergence**2 / self.n) / (self.n - 1)
        return _quantile(comparisons) * (variance / self.n) ** 0.5

    def interval_of_one_among(self, comparisons: int) -> float:
        """The same where so many networks are judged together: all intervals hold at once.

        That is Bonferroni's correction, as in `results.differences.family`. Half a pair is added
        to each of the four kinds (Agresti and Min 2005), so that no difference at all among few
        pictures is not taken for certain.
        """
        n, differing, net = self.n + 2, self.gained + self.lost + 1, self.gained - self.lost
        return 100 * _quantile(comparisons) * (differing - net**2 / n) ** 0.5 / n


def _sum(a: float | None, b: float | None) -> float | None:
    """Unknown where one of them is."""
    return None if a is None or b is None else a + b


def _quantile(comparisons: int) -> float:
    """Of the normal distribution: half of a 95 % interval that is one of so many."""
    return NormalDist().inv_cdf(1 - 0.025 / whole_number("comparisons", comparisons, 1))


@torch.no_grad()
def outputs(model: nn.Module, paths: Sequence[Path], progress: bool = False) -> Tensor:
    """The network's scores (n, classes) for pictures."""
    model = model.to(memory_format=torch.channels_last)
    total = -(-len(paths) // pictures.BATCH)
    bar = tqdm(pictures.batches(paths, model), "evaluate", total, disable=not progress, leave=False)
    with evaluating(model):
        return torch.cat([model(x.contiguous(memory_format=torch.channels_last)) for x in bar])


def divergences(scores: Tensor, original: Tensor) -> Tensor:
    """How far scores (n, classes) are from the original's: nats of each picture (n,)."""
    parts = F.kl_div(
        scores.log_softmax(1), original.log_softmax(1), reduction="none", log_target=True
    )
    return parts.sum(1)


def judge(scores: Tensor, original: Tensor, labels: Tensor) -> Verdict:
    """Scores (n, classes) compared with the labels (n,) and the original's scores."""
    first, before = scores.argmax(1), original.argmax(1)
    right, was_right = first == labels, before == labels
    within = (scores.topk(min(5, scores.shape[1])).indices == labels[:, None]).any(1)
    divergence = divergences(scores, original)
    return Verdict(
        n=len(labels),
        right=int(right.sum()),
        right5=int(within.sum()),
        same=int((first == before).sum()),
        gained=int((right & ~was_right).sum()),
        lost=int((was_right & ~right).sum()),
        divergence=float(divergence.sum()),
        squares=float(divergence.square().sum()),
    )
