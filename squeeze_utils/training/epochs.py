"""The epochs of one training: steps over the training images, then validation."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from squeeze_utils.base import machine
from squeeze_utils.data import Batches, ImageSet
from squeeze_utils.training import optimizers
from squeeze_utils.training.averaging import MovingAverage
from squeeze_utils.training.distributed.ranks import here, mean_of_all, seed_for
from squeeze_utils.training.evaluation import evaluate, numerics
from squeeze_utils.training.failures import DivergedError
from squeeze_utils.training.frozen import train_parts
from squeeze_utils.training.mixing import mixed, mixed_loss
from squeeze_utils.training.step import AfterStep, Penalty
from squeeze_utils.training.tasks import task_of

if TYPE_CHECKING:
    from squeeze_utils.training.loop import Train

TRACED = 8  # learning rates noted in each epoch, as read back from the optimizer


class Epochs:
    """What stays the same from epoch to epoch of one `fit`."""

    def __init__(
        self,
        model: nn.Module,
        data: ImageSet,
        plan: Train,
        generator: torch.Generator,
        device: torch.device,
        after_step: Sequence[AfterStep],
        masks: dict[str, Tensor],
        penalties: Sequence[Penalty] = (),
    ) -> None:
        self.model, self.data, self.plan, self.device = model, data, plan, device
        self.task = task_of(data)
        if plan.mixup and self.task.name != "classification":
            raise ValueError(f"mixup mixes classes: it is not for {self.task.name}")
        self.batches = Batches(
            data.train,
            min(plan.batch_size, len(data.train)),
            mean=data.mean,
            std=data.std,
            generator=generator,
            augment=plan.augment,
            drop_last=True,
            share=(here().rank, here().size),
        )
        self.steps = plan.epochs * len(self.batches)
        self.optimizer = optimizers.make_optimizer(
            plan.optimizer, model, plan.lr, plan.weight_decay
        )
        self.factor = optimizers.make_schedule(plan.schedule, plan.cycles, plan.epochs)
        self.after_step, self.masks, self.penalties = after_step, masks, penalties
        self.average = MovingAverage(model, plan.ema) if plan.ema else None
        self.precision = machine.precision(plan.precision, device)
        self.exchange = plan.make_exchange(model, self.steps)
        self.seed = torch.initial_seed()
        # With all fields: a key leaves out what holds its default, and defaults change.
        together = [] if here().alone else [here().size]
        about = [plan.as_dict(), data.fingerprint, self.precision, device.type, *together]
        self.name = json.dumps(about)

    def run(self, epoch: int) -> dict[str, Any]:
        """One pass over the training images, then one over the validation images."""
        start = time.perf_counter()
        seed_for(epoch, self.seed)
        train_parts(self.model, self.plan.only)
        loss_sum = torch.zeros((), device=self.device)
        hits = torch.zeros((), device=self.device)
        first = epoch * len(self.batches)
        rates: list[float] = []
        for step, (x, y) in enumerate(self.batches, start=first):
            done = (step + 0.5) / self.steps
            lr = self.plan.lr * self.factor(done)
            optimizers.set_lr(self.optimizer.param_groups, lr)
            loss, logits = self._step(x, y, done)
            rates.append(self.optimizer.param_groups[0]["lr"])
            loss_sum += loss
            hits += self.task.share_right(logits, y)
            checked = step % 32 == 0 or step == first + len(self.batches) - 1
            if checked and not math.isfinite(float(mean_of_all(loss_sum.clone()))):
                raise DivergedError.at(epoch, lr, self.plan.lr)
            self.exchange.after_step(step + 1)
            for call in self.after_step:
                call(self.model, step + 1, self.steps)
            if self.average:
                self.average.update(self.model, step + 1, self.masks)
        self.exchange.after_epoch()
        loss_sum, hits = mean_of_all(torch.stack((loss_sum, hits)))
        seconds = time.perf_counter() - start
        found = evaluate(self.judged(), self.data.validation, self.data, precision=self.precision)
        if not math.isfinite(found.loss):  # after the last step, whose loss was still finite
            raise DivergedError.at(epoch, lr, self.plan.lr)
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

    def judged(self) -> nn.Module:
        """The network that validation judges: the moving average, where there is one."""
        if not self.average:
            return self.model
        return self.average.settle(self.model, self.data, self.precision, self.plan.only)

    def _step(self, x: Tensor, y: Tensor, done: float) -> tuple[Tensor, Tensor]:
        self.optimizer.zero_grad(set_to_none=True)
        shares = None
        if self.plan.mixup:
            shares = self.plan.mixing.shares(len(y), done).to(self.device)
            x = mixed(x, shares)
        with numerics(self.precision, self.device):
            logits = self.exchange.network(x)
        loss = self._loss(logits.float(), y, shares)
        total = loss
        for term in self.penalties:
            total = total + term(self.model, done)
        total.backward()
        self.optimizer.step()
        return loss.detach(), logits.detach()

    def _loss(self, logits: Tensor, y: Tensor, shares: Tensor | None) -> Tensor:
        smoothing = self.plan.label_smoothing
        if shares is None:
            loss = self.task.loss(logits, y, smoothing)
            return self.exchange.as_part(loss, lambda: self.task.counted(logits, y))
        return mixed_loss(logits, y, shares, smoothing)
