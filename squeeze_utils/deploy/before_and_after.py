"""What rounding changed: the answers of a network and of its file to the same pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn

from squeeze_utils.data.sets import load_images
from squeeze_utils.deploy import scoring
from squeeze_utils.deploy.network_files import is_for_imagenet, torch_network
from squeeze_utils.deploy.runners import torch_runner
from squeeze_utils.imagenet import judging, pictures


@dataclass(frozen=True)
class Change:
    """Of `n` pictures: how many have the same first guess, and how many were and are right.

    `right` is (before, after), None for pictures without labels. `seen` says whether the network
    was calibrated on these very pictures.
    """

    n: int
    same: int
    right: tuple[int, int] | None
    seen: bool

    def __str__(self) -> str:
        what = f"same first guess {100 * self.same / self.n:.2f} %"
        if self.right is not None:
            before, after = (f"{100 * count / self.n:.2f} %" for count in self.right)
            what = f"accuracy before {before}, after {after}, {what}"
        kind = "also used for calibration" if self.seen else "not used for calibration"
        return f"{what}: on {self.n:,} pictures {kind}"


def change(
    source: Path | str,
    path: Path,
    data: str,
    count: int,
    *,
    size: int | None = None,
    seed: int = 0,
) -> Change | None:
    """How the network in `path` differs from the one in `source` on pictures of `data`.

    `count` and `seed` are those of the calibration. The pictures are those of the test split. For
    a network for ImageNet `data` is one folder: then they are at most `count` of those that
    calibration did not draw, and where it drew all, these. None where `data` has boxes or masks.
    """
    networks = torch_network(source), torch_network(path)
    if is_for_imagenet(networks[0]):
        return _on_pictures(networks, data, count, seed)
    channels, side, _ = networks[0].input_shape
    images = load_images(data, side if size is None else size, channels=channels)
    if images.task != "classification":
        return None
    threads = torch.get_num_threads()
    runners = [torch_runner(network, Path(path).stem, threads) for network in networks]
    before, after = (torch.from_numpy(scoring.logits_of(r, images.test, images)) for r in runners)
    return _change(before, after, images.test.labels, seen=False)


def _on_pictures(networks: Sequence[nn.Module], folder: str, count: int, seed: int) -> Change:
    """The same for a folder of pictures; they have labels if their folders are named by class."""
    paths = pictures.find_pictures(folder)
    shown = pictures.draw(paths, count, seed)
    others = sorted(set(paths) - set(shown))
    seen = len(others) < 2
    judged = shown if seen else pictures.draw(others, count, seed)
    before, after = (judging.outputs(network, judged) for network in networks)
    try:
        labels = pictures.labels(judged)
    except ValueError:  # a folder that is no class: these are pictures without labels
        labels = None
    return _change(before, after, labels, seen)


def _change(before: Tensor, after: Tensor, labels: Tensor | None, seen: bool) -> Change:
    first, then = before.argmax(1), after.argmax(1)
    right = None
    if labels is not None:
        right = int((first == labels).sum()), int((then == labels).sum())
    return Change(len(first), int((first == then).sum()), right, seen)
