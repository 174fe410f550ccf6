"""What every step of a recipe shares: the state it changes, and its form as data."""

from __future__ import annotations

from dataclasses import MISSING, asdict, dataclass, field, fields
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .data import ImageSet


@dataclass
class State:
    """A network in the middle of its recipe.

    `masks` and `codebooks` are keyed by parameter name; a step that sets them binds all later
    steps. `generator` is fresh for every step, derived from the experiment's seed.
    """

    model: nn.Module
    data: ImageSet
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    generator: torch.Generator = field(default_factory=torch.Generator)
    masks: dict[str, Tensor] = field(default_factory=dict)
    codebooks: dict[str, Tensor] = field(default_factory=dict)
    progress: bool = False


class Step:
    """One thing that is done to a network. Subclasses are frozen dataclasses of plain values."""

    kinds: ClassVar[dict[str, type[Step]]] = {}

    def __init_subclass__(cls) -> None:
        if cls.__name__ in Step.kinds and Step.kinds[cls.__name__].__module__ != cls.__module__:
            raise TypeError(f"two steps are called {cls.__name__}")
        Step.kinds[cls.__name__] = cls

    def apply(self, state: State) -> dict[str, Any]:
        """Change `state` in place; return what was measured on the way, as plain values."""
        raise NotImplementedError

    def as_dict(self, defaults: bool = True) -> dict[str, Any]:
        """The step as plain values, with or without the fields that hold their default."""
        values = asdict(self)  # type: ignore[call-overload]
        if not defaults:
            values = {name: v for name, v in values.items() if v != _default(self, name)}
        return {"step": type(self).__name__, **values}

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
        return cls(**{name: frozen(value) for name, value in arguments.items()})


def frozen(value: Any) -> Any:
    """JSON turns tuples into lists; this turns them back."""
    return tuple(frozen(item) for item in value) if isinstance(value, list) else value


def _default(step: Step, name: str) -> Any:
    found = next(f for f in fields(step) if f.name == name)  # type: ignore[arg-type]
    if found.default_factory is not MISSING:
        return found.default_factory()
    return found.default
