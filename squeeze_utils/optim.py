"""Registries of optimizers and of learning-rate schedules."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .models.layers import choose

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
                muon = torch.optim.Muon(
                    views, lr, weight_decay=decay, adjust_lr_fn="match_rms_adamw"
                )
                self._inner.append((group, muon, large))
            if small:
                adamw = torch.optim.AdamW([p for p, _ in small], lr, weight_decay=decay)
                self._inner.append((group, adamw, small))

    def step(self, closure: None = None) -> None:
        """One step of both parts at their group's learning rate."""
        for group, inner, pairs in self._inner:
            for parameter, view in pairs:
                if view is not parameter:
                    view.grad = None if parameter.grad is None else _as_matrix(parameter.grad)
            set_lr(inner.param_groups, group["lr"])
            inner.step()


def _as_matrix(weight: Tensor) -> Tensor:
    return weight.permute(0, 2, 3, 1).flatten(1) if weight.ndim == 4 else weight.flatten(1)


def _matrix(weight: Tensor) -> Tensor:
    view = _as_matrix(weight.detach())
    if view.untyped_storage().data_ptr() != weight.untyped_storage().data_ptr():
        weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        view = _as_matrix(weight.detach())
    return view.requires_grad_()


OPTIMIZERS: dict[str, Maker] = {
    "sgd": lambda groups, lr: torch.optim.SGD(groups, lr, fused=True),
    "momentum": lambda groups, lr: torch.optim.SGD(groups, lr, momentum=0.9, fused=True),
    "nesterov": lambda groups, lr: torch.optim.SGD(
        groups, lr, momentum=0.9, nesterov=True, fused=True
    ),
    "rmsprop": lambda groups, lr: torch.optim.RMSprop(groups, lr),
    "adam": lambda groups, lr: torch.optim.Adam(groups, lr, fused=True),
    "muon": ConvMuon,
    "adamw": lambda groups, lr: torch.optim.AdamW(groups, lr, fused=True),
}

WARM_UP = 0.2


def _one_cycle(t: float) -> float:
    return t / WARM_UP if t < WARM_UP else (1 - t) / (1 - WARM_UP)


SCHEDULES: dict[str, Schedule] = {
    "constant": lambda t: 1.0,
    "linear": lambda t: 1 - t,
    "cosine": lambda t: (1 + math.cos(math.pi * t)) / 2,
    "one_cycle": _one_cycle,
}


def optimizer(name: str, model: nn.Module, lr: float, weight_decay: float = 0.0) -> Optimizer:
    """Optimizer `name` over `model`; only weights of two or more dimensions decay.

    Biases and normalisation parameters are left out of weight decay: pulling a scale
    towards zero is no regularisation, it is a smaller learning rate in disguise.
    """
    choose("optimizer", name, OPTIMIZERS)
    if not lr > 0:
        raise ValueError(f"the learning rate must be positive, got {lr}")
    if weight_decay < 0:
        raise ValueError(f"weight_decay must not be negative, got {weight_decay}")
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise ValueError("the model has no trainable parameter")
    groups = [
        {"params": [p for p in parameters if p.ndim >= 2], "weight_decay": weight_decay},
        {"params": [p for p in parameters if p.ndim < 2], "weight_decay": 0.0},
    ]
    return OPTIMIZERS[name]([group for group in groups if group["params"]], lr)


def schedule(name: str) -> Schedule:
    """The factor on the learning rate as a function of t, the share of the steps that is done."""
    return SCHEDULES[choose("schedule", name, SCHEDULES)]


def set_lr(groups: Iterable[dict], lr: float) -> None:
    """Give every parameter group the learning rate `lr`."""
    for group in groups:
        group["lr"] = lr
