"""The one training loop of the series, and the step that runs it."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from squeeze_utils.base import machine
from squeeze_utils.base.checks import choose, real_number, whole_number
from squeeze_utils.data import Augment, ImageSet
from squeeze_utils.training import optimizers
from squeeze_utils.training.distributed.exchange import Exchange, GradientExchange
from squeeze_utils.training.distributed.ranks import here
from squeeze_utils.training.epochs import Epochs
from squeeze_utils.training.evaluation import check_fits
from squeeze_utils.training.failures import DivergedError, TrainingInterrupted
from squeeze_utils.training.frozen import only_parts
from squeeze_utils.training.mixing import Mixup
from squeeze_utils.training.resuming import HalfwayFile, TrainingState
from squeeze_utils.training.step import (
    AfterEpoch,
    AfterStep,
    Penalty,
    State,
    Step,
    Within,
    check_masks,
    forget_rounding,
    reapply_masks,
    shared_weights,
)


@dataclass(frozen=True)
class Train(Step):
    """Train for `epochs`; `lr` is the peak of the schedule.

    Training images are changed by what `Augment` says of `shift` and `cutout` (pixels), `flip`,
    `rotation` (degrees), `colour` and `sharpness`, then mixed by `mixup`, the alpha of `Mixup`,
    where `mixup_growth` is its growth. With `ema` above 0, the network that is validated and left
    at the end is a `MovingAverage` with this decay for each step.
    The schedule "restarts" needs `cycles`, the lengths of its cosine cycles in epochs. `during`
    lists what else happens during training, such as gradual pruning or a price on bits.
    With `may_diverge` a non-finite loss ends the step instead of the experiment: a result too,
    where learning rates are compared. `only` names the parts that are trained, for example
    ("features.12", "classifier"); the rest gets no gradient, but what `during` does reaches all
    layers. All are trained where it is empty.

    >>> import squeeze_utils as sq
    >>> sq.Train(12, lr=0.04, optimizer="muon", weight_decay=0.05).schedule
    'one_cycle'
    """

    epochs: int
    lr: float = 0.1
    optimizer: str = "nesterov"
    schedule: str = "one_cycle"
    batch_size: int = 128
    weight_decay: float = 5e-4
    label_smoothing: float = 0.0
    shift: int = 0
    flip: bool = False
    cutout: int = 0
    precision: str = "auto"
    may_diverge: bool = False
    cycles: tuple[int, ...] = ()
    during: tuple[Within, ...] = ()
    ema: float = 0.0
    mixup: float = 0.0
    mixup_growth: float = 0.0
    rotation: float = 0
    colour: float = 0.0
    sharpness: float = 0.0
    only: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        whole_number("epochs", self.epochs, 1)
        whole_number("batch_size", self.batch_size, 1)
        real_number("the learning rate", self.lr, above=0)
        real_number("label_smoothing", self.label_smoothing, least=0, below=1)
        real_number("weight_decay", self.weight_decay, least=0)
        real_number("ema", self.ema, least=0, below=1)
        _ = self.augment, self.mixing  # which refuse bad numbers
        choose("optimizer", self.optimizer, optimizers.OPTIMIZERS)
        object.__setattr__(self, "cycles", tuple(self.cycles))
        object.__setattr__(self, "during", tuple(self.during))
        if isinstance(self.only, str):
            raise ValueError(f"only takes a tuple of names, such as ({self.only!r},)")
        object.__setattr__(self, "only", tuple(self.only))
        if not all(isinstance(part, Within) for part in self.during):
            raise ValueError(f"during takes things to do within training, got {self.during}")
        optimizers.make_schedule(self.schedule, self.cycles, self.epochs)
        choose("precision", self.precision, machine.PRECISIONS)

    @property
    def augment(self) -> Augment:
        """What is done to training images, and to no others."""
        names = [field.name for field in fields(Augment)]
        return Augment(**{name: getattr(self, name) for name in names})

    @property
    def mixing(self) -> Mixup:
        """How images are mixed; not at all where its alpha is 0."""
        return Mixup(self.mixup, self.mixup_growth)

    def make_exchange(self, model: nn.Module, steps: int) -> Exchange:
        """What is exchanged by processes that train together, in `steps` steps: all gradients."""
        return GradientExchange(model)

    def apply(self, state: State) -> dict[str, Any]:
        """Train `state.model`, keeping pruned weights at zero and shared ones equal."""
        measured = {"precision": machine.precision(self.precision, state.device)}
        forget_rounding(state, self.only)
        try:
            with shared_weights(state), only_parts(state.model, self.only), ExitStack() as parts:
                for part in self.during:
                    parts.enter_context(part.around(state))
                terms = [part.penalty(state) for part in self.during]
                history = fit(
                    state.model,
                    state.data,
                    self,
                    generator=state.generator,
                    device=state.device,
                    after_step=[
                        *(part.callback(state) for part in self.during),
                        reapply_masks(state),
                    ],
                    after_epoch=state.after_epoch,
                    progress=state.progress,
                    halfway=state.halfway,
                    masks=state.masks,
                    penalties=[term for term in terms if term],
                )
        except DivergedError as error:
            if not self.may_diverge:
                raise
            return {"history": error.history, "diverged": str(error), **measured}
        check_masks(state)
        return {"history": history, **measured}


def fit(
    model: nn.Module,
    data: ImageSet,
    plan: Train,
    *,
    generator: torch.Generator | None = None,
    device: torch.device | str | None = None,
    after_step: Sequence[AfterStep] = (),
    after_epoch: AfterEpoch | None = None,
    progress: bool = False,
    halfway: HalfwayFile | None = None,
    masks: dict[str, Tensor] | None = None,
    penalties: Sequence[Penalty] = (),
) -> list[dict[str, Any]]:
    """Train `model` on `data.train` by `plan`; one dict per epoch, with validation results.

    Batches are cut and augmented in memory on `device` (the model's, unless given). The same
    generator state gives the same result on the same machine; the caller's global random
    state is left as it was. After every optimizer step each of `after_step` is called with
    (model, steps done, steps in all), after every epoch `after_epoch` with that epoch's dict; what
    it raises ends the training. The test split is never touched.

    Each of `penalties` is called with (model, share of training done); the loss gets what it gives.
    With `halfway` a training that was cut off goes on after the last epoch kept there, to the
    same result; `masks`, which `after_step` may change, go with it. With `plan.ema` the moving
    average is what is validated, and what `model` holds when training ends or is interrupted.

    Where `torchrun` has started several processes, each takes its part of every batch, gradients
    are averaged, and all end with the same network; the first one keeps the file `halfway`. Up to
    rounding it is the network of one process, except with batch normalisation, dropout or mixup:
    those work within a process's own part of a batch. A detector's or segmenter's
    `train_accuracy` is then the mean over the parts.

    >>> import squeeze_utils as sq
    >>> digits = sq.load_images("digits", size=8, train_limit=100)
    >>> model = sq.build("lenet_300_100", image_size=8)
    >>> history = sq.fit(model, digits, sq.Train(2, batch_size=50))
    >>> [epoch["epoch"] for epoch in history]
    [1, 2]
    """
    check_fits(model, data)
    machine.keep_freed_memory()
    device = torch.device(device or next(model.parameters()).device)
    model.to(device, memory_format=torch.channels_last)
    data = data.to(device)
    generator = generator or torch.Generator().manual_seed(0)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(int(torch.randint(2**62, (), generator=generator)))
        held = {} if masks is None else masks
        epochs = Epochs(model, data, plan, generator, device, after_step, held, penalties)
        average = epochs.average and epochs.average.network
        going = TrainingState(epochs.name, model, epochs.optimizer, generator, held, average)
        history = halfway.resume_together(going) if halfway else []
        _run(epochs, going, history, halfway, after_epoch, progress)
    return history


def _run(
    epochs: Epochs,
    going: TrainingState,
    history: list[dict[str, Any]],
    halfway: HalfwayFile | None,
    after_epoch: AfterEpoch | None,
    progress: bool,
) -> None:
    """Run the epochs that `history` lacks and append them to it; the model ends as they leave it.

    Where training is cut short, model and masks are those of the last finished epoch.
    """
    model, count = epochs.model, epochs.plan.epochs
    finished, masks = _copy(epochs.judged() if history else model), dict(going.masks)
    left, hidden = range(len(history), count), not (progress and here().first)
    bar = tqdm(left, "epochs", count, initial=len(history), disable=hidden)
    try:
        for epoch in bar:
            noted = epochs.run(epoch)
            finished = _copy(epochs.average.network if epochs.average else model)
            masks = dict(going.masks)
            history.append(noted)
            if halfway and here().first:
                halfway.keep(going, history)
            if after_epoch:
                after_epoch(history[-1])
            bar.set_postfix(validation=f"{history[-1]['validation_accuracy']:.1f} %")
    except (KeyboardInterrupt, DivergedError) as error:
        model.load_state_dict(finished)
        going.masks.clear()
        going.masks.update(masks)
        if isinstance(error, KeyboardInterrupt):
            raise TrainingInterrupted(history) from None
        error.history = history
        raise
    finally:
        bar.close()
    if epochs.average:
        model.load_state_dict(finished)


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}
