"""Muon for matrices, in the number format that the processor is fast in."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F
from torch.optim import Optimizer

from squeeze_utils.base.machine import precision

MOMENTUM = 0.95
COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # of torch's Muon, and of the method's author
ITERATIONS = 5
SMALLEST = 1e-7
TILE = 16  # square matrices are filled up with zeros to a multiple of this


def muon(matrices: list[Tensor], lr: float, decay: float) -> Optimizer:
    """torch's Muon on processors that compute with bfloat16, its only number format; else ours.

    A GPU computes with it too, but there the many small calls are what takes the time.
    """
    device = matrices[0].device
    if device.type == "cpu" and precision("auto", device) == "bfloat16":
        return torch.optim.Muon(matrices, lr, weight_decay=decay, adjust_lr_fn="match_rms_adamw")
    return Float32Muon(matrices, lr, decay)


class Float32Muon(Optimizer):
    """torch's Muon (`match_rms_adamw`), orthogonalised in float32 and for all matrices at once.

    Without instructions for bfloat16, a product of matrices takes 10 times as long in it as in
    float32, which made up a third of a training step of SqueezeNet.
    """

    def __init__(self, matrices: Iterable[Tensor], lr: float, weight_decay: float = 0.1) -> None:
        super().__init__(matrices, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Momentum with Nesterov's correction, made orthogonal."""
        for group in self.param_groups:
            matrices = [matrix for matrix in group["params"] if matrix.grad is not None]
            updates = orthogonal([self._average(matrix) for matrix in matrices])
            for matrix, update in zip(matrices, updates, strict=True):
                rate = 0.2 * max(matrix.shape) ** 0.5 * group["lr"]
                matrix.mul_(1 - group["lr"] * group["weight_decay"]).add_(update, alpha=-rate)

    def _average(self, matrix: Tensor) -> Tensor:
        state = self.state[matrix]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(matrix.grad)
        mean = state["momentum_buffer"].lerp_(matrix.grad, 1 - MOMENTUM)
        return matrix.grad.lerp(mean, MOMENTUM)


def orthogonal(matrices: Sequence[Tensor]) -> list[Tensor]:
    """Singular values between about 0.7 and 1.2 in place of each matrix's own (Newton-Schulz).

    An iteration multiplies X from the left by a polynomial P of X X^T, and so X X^T by P from both
    sides. It is enough to follow X X^T and the product of all P: small square matrices, which are
    multiplied for many layers in one call. One by one, the calls took longer than the products.
    """
    wide = [matrix.T if matrix.shape[0] > matrix.shape[1] else matrix for matrix in matrices]
    groups: dict[int, list[int]] = {}
    for place, x in enumerate(wide):
        groups.setdefault(-len(x) // TILE, []).append(place)
    found = list(wide)
    for group, places in groups.items():
        products = _product(torch.stack([_gram(wide[place], -group * TILE) for place in places]))
        for place, product in zip(places, products, strict=True):
            x, rows = wide[place], len(wide[place])
            found[place] = product[:rows, :rows] @ x
    pairs = zip(matrices, wide, found, strict=True)
    return [update if x is matrix else update.T for matrix, x, update in pairs]


def _gram(x: Tensor, size: int) -> Tensor:
    more = size - len(x)
    return F.pad(x @ x.T, (0, more, 0, more))


def _product(gram: Tensor) -> Tensor:
    """The product of all P, and one over the norm of X, for a batch of X X^T."""
    a, b, c = COEFFICIENTS
    norm = gram.diagonal(dim1=1, dim2=2).sum(1).sqrt().clamp(min=SMALLEST)[:, None, None]
    gram = gram / norm**2
    one = a * torch.eye(gram.shape[1], dtype=gram.dtype, device=gram.device)
    factor = product = torch.baddbmm(gram, gram, gram, beta=b, alpha=c).add_(one)
    for _ in range(ITERATIONS - 1):
        gram = factor @ gram @ factor
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c).add_(one)
        product = factor @ product
    return product / norm
