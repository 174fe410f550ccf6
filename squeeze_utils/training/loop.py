"""The one training loop of the series, and the step that runs it."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm.auto import tqdm

from squeeze_utils.base import machine
from squeeze_utils.base.checks import choose, whole_number
from squeeze_utils.data import Augment, Batches, ImageSet
from squeeze_utils.training import optimizers
from squeeze_utils.training.evaluation import check_fits, evaluate, numerics
from squeeze_utils.training.resuming import HalfwayFile, TrainingState
from squeeze_utils.training.step import (
    AfterEpoch,
    AfterStep,
    State,
    Step,
    Within,
    check_masks,
    reapply_masks,
    shared_weights,
)

TRACED = 8  # learning rates noted in each epoch, as read back from the optimizer


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C during training. The model holds its last finished epoch, `history` all of them."""

    def __init__(self, history: list[dict[str, Any]]) -> None:
        super().__init__(f"interrupted; the model is as after epoch {len(history)}")
        self.history = history


class DivergedError(RuntimeError):
    """The loss became infinite or not a number. The model holds its last finished epoch."""

    history: list[dict[str, Any]]


@dataclass(frozen=True)
class Train(Step):
    """Train for `epochs`; `lr` is the peak of the schedule, shift and cutout are in pixels.

    The schedule "restarts" needs `cycles`, the lengths of its cosine cycles in epochs. `during`
    lists what happens after every optimizer step, such as gradual pruning.
    With `may_diverge` a non-finite loss ends the step instead of the experiment: a result too,
    where learning rates are compared.

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

    def __post_init__(self) -> None:
        whole_number("epochs", self.epochs, 1)
        whole_number("batch_size", self.batch_size, 1)
        if not self.lr > 0:
            raise ValueError(f"the learning rate must be positive, got {self.lr}")
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"label_smoothing must lie in [0, 1), got {self.label_smoothing}")
        if not self.weight_decay >= 0:
            raise ValueError(f"weight_decay must not be negative, got {self.weight_decay}")
        _ = self.augment  # refuses what is not a number of pixels
        choose("optimizer", self.optimizer, optimizers.OPTIMIZERS)
        object.__setattr__(self, "cycles", tuple(self.cycles))
        object.__setattr__(self, "during", tuple(self.during))
        if not all(isinstance(part, Within) for part in self.during):
            raise ValueError(f"during takes things to do within training, got {self.during}")
        optimizers.make_schedule(self.schedule, self.cycles, self.epochs)
        choose("precision", self.precision, machine.PRECISIONS)

    @property
    def augment(self) -> Augment:
        """What is done to training images, and to no others."""
        return Augment(shift=self.shift, flip=self.flip, cutout=self.cutout)

    def apply(self, state: State) -> dict[str, Any]:
        """Train `state.model`, keeping pruned weights at zero and shared ones equal."""
        measured = {"precision": machine.precision(self.precision, state.device)}
        try:
            with shared_weights(state):
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
) -> list[dict[str, Any]]:
    """Train `model` on `data.train` by `plan`; one dict per epoch, with validation results.

    Batches are cut and augmented in memory on `device` (the model's, unless given). The same
    generator state gives the same result on the same machine; the caller's global random
    state is left as it was. After every optimizer step each of `after_step` is called with
    (model, steps done, steps in all), after every epoch `after_epoch` with that epoch's dict; what
    it raises ends the training. The test split is never touched.

    With `halfway` a training that was cut off goes on after the last epoch kept there, to the
    same result; `masks`, which `after_step` may change, go with it.

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
        epochs = _Epochs(model, data, plan, generator, device, after_step)
        held = {} if masks is None else masks
        going = TrainingState(epochs.name, model, epochs.optimizer, generator, held)
        history = halfway.resume(going) if halfway else []
        finished = _copy(model)
        left = range(len(history), plan.epochs)
        bar = tqdm(left, "epochs", plan.epochs, initial=len(history), disable=not progress)
        try:
            for epoch in bar:
                history.append(epochs.run(epoch))
                finished = _copy(model)
                if halfway:
                    halfway.keep(going, history)
                if after_epoch:
                    after_epoch(history[-1])
                bar.set_postfix(validation=f"{history[-1]['validation_accuracy']:.1f} %")
        except KeyboardInterrupt:
            model.load_state_dict(finished)
            raise TrainingInterrupted(history) from None
        except DivergedError as error:
            model.load_state_dict(finished)
            error.history = history
            raise
        finally:
            bar.close()
    return history


def _copy(model: nn.Module) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in model.state_dict().items()}


class _Epochs:
    """What stays the same from epoch to epoch of one `fit`."""

    def __init__(
        self,
        model: nn.Module,
        data: ImageSet,
        plan: Train,
        generator: torch.Generator,
        device: torch.device,
        after_step: Sequence[AfterStep],
    ) -> None:
        self.model, self.data, self.plan, self.device = model, data, plan, device
        self.batches = Batches(
            data.train,
            min(plan.batch_size, len(data.train)),
            mean=data.mean,
            std=data.std,
            generator=generator,
            augment=plan.augment,
            drop_last=True,
        )
        self.steps = plan.epochs * len(self.batches)
        self.optimizer = optimizers.make_optimizer(
            plan.optimizer, model, plan.lr, plan.weight_decay
        )
        self.factor = optimizers.make_schedule(plan.schedule, plan.cycles, plan.epochs)
        self.after_step = after_step
        self.chosen = machine.precision(plan.precision, device)
        self.name = json.dumps([plan.as_dict(), data.fingerprint, self.chosen, device.type])

    def run(self, epoch: int) -> dict[str, Any]:
        """One pass over the training images, then one over the validation images."""
        start = time.perf_counter()
        self.model.train()
        loss_sum = torch.zeros((), device=self.device)
        hits = torch.zeros((), device=self.device)
        first = epoch * len(self.batches)
        rates: list[float] = []
        for step, (x, y) in enumerate(self.batches, start=first):
            lr = self.plan.lr * self.factor((step + 0.5) / self.steps)
            optimizers.set_lr(self.optimizer.param_groups, lr)
            loss, logits = self._step(x, y)
            rates.append(self.optimizer.param_groups[0]["lr"])
            loss_sum += loss
            hits += (logits.argmax(1) == y).float().mean()
            if step % 32 == 0 or step == first + len(self.batches) - 1:
                self._check(loss_sum, epoch, lr)
            for call in self.after_step:
                call(self.model, step + 1, self.steps)
        seconds = time.perf_counter() - start
        found = evaluate(self.model, self.data.validation, self.data, precision=self.chosen)
        return {
            "epoch": epoch + 1,
            "train_loss": float(loss_sum) / len(self.batches),
            "train_accuracy": 100 * float(hits) / len(self.batches),
            "validation_loss": found.loss,
            "validation_accuracy": found.accuracy,
            "lr": rates[-1],
            "lr_trace": rates[:: max(1, len(rates) // TRACED)],
            "seconds": seconds,
        }

    def _step(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        self.optimizer.zero_grad(set_to_none=True)
        with numerics(self.chosen, self.device):
            logits = self.model(x)
        loss = F.cross_entropy(logits.float(), y, label_smoothing=self.plan.label_smoothing)
        loss.backward()
        self.optimizer.step()
        return loss.detach(), logits.detach()

    def _check(self, loss_sum: Tensor, epoch: int, lr: float) -> None:
        if not math.isfinite(float(loss_sum)):
            raise DivergedError(
                f"the loss is not finite in epoch {epoch + 1} at learning rate {lr:.3g}; try a "
                f"learning rate of {self.plan.lr / 10:.3g}, a model with batch normalisation, "
                'or precision="float32"'
            )
