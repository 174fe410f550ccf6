"""Training a part of a network: the rest is frozen, its normalisation included."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from torch import nn


def is_in(name: str, parts: Sequence[str]) -> bool:
    """Whether a module or parameter lies in one of `parts`: "features.3" does not hold
    "features.30"."""
    return any(name == part or name.startswith(f"{part}.") for part in parts)


def check_parts(model: nn.Module, parts: Sequence[str]) -> None:
    """Raise unless each of `parts` names a module of `model` that has parameters."""
    for part in parts:
        held = [n for n, _ in model.named_parameters() if is_in(n, (part,))]
        if not held:
            known = dict.fromkeys(".".join(n.split(".")[:2]) for n, _ in model.named_parameters())
            raise ValueError(f"the network has no part {part!r}; it has {', '.join(known)}")


@contextmanager
def only_parts(model: nn.Module, parts: Sequence[str]) -> Iterator[None]:
    """Within, only parameters of `parts` want gradients; all of them where `parts` is empty."""
    before = {name: p.requires_grad for name, p in model.named_parameters()}
    try:
        if parts:
            check_parts(model, parts)
            for name, parameter in model.named_parameters():
                parameter.requires_grad_(before[name] and is_in(name, parts))
        yield
    finally:
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(before.get(name, True))


def train_parts(model: nn.Module, parts: Sequence[str]) -> None:
    """Training mode for `parts`, evaluation mode for the rest: frozen statistics stay as they are.

    Without parts all of the network is in training mode.
    """
    model.train()
    if not parts:
        return
    for name, module in model.named_modules():
        inside = is_in(name, parts)
        above = any(is_in(part, (name,)) for part in parts) or name == ""
        if not inside and not above:
            module.training = False
