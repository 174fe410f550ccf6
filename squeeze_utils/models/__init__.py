"""Every network of the series, built by name: `build("squeezenet1_1", num_classes=10)`."""

from __future__ import annotations

import inspect
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any

from torch import nn

from squeeze_utils.base.checks import choose, whole_number
from squeeze_utils.models import baselines
from squeeze_utils.models.baselines import Classifier
from squeeze_utils.models.detector import Detector
from squeeze_utils.models.fire import BYPASSES, EXPANDS, Fire
from squeeze_utils.models.layers import ACTIVATIONS, POOLINGS
from squeeze_utils.models.segmenter import Segmenter
from squeeze_utils.models.squeezenet import SqueezeNet
from squeeze_utils.models.squeezenet_config import SMALL, V1_0, V1_1, SqueezeNetConfig

__all__ = [
    "ACTIVATIONS",
    "BYPASSES",
    "EXPANDS",
    "NAMES",
    "POOLINGS",
    "SMALL",
    "Classifier",
    "Detector",
    "Fire",
    "ModelSpec",
    "Segmenter",
    "SqueezeNet",
    "SqueezeNetConfig",
    "build",
]


_CONFIGS = {"squeezenet1_0": V1_0, "squeezenet1_1": V1_1, "squeezenet_small": SMALL}
_BASELINES = {  # what a name fixes is no option of it
    "alexnet": partial(baselines.alexnet),
    "vgg11": partial(baselines.vgg, depth=11),
    "vgg16": partial(baselines.vgg, depth=16),
    "vgg16_fire": partial(baselines.vgg, depth=16, fire=True),
    "resnet20": partial(baselines.resnet20),
    "lenet_300_100": partial(baselines.lenet_300_100),
    "lenet5": partial(baselines.lenet5),
    "lenet5_fire": partial(baselines.lenet5, fire=True),
}
MOST_PIXELS = 4096  # the side of a SqueezeNet's images: a .sqz file from anywhere names it
_DENSE = {"detector": Detector, "segmenter": Segmenter}  # an answer for each place
NAMES: tuple[str, ...] = (*_CONFIGS, *_BASELINES, *_DENSE)


@dataclass(frozen=True)
class ModelSpec:
    """A model as data: enough for `build` to make it again.

    >>> import squeeze_utils as sq
    >>> spec = sq.ModelSpec.of("squeezenet_small", num_classes=10, bypass="simple")
    >>> spec.build().spec == spec
    True
    """

    name: str
    options: tuple[tuple[str, Any], ...] = ()

    @classmethod
    def of(cls, name: str, **options: Any) -> ModelSpec:
        """A spec with its options in canonical order."""
        choose("model", name, NAMES)
        return cls(name, tuple(sorted((key, _frozen(value)) for key, value in options.items())))

    def as_dict(self) -> dict[str, Any]:
        """The spec as plain values, for JSON."""
        return {"name": self.name, "options": dict(self.options)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> ModelSpec:
        """The spec that `as_dict` described, also when it comes from JSON."""
        return cls.of(values["name"], **values["options"])

    def build(self) -> nn.Module:
        """A freshly initialised model."""
        return build(self.name, **dict(self.options))


def build(name: str, num_classes: int | None = None, **options: Any) -> nn.Module:
    """Build the model called `name`; `num_classes` and the options default to the paper's.

    The result carries `spec` (a ModelSpec), `num_classes` and `input_shape` (channels, height,
    width). A SqueezeNet takes images of many sizes; `image_size` says which one it is made for.

    >>> import squeeze_utils as sq
    >>> model = sq.build("squeezenet_small", num_classes=10, width=0.5)
    >>> sum(p.numel() for p in model.parameters()), model.input_shape
    (185834, (3, 32, 32))
    """
    choose("model", name, NAMES)
    if num_classes is not None:
        options["num_classes"] = num_classes
    sizes = {"num_classes", "in_channels"} | (set() if name in _DENSE else {"image_size"})
    for key in sizes & set(options):
        whole_number(key, options[key], 1)
    if name in _DENSE:
        return _build_dense(name, options)
    if name in _CONFIGS:
        model, size = _build_squeezenet(name, **options)
        channels, classes = model.config.in_channels, model.config.num_classes
    else:
        model, chosen = _build_baseline(name, options)
        channels, classes, size = (chosen[k] for k in ("in_channels", "num_classes", "image_size"))
    model.spec = ModelSpec.of(name, **options)
    model.num_classes = classes
    model.input_shape = (channels, size, size)
    return model


def _frozen(value: Any) -> Any:
    """Lists as tuples: JSON turns tuples into lists, and a list cannot be hashed."""
    return tuple(_frozen(item) for item in value) if isinstance(value, list | tuple) else value


def _build_squeezenet(
    name: str, image_size: int | None = None, **options: Any
) -> tuple[SqueezeNet, int]:
    """A SqueezeNet and the side of its images in pixels; its layers are the same at every size."""
    known = {field.name for field in fields(SqueezeNetConfig)}
    _check_options(name, options, {"image_size", *known})
    if image_size is None:
        image_size = 32 if name == "squeezenet_small" else 224
    whole_number("image_size", image_size, 1, MOST_PIXELS)
    return SqueezeNet(replace(_CONFIGS[name], **options)), image_size


def _build_baseline(name: str, options: dict[str, Any]) -> tuple[nn.Module, dict[str, Any]]:
    make = _BASELINES[name]
    parameters = inspect.signature(make).parameters
    accepted = set(parameters) - set(make.keywords)
    _check_options(name, options, accepted)
    chosen = {key: options.get(key, parameters[key].default) for key in accepted}
    return make(**chosen), chosen


def _build_dense(name: str, options: dict[str, Any]) -> nn.Module:
    """A detector or segmenter; both know their classes and their input's shape."""
    accepted = set(inspect.signature(_DENSE[name]).parameters)
    _check_options(name, options, accepted)
    model = _DENSE[name](**options)
    model.spec = ModelSpec.of(name, **options)
    return model


def _check_options(name: str, options: dict[str, Any], accepted: set[str]) -> None:
    unknown = sorted(set(options) - accepted)
    if unknown:
        raise ValueError(
            f"{name} has no option {', '.join(unknown)}; accepted: {', '.join(sorted(accepted))}"
        )
