"""Steps that bring a network from one set of images to another."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from squeeze_utils.base.checks import whole_number
from squeeze_utils.data.few import of_each_class
from squeeze_utils.data.sets import load_images
from squeeze_utils.models import SqueezeNet, pretrained
from squeeze_utils.training.features import check_linear_head, kept_features
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State, Step, check_untouched

DECAYS = tuple(10.0**power for power in (0, -1, -2, -3, -4, -5))  # strongest first
ITERATIONS = 60  # of L-BFGS at each decay, from the weights of the one before


@dataclass(frozen=True)
class LoadImageNet(Step):
    """Fill all but the head of a `squeezenet1_1` with torchvision's weights from ImageNet.

    The first layer is changed so that it takes pictures normalised like the set at hand and
    answers as before. The head stays as it is: new.
    """

    @torch.no_grad()
    def apply(self, state: State) -> dict[str, Any]:
        """Only a network with the very layers of the published one is filled."""
        model = state.model
        check_untouched(state, self)
        try:
            model.features.load_state_dict(pretrained.feature_weights())
        except (RuntimeError, AttributeError) as error:
            raise ValueError(
                f"{model.spec} has other layers than {pretrained.NAME}: only that is at hand"
            ) from error
        old = pretrained.MEAN, pretrained.STD
        first, new = model.first, (state.data.mean, state.data.std)
        weight, bias = pretrained.renormalised(first.weight.double(), first.bias.double(), old, new)
        first.weight.copy_(weight)
        first.bias.copy_(bias)
        return {"loaded": pretrained.NAME}


@dataclass(frozen=True)
class TrainElsewhere(Step):
    """Train on another image set of the same size and channels before coming to one's own."""

    images: str
    train: Train

    def apply(self, state: State) -> dict[str, Any]:
        """What `train` measured, on the other set."""
        data = state.data
        other = load_images(self.images, data.size, channels=data.channels)
        state.data = other.to(state.device)
        try:
            return self.train.apply(state)
        finally:
            state.data = data


def last_layer(model: nn.Module) -> nn.Conv2d | nn.Linear:
    """The layer that gives a score for each class."""
    return [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)][-1]


def _check_head(state: State, step: Step) -> None:
    """`check_untouched` of the last layer alone: the others may be pruned or shared."""
    head = last_layer(state.model)
    own = {id(parameter) for parameter in head.parameters()}
    names = {name for name, parameter in state.model.named_parameters() if id(parameter) in own}
    if names & (state.masks.keys() | state.codebooks.keys()):
        check_untouched(state, step)


@dataclass(frozen=True)
class NewHead(Step):
    """Draw the last layer anew: its old classes mean nothing for the new images."""

    @torch.no_grad()
    def apply(self, state: State) -> dict[str, Any]:
        """Normal weights of deviation 0.01 and zero biases, as at the start of a training."""
        _check_head(state, self)
        head = last_layer(state.model)
        head.weight.copy_(0.01 * torch.randn(head.weight.shape, generator=state.generator))
        head.bias.zero_()
        return {}


@dataclass(frozen=True)
class FitHead(Step):
    """Logistic regression of the classes on the averaged features of a frozen SqueezeNet.

    The penalty on the weights is chosen on validation images. With `per_class` so many training
    images of each class are drawn with the experiment's seed (all of a class that has fewer), and
    no more validation images of a class than that. `balanced` gives each class the same weight in
    the loss, however many images it has.

    >>> import squeeze_utils as sq
    >>> from squeeze_utils.training.transfer import FitHead
    >>> digits = sq.load_images("digits", size=16)
    >>> model = sq.build("squeezenet_small", num_classes=10, in_channels=1, width=0.25)
    >>> state = sq.State(model, digits)
    >>> FitHead(per_class=5).apply(state)["head_images"]
    50
    """

    per_class: int = 0
    balanced: bool = False

    def __post_init__(self) -> None:
        whole_number("per_class", self.per_class, 0)

    def apply(self, state: State) -> dict[str, Any]:
        """Fit the last layer; the rest of the network stays as it is."""
        _check_head(state, self)
        check_linear_head(state.model)
        if state.model.num_classes != state.data.num_classes:
            raise ValueError(
                f"the head has {state.model.num_classes} outputs, {state.data.name} has "
                f"{state.data.num_classes} classes: build it with as many"
            )
        parts = []
        for split in (state.data.train, state.data.validation):
            x = kept_features(state.model, split, state.data)
            y = split.labels.cpu()
            chosen = slice(None)
            if self.per_class:
                chosen = of_each_class(y, self.per_class, state.generator)
            parts += [x[chosen], y[chosen]]
        fitted = fit_linear(*parts, state.data.num_classes, self.balanced)
        head = last_layer(state.model)
        with torch.no_grad():
            head.weight.copy_(fitted.weight[..., None, None])
            head.bias.copy_(fitted.bias)
        return {"head_images": len(parts[1]), "decay": fitted.decay}


@dataclass(frozen=True)
class Fitted:
    """A linear classifier: weight (classes, channels), bias (classes,), and its penalty."""

    weight: Tensor
    bias: Tensor
    decay: float


def fit_linear(
    x: Tensor, y: Tensor, x_val: Tensor, y_val: Tensor, classes: int, balanced: bool = False
) -> Fitted:
    """The logistic regression whose penalty is best on validation features.

    Features (n, channels) are brought to mean 0 and deviation 1 first, so that one penalty suits
    all; the returned weights take them as they were. The loss is the mean cross-entropy plus
    decay / 2 times the sum of squared weights.
    """
    if len(x) < 2 or not len(x_val):
        got = f"{len(x)} and {len(x_val)}"
        raise ValueError(f"a head needs two pictures and one for validation, got {got}")
    if not (x.isfinite().all() and x_val.isfinite().all()):
        raise ValueError("the features of the pictures are not finite")
    mean, std = x.mean(0), x.std(0).clamp_min(1e-6)
    z, z_val = (x - mean) / std, (x_val - mean) / std
    counts = torch.bincount(y, minlength=classes).clamp_min(1).float()
    share = len(y) / (classes * counts) if balanced else torch.ones(classes)
    w, b = torch.zeros(classes, x.shape[1]), torch.zeros(classes)
    best, least = None, float("inf")
    for decay in DECAYS:
        _minimise(w.requires_grad_(), b.requires_grad_(), z, y, share, decay)
        w, b = w.detach(), b.detach()
        loss = float(F.cross_entropy(z_val @ w.T + b, y_val, weight=share))
        if loss < least:
            best, least = (w.clone(), b.clone(), decay), loss
    if best is None:
        raise ValueError("no penalty leads to a finite loss on validation pictures")
    w, b, decay = best
    return Fitted(w / std, b - (w / std) @ mean, decay)


def _minimise(w: Tensor, b: Tensor, z: Tensor, y: Tensor, share: Tensor, decay: float) -> None:
    search = {"max_iter": ITERATIONS, "line_search_fn": "strong_wolfe"}
    optimizer = torch.optim.LBFGS([w, b], **search)

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(z @ w.T + b, y, weight=share) + decay / 2 * w.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimizer.step(closure)


def fire_parts(model: SqueezeNet, first: int) -> tuple[str, ...]:
    """The parts of a network from Fire module `first` (2 to 9) to the end, for `Train(only=...)`.

    >>> import squeeze_utils as sq
    >>> from squeeze_utils.training.transfer import fire_parts
    >>> fire_parts(sq.build("squeezenet1_1"), 8)
    ('features.11', 'features.12', 'classifier')
    """
    fires = {number: fire for number, fire in model.fires().items() if number >= first}
    names = [f"features.{n}" for n, m in model.features.named_children() if m in fires.values()]
    return (*names, "classifier")
