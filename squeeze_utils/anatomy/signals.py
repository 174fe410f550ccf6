"""What flows through a network: signals, gradients, and which units still answer to anything."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from squeeze_utils.base.checks import whole_number
from squeeze_utils.data import normalise
from squeeze_utils.models import ACTIVATIONS, SqueezeNet
from squeeze_utils.training.evaluation import evaluating, watching
from squeeze_utils.training.step import State, Step
from squeeze_utils.training.tasks import only_classes, only_classifiers

DEAD = 1e-3  # a unit is dead if its derivative stays below this for everything it was shown
FLAT = 0.05  # a value is flat (off or saturated) if its derivative is below this
MEASURED = "signals are measured"  # what is said where they cannot be


@torch.no_grad()
def silent_outputs(model: nn.Module, images: Tensor) -> tuple[float, float]:
    """Shares (percent) of outputs that are zero for all images, and of images with no output.

    An output behind a final ReLU that is zero for every image gets no gradient from any of
    them: it is dead. `images` are normalised, (n, channels, height, width).
    """
    with evaluating(model):
        silent = torch.cat([model(batch) for batch in images.split(250)]) == 0
    return 100 * float(silent.all(0).float().mean()), 100 * float(silent.all(1).float().mean())


def activation_modules(model: nn.Module) -> dict[str, nn.Module]:
    """The activation modules of a network in its order, by name.

    Those of a SqueezeNet are called conv1, fire2.squeeze, fire2.expand, ... and conv10 (where
    the last convolution has one); of other networks the module's own name is used.
    """
    kinds = tuple({type(make()) for make in ACTIVATIONS.values()})
    names = _squeezenet_names(model, kinds) if isinstance(model, SqueezeNet) else {}
    return {
        names.get(path, path): module
        for path, module in model.named_modules()
        if isinstance(module, kinds)
    }


def _squeezenet_names(model: SqueezeNet, kinds: tuple[type, ...]) -> dict[str, str]:
    """The paper's layer for the path of every activation module of a SqueezeNet."""
    first = [i for i, layer in enumerate(model.features) if isinstance(layer, kinds)]
    names = {f"features.{i}": "conv1" if i == first[-1] else f"conv1.{i}" for i in first}
    names |= {f"classifier.{i}": "conv10" for i in range(len(model.classifier))}
    numbers = {id(fire): number for number, fire in model.fires().items()}
    for i, layer in enumerate(model.features):
        if id(layer) in numbers:
            for part in ("squeeze", "expand"):
                names[f"features.{i}.{part}_activation"] = f"fire{numbers[id(layer)]}.{part}"
    return names


def layer_statistics(model: nn.Module, images: Tensor, labels: Tensor) -> list[dict[str, Any]]:
    """What goes into and comes out of every activation module, and the gradient behind it.

    Args:
        model: any classifier whose activations are modules; it is left exactly as it was. Batch
            normalisation uses the statistics of these images, as in training; dropout is off.
        images: normalised, (n, channels, height, width) or (n, features).
        labels: the classes (n,).

    Returns:
        One dict for each module, in the network's order. With z its input, a = f(z) its output:
        `layer`; `input_mean_square`, of z; `mean` and `variance` of a over images, units and
        pixels; `zeros_percent`, values of a that are exactly 0; `flat_percent`, values with
        |f'(z)| < 0.05 (switched off, or saturated); `dead_percent`, units (channels) with
        |f'(z)| < 0.001 at every pixel of every image; `gradient_variance`, of the derivative of
        one image's loss (nats) by a; `slope`, what a PReLU has learned for z < 0.
    """
    only_classifiers(model, MEASURED)
    if not images.is_floating_point() or len(images) == 0 or len(images) != len(labels):
        raise ValueError(
            "expected normalised images (n, ...) and labels (n,), n at least 1; got images "
            f"{images.dtype} {tuple(images.shape)}, labels {tuple(labels.shape)}"
        )
    modules = activation_modules(model)
    if not modules:
        raise ValueError(f"no activation module inside; known are {', '.join(ACTIVATIONS)}")
    device = next((p.device for p in model.parameters()), images.device)
    images, labels = images.detach().to(device), labels.to(device)
    outputs: dict[str, Tensor] = {}
    rows: dict[str, dict[str, Any]] = {}

    def before(name: str, module: nn.Module, inputs: tuple[Tensor]) -> None:
        rows[name] = {"layer": name, **_input_statistics(module, inputs[0].detach())}

    def after(name: str, module: nn.Module, inputs: tuple[Tensor], output: Tensor) -> None:
        outputs[name] = output  # which may have been written over the input
        rows[name] |= _output_statistics(output.detach())

    watched = watching(modules, before=before, after=after)
    with torch.enable_grad(), _with_batch_statistics(model), watched:
        scores = model(images.requires_grad_().clone())
        loss = F.cross_entropy(scores.float(), labels, reduction="sum")
        gradients = torch.autograd.grad(loss, list(outputs.values()))
    for name, gradient in zip(outputs, gradients, strict=True):
        rows[name]["gradient_variance"] = _six_digits(gradient.var(unbiased=False))
    return [rows[name] for name in modules if name in rows]


@contextmanager
def _with_batch_statistics(model: nn.Module) -> Iterator[None]:
    """Evaluation, but batch normalisation uses the batch it is given and does not remember it."""
    norms = [m for m in model.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    tracked = [norm.track_running_stats for norm in norms]
    try:
        with evaluating(model):
            for norm in norms:
                norm.train()
                norm.track_running_stats = False
            yield
    finally:
        for norm, value in zip(norms, tracked, strict=True):
            norm.track_running_stats = value


def _input_statistics(module: nn.Module, z: Tensor) -> dict[str, Any]:
    """What the input z (n, units, ...) says: its mean square and where the derivative vanishes."""
    leaf = z.clone().requires_grad_()
    (slope,) = torch.autograd.grad(module.forward(leaf.clone()).sum(), leaf)
    slope = slope.abs()
    dead = (slope < DEAD).transpose(0, 1).flatten(1).all(1)
    found = {
        "input_mean_square": _six_digits(z.square().mean()),
        "flat_percent": _six_digits(100 * (slope < FLAT).float().mean()),
        "dead_percent": _six_digits(100 * dead.float().mean()),
    }
    if isinstance(module, nn.PReLU):
        found["slope"] = _six_digits(module.weight.detach().mean())
    return found


def _output_statistics(a: Tensor) -> dict[str, Any]:
    return {
        "mean": _six_digits(a.mean()),
        "variance": _six_digits(a.var(unbiased=False)),
        "zeros_percent": _six_digits(100 * (a == 0).float().mean()),
    }


def _six_digits(value: Tensor) -> float:
    """Six significant digits; more would only make records long."""
    return float(f"{float(value):.6g}")


def _first_training(state: State, count: int) -> tuple[Tensor, Tensor]:
    """The first `count` training images, normalised, and their labels."""
    data = state.data
    images = normalise(data.train.images[:count], data.mean, data.std)
    return images, data.train.labels[:count]


@dataclass(frozen=True)
class ObserveOutputs(Step):
    """Measures how many outputs died, on the first `images` training images; changes nothing."""

    images: int = 1000

    def __post_init__(self) -> None:
        whole_number("images", self.images, 1)

    def apply(self, state: State) -> dict[str, Any]:
        """The shares that `silent_outputs` gives."""
        only_classes(state.data, "dead outputs are counted")
        images, _ = _first_training(state, self.images)
        dead, unanswered = silent_outputs(state.model, images)
        return {"dead_outputs_percent": dead, "unanswered_images_percent": unanswered}


@dataclass(frozen=True)
class ObserveSignals(Step):
    """Measures every layer's signals on the first `images` training images; changes nothing."""

    images: int = 256

    def __post_init__(self) -> None:
        whole_number("images", self.images, 1)

    def apply(self, state: State) -> dict[str, Any]:
        """`signals`, the list that `layer_statistics` gives."""
        only_classes(state.data, MEASURED)
        images, labels = _first_training(state, self.images)
        return {"signals": layer_statistics(state.model, images, labels)}
