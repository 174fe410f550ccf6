"""Training by several processes: who takes part, what they exchange, and what it costs.

What a notebook needs of it can be imported from here. A name is loaded when it is first used,
because the training loop itself uses this folder.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

# Where each of them lives.
_HOMES: dict[str, str] = {
    "TopK": "top_k",
    "TrainTogether": "together",
    "count_steps": "steps_on_the_wire",
    "ring_bytes": "wire",
}

__all__ = [*_HOMES]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"{__name__} has no name {name!r}; it has {', '.join(_HOMES)}")
    found = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = found
    return found
