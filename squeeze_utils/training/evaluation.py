"""How good a network is on a split, and whether it fits the images at all."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from squeeze_utils.base import machine
from squeeze_utils.data import Batches, ImageSet, Split
from squeeze_utils.data.types import checked_count
from squeeze_utils.training.tasks import only_classes, task_of


@dataclass(frozen=True)
class Evaluation:
    """Loss (mean cross-entropy, nats), accuracy (percent), confusion counts (true, predicted).

    For boxes and masks `accuracy` is the score of that task, which `measure` names, and `details`
    say more about it.
    """

    loss: float
    accuracy: float
    confusion: Tensor
    measure: str = "accuracy"
    details: dict[str, Any] = field(default_factory=dict)

    def noted(self, part: str) -> dict[str, Any]:
        """What a record holds of it: the score as PART_accuracy, named where it is another."""
        values: dict[str, Any] = {f"{part}_loss": self.loss, f"{part}_accuracy": self.accuracy}
        if self.measure != "accuracy":
            values["measure"] = self.measure
            values |= {f"{part}_{name}": value for name, value in self.details.items()}
        return values


@contextmanager
def evaluating(model: nn.Module) -> Iterator[None]:
    """Within, `model` is in evaluation mode; afterwards each of its modules is as it was."""
    modes = [(module, module.training) for module in model.modules()]
    try:
        model.eval()
        yield
    finally:
        model.train(modes[0][1])  # some modules do more than note a change of mode
        for module, mode in modes:
            module.training = mode


@contextmanager
def watching(
    modules: Mapping[str, nn.Module],
    *,
    before: Callable[[str, nn.Module, Any], Any] | None = None,
    after: Callable[[str, nn.Module, Any, Any], Any] | None = None,
) -> Iterator[None]:
    """Within, `before` and `after` are called whenever one of `modules` (by name) runs.

    The calls are before(name, module, inputs) and after(name, module, inputs, output), `inputs`
    being a tuple. As with torch's hooks, what they return replaces the inputs or the output,
    unless it is None.
    """
    with ExitStack() as hooks:
        for name, module in modules.items():
            if before is not None:
                hook = partial(before, name)
                hooks.enter_context(module.register_forward_pre_hook(hook, prepend=True))
            if after is not None:
                hooks.enter_context(module.register_forward_hook(partial(after, name)))
        yield


def numerics(precision: str, device: torch.device) -> torch.autocast:
    """Mixed precision on `device` where `precision` is bfloat16, plain float32 otherwise."""
    return torch.autocast(device.type, torch.bfloat16, enabled=precision == "bfloat16")


def check_fits(model: nn.Module, data: ImageSet) -> None:
    """Raise unless the model takes images like `data`'s and has an output for each class.

    Only what `build` made says what it takes; any other module is let through.
    """
    expected = getattr(model, "input_shape", None)
    if expected is None:
        return
    task = getattr(model, "task", "classification")
    if task != data.task:
        raise ValueError(f"the model is made for {task}, the labels of {data.name} for {data.task}")
    if expected[0] != data.channels:
        raise ValueError(
            f"the model takes {expected[0]}-channel images, {data.name} has {data.channels}: "
            f"build it with in_channels={data.channels}"
        )
    if getattr(model, "num_classes", data.num_classes) < data.num_classes:
        raise ValueError(
            f"the model has {model.num_classes} classes, {data.name} has {data.num_classes}: "
            f"build it with num_classes={data.num_classes}"
        )
    check_size(model, data.shape, data.name)


@torch.no_grad()
def check_size(model: nn.Module, shape: Sequence[int], name: str) -> None:
    """Raise unless the model takes images of `shape`, (channels, side, side); `name` has them.

    A dense part takes one image size only; networks without one take others too.
    """
    if tuple(model.input_shape) == tuple(shape):
        return
    weight = next(model.parameters())
    try:
        with evaluating(model):
            model(weight.new_zeros(1, *shape))
    except RuntimeError as error:
        side = model.input_shape[1]
        raise ValueError(
            f"the model takes {side}-pixel images, {name} has {shape[1]}: build it with "
            f"image_size={shape[1]}, or load the images with size={side}"
        ) from error


def evaluate(
    model: nn.Module, split: Split, data: ImageSet, *, precision: str = "float32"
) -> Evaluation:
    """Loss, accuracy and confusion of `model` on `split`, never augmented.

    `data` is the image set that the split belongs to: its mean and deviation normalise.

    >>> import squeeze_utils as sq
    >>> digits = sq.load_images("digits", size=8)
    >>> model = sq.build("lenet_300_100", image_size=8)
    >>> found = sq.evaluate(model, digits.validation, digits)
    >>> 0 <= found.accuracy <= 100, tuple(found.confusion.shape)
    (True, (10, 10))
    """
    return _judged(model, model, split, data, precision)


def evaluate_views(model: nn.Module, split: Split, data: ImageSet, *, shift: int = 1) -> Evaluation:
    """`evaluate` with the logits averaged over changed views of every image.

    This is test-time augmentation. The views are the image moved by -`shift`, 0 and `shift`
    pixels down and right (nine; one for `shift` 0; edges reflected as in `Augment`), and the
    same of its mirror image: `count_views` times the arithmetic of `evaluate`.
    """
    checked_count("shift", shift, 0, data.size - 1)
    only_classes(data, "views are averaged")

    def averaged(x: Tensor) -> Tensor:
        return sum(model(view).float() for view in _views(x, shift)) / count_views(shift)

    return _judged(averaged, model, split, data, "float32")


def count_views(shift: int = 1) -> int:
    """How many times the network runs on each image in `evaluate_views`."""
    return 18 if shift else 2


def _views(images: Tensor, shift: int) -> Iterator[Tensor]:
    """Images (b, c, h, w), moved and mirrored in every way; the first view is as they are."""
    height, width = images.shape[2:]
    starts = (shift, 0, 2 * shift) if shift else (0,)
    for view in (images, images.flip(3)):
        padded = F.pad(view, (shift,) * 4, mode="reflect")
        for top, left in itertools.product(starts, starts):
            yield padded[:, :, top : top + height, left : left + width]


@torch.no_grad()
def _judged(
    answers: Callable[[Tensor], Tensor],
    model: nn.Module,
    split: Split,
    data: ImageSet,
    precision: str,
) -> Evaluation:
    """The evaluation of `answers`, the logits (b, classes) of images, which `model` gives."""
    check_fits(model, data)
    if not len(split):
        raise ValueError("there is nothing to judge: the split has no images")
    device = next(model.parameters()).device
    precision, task = machine.precision(precision, device), task_of(data)
    loss, tally = 0.0, task.tally(data)
    with evaluating(model):
        for x, y in Batches(split, task.batch, mean=data.mean, std=data.std):
            x, y = x.to(device), y.to(device)
            with numerics(precision, device):
                logits = answers(x).float()
            loss += float(task.summed_loss(logits, y))
            tally.add(logits, y)
    found = tally.judged()
    return Evaluation(loss / len(split), found.score, found.confusion, task.measure, found.details)
