"""Registries of optimizers and of learning-rate schedules."""

from __future__ import annotations

import bisect
import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from squeeze_utils.base.checks import choose, real_number, whole_number
from squeeze_utils.training.distributed.ranks import common_generator
from squeeze_utils.training.muon import BatchedMuon

Maker = Callable[[list[dict], float], Optimizer]
Schedule = Callable[[float], float]


class ConvMuon(Optimizer):
    """Muon for every weight of two or more dimensions, AdamW for biases and norm parameters.

    torch's Muon takes matrices only; a convolution's weight is handed to it as the matrix
    (outputs, inputs x height x width), a view of the same memory. Updates are scaled to the
    root mean square of AdamW's, so that both parts share one learning rate.
    """

    def __init__(self, groups: list[dict], lr: float) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0})
        self._inner: list[tuple[dict, Optimizer, list[tuple[Tensor, Tensor]]]] = []
        for group in self.param_groups:
            decay = group["weight_decay"]
            large = [(p, _matrix(p)) for p in group["params"] if p.ndim >= 2]
            small = [(p, p) for p in group["params"] if p.ndim < 2]
            if large:
                views = [view for _, view in large]
                self._inner.append((group, BatchedMuon(views, lr, decay), large))
            if small:
                vectors = [p for p, _ in small]
                adamw = torch.optim.AdamW(vectors, lr, weight_decay=decay, fused=True)
                self._inner.append((group, adamw, small))

    def step(self, closure: None = None) -> None:
        """One step of both parts at their group's learning rate."""
        for group, inner, pairs in self._inner:
            for parameter, view in pairs:
                if view is not parameter:
                    view.grad = None if parameter.grad is None else _as_matrix(parameter.grad)
            set_lr(inner.param_groups, group["lr"])
            inner.step()

    def state_dict(self) -> dict[str, Any]:
        """The state of both parts, which hold it."""
        return {"inner": [inner.state_dict() for _, inner, _ in self._inner]}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        for (_, inner, _), state in zip(self._inner, state_dict["inner"], strict=True):
            inner.load_state_dict(state)


def _as_matrix(weight: Tensor) -> Tensor:
    return weight.permute(0, 2, 3, 1).flatten(1) if weight.ndim == 4 else weight.flatten(1)


def _matrix(weight: Tensor) -> Tensor:
    view = _as_matrix(weight.detach())
    if view.untyped_storage().data_ptr() != weight.untyped_storage().data_ptr():
        weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        view = _as_matrix(weight.detach())
    return view.requires_grad_()


class PerturbedSGD(Optimizer):
    """Gradient descent on a gradient with noise: w -= lr (g + decay w + sigma xi), xi normal.

    Where the gradient vanishes but the curvature is negative somewhere (a saddle point), the
    noise is all that moves the weights, and the curvature amplifies it (Jin et al. 2017).

    It comes from torch's global generator. Processes that train together have other numbers there,
    each its own, so they draw it from a generator that is equal in all: the weights stay equal.
    """

    def __init__(self, groups: list[dict] | Iterable[Tensor], lr: float, sigma: float = 0.003):
        real_number("sigma", sigma, least=0)
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0, "sigma": sigma})
        self.generator = common_generator(self.param_groups[0]["params"][0].device)

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step with fresh noise."""
        for group in self.param_groups:
            for w in group["params"]:
                if w.grad is not None:
                    noise = group["sigma"] * torch.empty_like(w).normal_(generator=self.generator)
                    w.sub_(group["lr"] * (w.grad + group["weight_decay"] * w + noise))

    def state_dict(self) -> dict[str, Any]:
        """With where the noise stands, unless the global generator makes it."""
        own = {} if self.generator is None else {"noise": self.generator.get_state()}
        return {**super().state_dict(), **own}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        if self.generator is not None:
            self.generator.set_state(state_dict["noise"])
        super().load_state_dict(state_dict)


class Lion(Optimizer):
    """The sign of an average of gradients (Chen et al. 2023, Algorithm 2), decay decoupled.

    Every weight moves by exactly the learning rate; one number of memory for each weight.
    """

    # The share of the old average in a step's direction, and in the new average.
    NOW, LATER = 0.9, 0.99

    def __init__(self, groups: list[dict] | Iterable[Tensor], lr: float) -> None:
        super().__init__(groups, {"lr": lr, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One step: blend by one share to step, by another to remember."""
        for group in self.param_groups:
            lr = group["lr"]
            for w in group["params"]:
                if w.grad is None:
                    continue
                if "average" not in self.state[w]:
                    self.state[w]["average"] = torch.zeros_like(w)
                memory = self.state[w]["average"]
                direction = torch.lerp(w.grad, memory, self.NOW).sign_()
                w.mul_(1 - lr * group["weight_decay"]).sub_(direction, alpha=lr)
                memory.lerp_(w.grad, 1 - self.LATER)


OPTIMIZERS: dict[str, Maker] = {
    "sgd": lambda groups, lr: torch.optim.SGD(groups, lr, fused=True),
    "perturbed": PerturbedSGD,
    "momentum": lambda groups, lr: torch.optim.SGD(groups, lr, momentum=0.9, fused=True),
    "nesterov": lambda groups, lr: torch.optim.SGD(
        groups, lr, momentum=0.9, nesterov=True, fused=True
    ),
    "rmsprop": lambda groups, lr: torch.optim.RMSprop(groups, lr),
    "adam": lambda groups, lr: torch.optim.Adam(groups, lr, fused=True),
    "adamw": lambda groups, lr: torch.optim.AdamW(groups, lr, fused=True),
    "lion": Lion,
    "muon": ConvMuon,
}

WARM_UP = 0.2
RESTARTS = "restarts"


def _one_cycle(t: float) -> float:
    return t / WARM_UP if t < WARM_UP else (1 - t) / (1 - WARM_UP)


SCHEDULES: dict[str, Schedule] = {
    "constant": lambda t: 1.0,
    "linear": lambda t: 1 - t,
    "cosine": lambda t: (1 + math.cos(math.pi * t)) / 2,
    "one_cycle": _one_cycle,
}
SCHEDULE_NAMES: tuple[str, ...] = (*SCHEDULES, RESTARTS)


def make_optimizer(name: str, model: nn.Module, lr: float, weight_decay: float = 0.0) -> Optimizer:
    """Optimizer `name` over `model`; only weights of two or more dimensions decay.

    Biases and normalisation parameters are left out of weight decay: pulling a scale
    towards zero is no regularisation, it is a smaller learning rate in disguise.
    """
    choose("optimizer", name, OPTIMIZERS)
    real_number("the learning rate", lr, above=0)
    real_number("weight_decay", weight_decay, least=0)
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("the model has no trainable parameter")
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return OPTIMIZERS[name]([group for group in groups if group["params"]], lr)


def make_schedule(name: str, cycles: Sequence[int] = (), epochs: int | None = None) -> Schedule:
    """The factor on the learning rate as a function of t, the share of the steps that is done.

    `"restarts"` (SGDR, arXiv 1608.03983) takes the lengths of its cosine cycles in epochs; they
    must fill the run of `epochs` exactly. The other schedules stretch to any run.
    """
    choose("schedule", name, SCHEDULE_NAMES)
    if (name == RESTARTS) != bool(cycles):
        raise ValueError(
            'schedule "restarts" needs cycles, their lengths in epochs, for example (1, 2, 4)'
            if name == RESTARTS
            else f'schedule "{name}" takes no cycles, got {tuple(cycles)}'
        )
    if name != RESTARTS:
        return SCHEDULES[name]
    for length in cycles:
        whole_number("a cycle", length, 1)
    if epochs is not None and sum(cycles) != epochs:
        raise ValueError(f"the cycles {tuple(cycles)} last {sum(cycles)} epochs, the run {epochs}")
    return _restarts(cycles)


def _restarts(cycles: Sequence[int]) -> Schedule:
    ends = list(itertools.accumulate(cycles))

    def factor(t: float) -> float:
        epoch = t * ends[-1]
        cycle = min(bisect.bisect_right(ends, epoch), len(cycles) - 1)
        done = (epoch - ends[cycle] + cycles[cycle]) / cycles[cycle]
        return SCHEDULES["cosine"](done)

    return factor


def set_lr(groups: Iterable[dict], lr: float) -> None:
    """Give every parameter group the learning rate `lr`."""
    for group in groups:
        group["lr"] = lr
