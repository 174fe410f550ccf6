"""Messages of clients that train a network together, and the rounds of their server."""

from __future__ import annotations

from squeeze_utils.compress.updates.federated import Federate, Server, unequal_parts
from squeeze_utils.compress.updates.messages import (
    added,
    decode_update,
    difference,
    encode_update,
    float_state,
)

__all__ = [
    "Federate",
    "Server",
    "added",
    "decode_update",
    "difference",
    "encode_update",
    "float_state",
    "unequal_parts",
]
