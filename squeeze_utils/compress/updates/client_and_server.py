"""The two sides of federated training. Only messages of bytes pass between them.

`fit` and `aggregate_fit` have the arguments and results of Flower's `NumPyClient.fit` and
`Strategy.aggregate_fit`. There the arrays are weights; here one array of bytes holds a message.
Flower is not needed, and was not tried.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from squeeze_utils.base.checks import whole_number
from squeeze_utils.compress.updates.messages import (
    added,
    decode_update,
    difference,
    encode_update,
    float_state,
    following,
)
from squeeze_utils.data import ImageSet
from squeeze_utils.training.loop import Train, fit

Parameters = list[np.ndarray]


class Fitted(NamedTuple):
    """What a client answers, with the names of Flower's `FitRes`."""

    parameters: Parameters
    num_examples: int
    metrics: dict[str, Any]


def as_parameters(message: bytes) -> Parameters:
    """A message in the form in which Flower sends arrays.

    >>> as_parameters(b"ab")
    [array([97, 98], dtype=uint8)]
    """
    return [np.frombuffer(message, np.uint8)]


def as_message(parameters: Parameters) -> bytes:
    """The message in the arrays that the other side has sent."""
    if len(parameters) != 1 or parameters[0].dtype != np.uint8:
        kinds = ", ".join(str(part.dtype) for part in parameters) or "none"
        raise ValueError(f"the arrays must be one of uint8, which holds a message; got {kinds}")
    return parameters[0].tobytes()


def bytes_of(parameters: Parameters) -> int:
    """How many bytes are sent."""
    return sum(part.nbytes for part in parameters)


@dataclass
class Client:
    """One client: its images, a network to train, and what rounding kept back of its updates.

    It keeps the server's weights and follows them, so it must get every message of the server.
    """

    data: ImageSet
    model: nn.Module
    plan: Train
    message: str
    step: float
    generator: torch.Generator
    weights: dict[str, Tensor] | None = None
    waiting: dict[str, Tensor] = field(default_factory=dict)

    def fit(self, parameters: Parameters, config: Mapping[str, Any]) -> Fitted:
        """Take in the server's message, train, answer with the change.

        The first message is the whole network, each later one a change of it. `config` is there
        for Flower; nothing in it is needed.
        """
        self.weights = self._followed(as_message(parameters))
        self.model.load_state_dict(self.weights, strict=False)
        history = fit(self.model, self.data, self.plan, generator=self.generator)
        change = difference(float_state(self.model), self.weights)
        if self.waiting:
            change = added(change, self.waiting)
        message, read = encode_update(change, self.message, self.step)
        self.waiting = difference(change, read)
        metrics = {"train_loss": history[-1]["train_loss"]}
        return Fitted(as_parameters(message), len(self.data.train), metrics)

    def _followed(self, message: bytes) -> dict[str, Tensor]:
        shapes = {name: tensor.shape for name, tensor in float_state(self.model).items()}
        read = decode_update(message, shapes)
        return read if self.weights is None else following(self.weights, read)


@dataclass
class Server:
    """Keeps the network; averages the clients' changes by their numbers of images.

    It sends changes, too, coded as the clients' are; what its rounding keeps back goes with the
    next round. So all sides always have the same weights.
    """

    weights: dict[str, Tensor]
    message: str
    step: float
    waiting: dict[str, Tensor] = field(default_factory=dict)

    def initialize_parameters(self) -> Parameters:
        """The whole network in floats, which each client gets first."""
        return as_parameters(encode_update(self.weights, "float")[0])

    def aggregate_fit(
        self,
        server_round: int,
        results: Sequence[tuple[Any, Fitted]],
        failures: Sequence[Any] = (),
    ) -> tuple[Parameters, dict[str, Any]]:
        """Take in the answers of a round, each beside its client; what all clients are sent next.

        Clients that failed are left out, as in Flower's own strategies.
        """
        if not results:
            raise ValueError(f"no client has answered in round {server_round}")
        shapes = {name: tensor.shape for name, tensor in self.weights.items()}
        total = sum(whole_number("images of a client", f.num_examples, 1) for _, f in results)
        change = {name: torch.zeros_like(tensor) for name, tensor in self.weights.items()}
        for _, fitted in results:
            for name, part in decode_update(as_message(fitted.parameters), shapes).items():
                change[name] += part * (fitted.num_examples / total)
        if self.waiting:
            change = added(change, self.waiting)
        answer, read = encode_update(change, self.message, self.step)
        new = following(self.weights, read)
        self.waiting = difference(change, difference(new, self.weights))
        self.weights = new
        return as_parameters(answer), {}
