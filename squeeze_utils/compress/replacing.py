"""A network in place of another: built again with other options, or changed for a moment only."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from squeeze_utils.models import ModelSpec


def rebuilt(
    model: nn.Module,
    options: dict[str, Any],
    left_out: Callable[[nn.Module], Iterable[nn.Module]] = lambda network: (),
) -> nn.Module:
    """The network that `build` makes with other `options`, holding the numbers of `model`.

    Modules give their numbers to each other in order; `left_out` names those of either network
    that take no part in it.
    """
    spec = ModelSpec.of(model.spec.name, **dict(model.spec.options) | options)
    network = spec.build()
    sources, targets = (holders(one, left_out).values() for one in (model, network))
    for source, target in zip(sources, targets, strict=True):
        target.load_state_dict(source.state_dict())
    return network.train(model.training)


def holders(
    network: nn.Module, left_out: Callable[[nn.Module], Iterable[nn.Module]]
) -> dict[str, nn.Module]:
    """The modules with numbers of their own by name, in network order.

    The order of the numbers in a module may be another one in each network: a weight that was once
    parametrized stands behind its bias.
    """
    out = set(left_out(network))
    named = network.named_modules()
    return {name: m for name, m in named if m not in out and (m._parameters or m._buffers)}


@contextmanager
def restored(*parameters: Tensor) -> Iterator[None]:
    """Within, parameters may be given other `data`; afterwards they have their own again."""
    before = [parameter.data for parameter in parameters]
    try:
        yield
    finally:
        for parameter, data in zip(parameters, before, strict=True):
            parameter.data = data
