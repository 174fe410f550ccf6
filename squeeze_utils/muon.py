"""Muon for matrices, in the number format that the processor is fast in."""

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
LARGE, WIDE = 128, 4  # rows, and columns for each row, from where `_by_rows` is faster


def muon(matrices: list[Tensor], lr: float, decay: float) -> Optimizer:
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
    rows, columns = x.shape
    x = _by_rows(x) if rows >= LARGE and columns >= WIDE * rows else _step_by_step(x)
    return x.T if wide is not matrix else x


def _step_by_step(x: Tensor) -> Tensor:
    a, b, c = COEFFICIENTS
    for _ in range(ITERATIONS):
        gram = x @ x.T
        x = torch.addmm(x, torch.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


def _by_rows(x: Tensor) -> Tensor:
    """The same: every step multiplies x from the left by a P, and X X^T by P from both sides.

    So the wide matrix is needed twice, not ten times: for the first X X^T and at the end.
    """
    a, b, c = COEFFICIENTS
    gram = x @ x.T
    product = one = torch.eye(len(x), dtype=x.dtype, device=x.device)
    for _ in range(ITERATIONS):
        step = torch.addmm(gram, gram, gram, beta=b, alpha=c) + a * one
        product = step @ product
        gram = step @ gram @ step
    return product @ x
