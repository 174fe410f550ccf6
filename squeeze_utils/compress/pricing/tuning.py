"""The numbers of a rounded network that are few, tuned on images: steps of layers, and biases.

The whole numbers that weights became stay as they are. A few hundred images tell what a step should
be for each layer; a million whole numbers, trained on them, would learn these images by heart.
The loss is the divergence of the outputs from those of the original network, so no labels are
needed. What comes out is the state of the training that is best on images held back for that.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from dataclasses import dataclass, replace
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional as F
from torch.optim.lr_scheduler import CosineAnnealingLR
from tqdm.auto import tqdm

from squeeze_utils.base.checks import whole_number
from squeeze_utils.compress.pricing.after_training import Squeezed
from squeeze_utils.compress.pricing.layers_and_inputs import BATCH, weighted
from squeeze_utils.compress.pricing.priced_rounding import MOST
from squeeze_utils.compress.sqz import container, forms

STEPS = 80  # of the optimizer, each on one batch
CHECK_EVERY = 10  # steps
RATE = 1e-3  # of a step, in shares of it
BIAS_RATE = 0.2  # of a bias, in its steps; with 0.02 hardly one came to the next number
BETAS = (0.9, 0.99)
T = TypeVar("T", Tensor, nn.Module)


@dataclass(frozen=True)
class Tuned:
    """The best file that was found, and how far its outputs are from the original's.

    `before` and `after` are divergences on the held images, in nats an image; `step` is when the
    best state was found: 0 if it is the one that tuning began with.
    """

    squeezed: Squeezed
    before: float
    after: float
    step: int


def tune(
    squeezed: Squeezed,
    original: nn.Module,
    batches: Iterable[Tensor],
    held: Tensor,
    target_bytes: int,
    *,
    coder: str = "best",
    steps: int = STEPS,
    progress: bool = False,
) -> Tuned:
    """Tune the steps and biases of `squeezed` so that its outputs are like those of `original`.

    `batches` are at least `steps` batches of images (n, c, h, w), as the networks take them; `held`
    are images that no batch has shown. The networks are left as they are.
    Every state that counts is a file of at most `target_bytes`, read again before it is judged.
    """
    whole_number("steps", steps, 1)
    _check(squeezed, held, target_bytes)
    few, judge = _FewNumbers(squeezed), _Judge(original, held)
    start = judge.divergence(squeezed.model)
    best = Tuned(squeezed, start, start, 0)
    optimizer = torch.optim.Adam(few.groups, betas=BETAS)
    schedule, step = CosineAnnealingLR(optimizer, steps), 0
    with tqdm(islice(batches, steps), "tune", steps, disable=not progress) as bar:
        for step, images in enumerate(bar, 1):
            optimizer.zero_grad()
            _divergence(few.outputs(images), judge.wanted(images)).backward()
            optimizer.step()
            schedule.step()
            if step % CHECK_EVERY == 0 or step == steps:
                best = _better(best, few.written(coder), judge, step, target_bytes)
                bar.set_postfix(held=f"{best.after:.4f}")
    if step < steps:
        raise ValueError(f"{step} batches were given, {steps} steps need as many")
    return best


def _better(best: Tuned, found: Squeezed, judge: _Judge, step: int, target_bytes: int) -> Tuned:
    """What was found, if its file fits and is nearer to the original on the held images."""
    after = judge.divergence(container.decode_sqz(found.data))
    if len(found.data) > target_bytes or after >= best.after:
        return best
    return Tuned(found, best.before, after, step)


def _check(squeezed: Squeezed, held: Tensor, target_bytes: int) -> None:
    if len(squeezed.data) > whole_number("target_bytes", target_bytes, 1):
        size = f"{len(squeezed.data):,} bytes"
        raise ValueError(f"the rounded network has {size}, more than the target {target_bytes:,}")
    if held.ndim != 4 or not len(held):
        raise ValueError(f"held images must be (n, c, h, w), got {tuple(held.shape)}")
    lacking = [n for n in weighted(squeezed.model) if f"{n}.weight" not in squeezed.grids]
    if lacking:
        raise ValueError(f"no step is known of {', '.join(lacking)}; accepted: what squeeze gives")


class _FewNumbers:
    """What is tuned of a rounded network: a factor of each step, and the biases in their steps."""

    def __init__(self, squeezed: Squeezed) -> None:
        self.start = squeezed
        self.model = _fast(deepcopy(squeezed.model)).requires_grad_(False)
        self.steps: dict[str, Tensor] = {}
        self.codes: dict[str, Tensor] = {}
        self.factors: dict[str, Tensor] = {}
        self.biases: dict[str, Tensor] = {}
        self.bias_steps: dict[str, float] = {}
        for name, layer in weighted(self.model).items():
            step = squeezed.grids[f"{name}.weight"]
            self.steps[name], self.codes[name] = step, (layer.weight / step).round()
            self.bias_steps[name] = _step_of(name, layer.bias)
            self.factors[name] = torch.ones((), requires_grad=True)
            self.biases[name] = (layer.bias / self.bias_steps[name]).requires_grad_()

    @property
    def groups(self) -> list[dict[str, object]]:
        """The numbers and their rates, for an optimizer."""
        return [
            {"params": list(self.factors.values()), "lr": RATE},
            {"params": list(self.biases.values()), "lr": BIAS_RATE},
        ]

    def outputs(self, images: Tensor) -> Tensor:
        """What the network says now (n, classes). A bias is rounded, its slope is not."""
        numbers = {}
        for name, codes in self.codes.items():
            numbers[f"{name}.weight"] = codes * (self.steps[name] * self.factors[name])
            bias = self.biases[name]
            rounded = bias + (bias.round().clamp(-MOST, MOST) - bias).detach()
            numbers[f"{name}.bias"] = rounded * self.bias_steps[name]
        return functional_call(self.model, numbers, _fast(images))

    @torch.no_grad()
    def written(self, coder: str) -> Squeezed:
        """The network as a file can hold it, with the steps as halves."""
        model = deepcopy(self.start.model)
        grids = {}
        for name, layer in weighted(model).items():
            step = (self.steps[name] * self.factors[name]).half().float()
            grids[f"{name}.weight"] = step
            layer.weight.data = self.codes[name].view_as(layer.weight) * step
            bias = self.biases[name].round().clamp(-MOST, MOST)
            layer.bias.data = bias * self.bias_steps[name]
        data, parts = container.encode_sqz(model, coder, grids)
        facts = [
            row | {"step": float(grids[f"{row['layer']}.weight"])} for row in self.start.layers
        ]
        return replace(self.start, model=model, data=data, parts=parts, layers=facts, grids=grids)


class _Judge:
    """The original network, and how far others are from it on the held images."""

    def __init__(self, original: nn.Module, held: Tensor) -> None:
        self.original = _fast(deepcopy(original).eval())
        self.held = [(images, self.wanted(images)) for images in held.split(BATCH)]

    @torch.no_grad()
    def wanted(self, images: Tensor) -> Tensor:
        """What the original says (n, classes)."""
        return self.original(_fast(images))

    @torch.no_grad()
    def divergence(self, model: nn.Module) -> float:
        """Nats an image."""
        model = _fast(deepcopy(model).eval())
        nats = [_divergence(model(_fast(x)), y) * len(x) for x, y in self.held]
        return float(sum(nats)) / sum(len(x) for x, _ in self.held)


def _divergence(scores: Tensor, wanted: Tensor) -> Tensor:
    now, before = scores.log_softmax(1), wanted.log_softmax(1)
    return F.kl_div(now, before, reduction="batchmean", log_target=True)


def _fast(thing: T) -> T:
    return thing.to(memory_format=torch.channels_last)


def _step_of(name: str, bias: Tensor) -> float:
    """The step that rounded biases are multiples of; 1 if all are zero."""
    if bias.numel() == 1:  # any number is a multiple of itself
        return abs(float(bias)) or 1.0
    found = forms.find_steps(forms.values_of(bias), 1)
    if found is None:
        raise ValueError(f"the biases of {name} are not rounded; accepted: what squeeze gives")
    return float(found[0]) or 1.0
