"""Training by several processes: who takes part, what they exchange, and what it costs.

What a notebook needs of it can be imported from here. A name is loaded when it is first used,
because the training loop itself uses this folder.
"""

from __future__ import annotations

from typing import Any

__all__ = ["TopK", "TrainTogether", "count_steps", "ring_bytes"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"{__name__} has no name {name!r}; it has {', '.join(__all__)}")
    from squeeze_utils.training.distributed.steps_on_the_wire import count_steps
    from squeeze_utils.training.distributed.together import TrainTogether
    from squeeze_utils.training.distributed.top_k import TopK
    from squeeze_utils.training.distributed.wire import ring_bytes

    found = (TopK, TrainTogether, count_steps, ring_bytes)
    return dict(zip(__all__, found, strict=True))[name]
