"""Muon for networks of convolutions, in the number format that the processor is fast in."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor
from torch.optim import Optimizer

from .runtime import precision

MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of torch's Muon, and of the method's author
ITERATIONS = 5
SMALLEST = 1e-7


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
                self._inner.append((group, _for_matrices(views, lr, decay), large))
            if small:
                adamw = torch.optim.AdamW([p for p, _ in small], lr, weight_decay=decay)
                self._inner.append((group, adamw, small))

    def step(self, closure: None = None) -> None:
        """One step of both parts at their group's learning rate."""
        for group, inner, pairs in self._inner:
            for parameter, view in pairs:
                if view is not parameter:
                    view.grad = None if parameter.grad is None else _as_matrix(parameter.grad)
            for own in inner.param_groups:
                own["lr"] = group["lr"]
            inner.step()


def _as_matrix(weight: Tensor) -> Tensor:
    return weight.permute(0, 2, 3, 1).flatten(1) if weight.ndim == 4 else weight.flatten(1)


def _matrix(weight: Tensor) -> Tensor:
    view = _as_matrix(weight.detach())
    if view.untyped_storage().data_ptr() != weight.untyped_storage().data_ptr():
        weight.data = weight.data.contiguous(memory_format=torch.channels_last)
        view = _as_matrix(weight.detach())
    return view.requires_grad_()


def _for_matrices(matrices: list[Tensor], lr: float, decay: float) -> Optimizer:
    """torch's Muon where bfloat16, its only number format, is an instruction; else ours."""
    if precision("auto", matrices[0].device) == "bfloat16":
        return torch.optim.Muon(matrices, lr, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
    return Float32Muon(matrices, lr, decay)


class Float32Muon(Optimizer):
    """torch's Muon (`match_rms_adamw`), orthogonalised in float32.

    Without instructions for bfloat16, a product of matrices takes 10 times as long in it as in
    float32, which made up a third of a training step of SqueezeNet.
    """

    def __init__(self, matrices: Iterable[Tensor], lr: float, weight_decay: float = 0.1) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Momentum with Nesterov's correction, made orthogonal."""
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum_buffer"] = torch.zeros_like(matrix.grad)
                mean = state["momentum_buffer"].lerp_(matrix.grad, 1 - MOMENTUM)
                update = orthogonal(matrix.grad.lerp(mean, MOMENTUM))
                rate = 0.2 * max(matrix.shape) ** 0.5 * group["lr"]
                matrix.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-rate)


def orthogonal(matrix: Tensor) -> Tensor:
    """Singular values between about 0.7 and 1.2 in place of the matrix's own (Newton-Schulz)."""
    wide = matrix.T if matrix.shape[0] > matrix.shape[1] else matrix
    x = wide / wide.norm().clamp(min=SMALLEST)
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if wide is not matrix else x
