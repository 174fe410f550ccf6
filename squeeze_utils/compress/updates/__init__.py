"""Messages of clients that train a network together, and the rounds of their server."""

from __future__ import annotations

from squeeze_utils.compress.updates.client_and_server import (
    Client,
    Fitted,
    Server,
    as_message,
    as_parameters,
)
from squeeze_utils.compress.updates.federated import Federate, unequal_parts
from squeeze_utils.compress.updates.messages import (
    added,
    decode_update,
    difference,
    encode_update,
    float_state,
)

__all__ = [
    "Client",
    "Federate",
    "Fitted",
    "Server",
    "added",
    "as_message",
    "as_parameters",
    "decode_update",
    "difference",
    "encode_update",
    "float_state",
    "unequal_parts",
]
