"""What every step of a recipe shares: the state it changes, and its form as data."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field, fields
from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from squeeze_utils.data import ImageSet
from squeeze_utils.training.frozen import is_in
from squeeze_utils.training.resuming import HalfwayFile

AfterStep = Callable[[nn.Module, int, int], None]
AfterEpoch = Callable[[dict[str, Any]], None]
Penalty = Callable[[nn.Module, float], Tensor]


@dataclass
class State:
    """A network in the middle of its recipe.

    `masks` and `codebooks` are keyed by parameter name; a step that sets them binds all later
    steps. `saved` holds what a step put aside for later ones: by its purpose ("remembered"), then
    by parameter name. `generator` is fresh for every step, derived from the experiment's seed.
    `halfway` is where a step that takes long keeps itself; `initial` builds the network as it
    was before the first step. `after_epoch` is called with the numbers of every trained epoch.

    >>> import squeeze_utils as sq
    >>> digits = sq.load_images("digits", size=8)
    >>> state = sq.State(sq.build("lenet_300_100", image_size=8), digits)
    >>> measured = sq.Prune(0.9).apply(state)
    >>> sorted(state.masks)
    ['classifier.0.weight', 'classifier.2.weight', 'classifier.4.weight']
    """

    model: nn.Module
    data: ImageSet
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    generator: torch.Generator = field(default_factory=torch.Generator)
    masks: dict[str, Tensor] = field(default_factory=dict)
    codebooks: dict[str, Tensor] = field(default_factory=dict)
    saved: dict[str, dict[str, Tensor]] = field(default_factory=dict)
    halfway: HalfwayFile | None = None
    initial: Callable[[], nn.Module] | None = None
    after_epoch: AfterEpoch | None = None
    progress: bool = False

    def to(self, device: torch.device, data: ImageSet) -> None:
        """Move the network and what binds it to `device`, where `data` are the same images."""
        self.model.to(device)
        for tensors in (self.masks, self.codebooks, *self.saved.values()):
            tensors.update({name: tensor.to(device) for name, tensor in tensors.items()})
        self.data, self.device = data, device


@contextmanager
def seeded(state: State) -> Iterator[None]:
    """Within, what draws from the global generators, as dropout does, follows the state's seed.

    Nothing is drawn from the state's own generator, and the global ones are left as they were.
    """
    with torch.random.fork_rng(devices=[state.device] if state.device.type == "cuda" else []):
        torch.manual_seed(state.generator.initial_seed())
        yield


def owner(model: nn.Module, name: str) -> tuple[nn.Module, str]:
    """The module that has the parameter `name`, and what it calls it."""
    path, _, part = name.rpartition(".")
    return model.get_submodule(path), part


def masks_from_zeros(state: State) -> None:
    """Make what is zero in weights of two or more dimensions the masks of the state.

    Where whole channels were pruned, masks held biases as well: then a bias that is zero stays so
    if no weight of its channel is left.
    """
    parameters = {n: p.detach() for n, p in state.model.named_parameters()}
    masks = {n: p != 0 for n, p in parameters.items() if p.ndim >= 2}
    if any(mask.ndim == 1 for mask in state.masks.values()):
        for name in list(masks):
            bias = f"{name.removesuffix('weight')}bias"
            if bias in parameters:
                masks[bias] = masks[name].flatten(1).any(1) | (parameters[bias] != 0)
    state.masks = {n: mask for n, mask in masks.items() if not mask.all()}


def forget_rounding(state: State, parts: Sequence[str] = ()) -> None:
    """Weights of `parts`, or all, are about to move: they will lie on their grids no longer.

    What they were before they were rounded is forgotten for all of them.
    """
    state.saved.pop("float", None)
    grids = state.saved.pop("grids", {})
    if parts and (kept := {n: step for n, step in grids.items() if not is_in(n, parts)}):
        state.saved["grids"] = kept


def check_masks(state: State) -> None:
    """Raise if a weight that a mask holds at zero is not zero."""
    for name, mask in state.masks.items():
        weight = getattr(*owner(state.model, name)).detach()
        revived = int(torch.count_nonzero(weight[~mask.bool()]))
        if revived:
            raise RuntimeError(f"{revived} pruned weights of {name} came back during training")


class _Shared(nn.Module):
    """A weight made of few values: `codes` says which of them stands where; zero stays zero."""

    def __init__(self, codes: Tensor, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes)
        self.register_buffer("is_free", self.right_inverse(weight) != 0)

    def forward(self, values: Tensor) -> Tensor:
        return (values * self.is_free)[self.codes]

    def right_inverse(self, weight: Tensor) -> Tensor:
        """The values, taken from a weight that is made of them."""
        values = weight.new_zeros(int(self.codes.max()) + 1)
        return values.scatter_(0, self.codes.flatten(), weight.detach().flatten())


@contextmanager
def shared_weights(state: State) -> Iterator[None]:
    """Within, weights that the codebooks tie together are one parameter: gradients add up."""
    tied = []
    try:
        for name, codes in state.codebooks.items():
            module, part = owner(state.model, name)
            values = _Shared(codes, getattr(module, part))
            parametrize.register_parametrization(module, part, values, unsafe=True)
            tied.append((module, part))
        yield
    finally:
        for module, part in tied:
            parametrize.remove_parametrizations(module, part)


def reapply_masks(state: State) -> AfterStep:
    """Re-applies the state's masks: momentum and decay would revive pruned weights."""

    @torch.no_grad()
    def apply(model: nn.Module, step: int, steps: int) -> None:
        for name, mask in state.masks.items():
            if name not in state.codebooks:  # those hold their zeros themselves
                trained_parameter(model, name).mul_(mask)

    return apply


def trained_parameter(model: nn.Module, name: str) -> Tensor:
    """The parameter that training changes: where a weight is rounded, the one behind it."""
    module, part = owner(model, name)
    if parametrize.is_parametrized(module, part):
        return module.parametrizations[part].original
    return getattr(module, part)


def check_untouched(state: State, step: Step) -> None:
    """Raise where weights are pruned or shared: a step that writes weights would undo that."""
    if state.masks or state.codebooks:
        kind = type(step).__name__
        raise ValueError(f"{kind} comes before Prune and Share: it would undo what they did")


def check_not_shared(state: State, step: Step) -> None:
    """Raise where weights are shared: a step that writes single weights would untie them."""
    if state.codebooks:
        raise ValueError(
            f"shared weights are few values already: put {type(step).__name__} before Share"
        )


class Step:
    """One thing that is done to a network. Subclasses are frozen dataclasses of plain values."""

    kinds: ClassVar[dict[str, type[Step]]] = {}

    def __init_subclass__(cls) -> None:
        if cls.__name__ in Step.kinds and Step.kinds[cls.__name__].__module__ != cls.__module__:
            raise TypeError(f"two steps are called {cls.__name__}")
        if "step" in inspect.get_annotations(cls):
            raise TypeError("no field of a step may be called step: records keep its kind there")
        Step.kinds[cls.__name__] = cls

    def apply(self, state: State) -> dict[str, Any]:
        """Change `state` in place; return what was measured on the way, as plain values."""
        raise NotImplementedError

    def as_dict(self, defaults: bool = True) -> dict[str, Any]:
        """The step as plain values, with or without the fields that hold their default."""
        values: dict[str, Any] = {"step": type(self).__name__}
        for f in fields(self):  # type: ignore[arg-type]
            value = getattr(self, f.name)
            if value == f.default and not defaults:
                continue
            if f.type in ("float", float) and value != f.default:
                value = float(value)  # 1 and 1.0 are the same rate: they get the same key
            values[f.name] = _plain(value, defaults)
        return values

    @staticmethod
    def from_dict(values: dict[str, Any]) -> Step:
        """The step that `as_dict` described; unknown kinds and fields are refused."""
        arguments = dict(values)
        kind = arguments.pop("step", None)
        if kind not in Step.kinds:
            raise ValueError(f"unknown step {kind!r}; accepted: {', '.join(sorted(Step.kinds))}")
        cls = Step.kinds[kind]
        unknown = set(arguments) - {f.name for f in fields(cls)}  # type: ignore[arg-type]
        if unknown:
            raise ValueError(f"step {kind} has no field {', '.join(sorted(unknown))}")
        return cls(**{name: _revived(value) for name, value in arguments.items()})


class Within(Step):
    """Something done during training, as a part of `Train`.

    It can act after every optimizer step (`callback`), change the network for as long as training
    lasts (`around`), and add a term to the loss (`penalty`).
    """

    def callback(self, state: State) -> AfterStep:
        """What is called with (model, steps done, steps in all)."""
        return lambda model, step, steps: None

    def around(self, state: State) -> AbstractContextManager[None]:
        """Entered before the optimizer is made, left when training ends."""
        return nullcontext()

    def penalty(self, state: State) -> Penalty | None:
        """What is called with (model, share of training done) and gives a term of the loss."""
        return None

    def apply(self, state: State) -> dict[str, Any]:
        """Refused: it happens inside training, not beside it."""
        name = type(self).__name__
        raise TypeError(
            f"{name} is no step of its own: use it as Train(..., during=({name}(...),))"
        )


def _plain(value: Any, defaults: bool) -> Any:
    """Tuples as the lists that JSON knows, steps inside steps as their fields."""
    if isinstance(value, Step):
        return value.as_dict(defaults)
    return [_plain(item, defaults) for item in value] if isinstance(value, tuple | list) else value


def _revived(value: Any) -> Any:
    """The inverse of `_plain`."""
    if isinstance(value, dict):
        return Step.from_dict(value)
    return tuple(_revived(item) for item in value) if isinstance(value, list | tuple) else value
