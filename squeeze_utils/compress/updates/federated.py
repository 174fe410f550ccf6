"""Federated averaging (McMahan et al. 2017): clients train on their own images, a server averages.

Everything happens in this process. Only messages of bytes pass between client and server, and they
are counted.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from tqdm.auto import tqdm

from squeeze_utils.base import machine
from squeeze_utils.base.checks import choose, real_number, whole_number
from squeeze_utils.compress.updates.client_and_server import Client, Server, bytes_of
from squeeze_utils.compress.updates.messages import KINDS, STEP, float_state
from squeeze_utils.data import Split
from squeeze_utils.training.evaluation import evaluate
from squeeze_utils.training.loop import Train
from squeeze_utils.training.step import State, Step
from squeeze_utils.training.tasks import only_classes

LEAST_ALPHA = 0.001  # below, torch's draws become more equal again


def unequal_parts(
    labels: Tensor, clients: int, alpha: float, generator: torch.Generator, least: int
) -> list[Tensor]:
    """Which images each client has: positions, each image with one client.

    For each class the clients' shares are drawn from a Dirichlet distribution with `alpha`: at
    0.1 a client has one or two classes, at 100 all clients have the same mixture. Drawn again
    until each client has `least` images.
    """
    real_number("alpha", alpha, least=LEAST_ALPHA)
    classes = [torch.nonzero(labels == c).flatten() for c in labels.unique()]
    for _ in range(1000):
        parts: list[list[Tensor]] = [[] for _ in range(clients)]
        for members in classes:
            members = members[torch.randperm(len(members), generator=generator)]
            shares = torch._sample_dirichlet(torch.full((clients,), float(alpha)), generator)
            ends = (shares.cumsum(0) * len(members)).round().long().clamp(max=len(members))
            for part, own in zip(parts, members.tensor_split(ends[:-1]), strict=True):
                part.append(own)
        joined = [torch.cat(part) for part in parts]
        if min(map(len, joined)) >= least:
            return joined
    raise ValueError(
        f"{len(labels)} images cannot be dealt to {clients} clients with at least {least} each at "
        f"alpha={alpha}: take fewer clients, a larger alpha or smaller batches"
    )


@dataclass(frozen=True)
class Federate(Step):
    """`rounds` of federated averaging by `clients` with unequal classes.

    Each trains for `epochs` on its own images in every round, by momentum at a constant rate `lr`.
    `alpha` says how equal their classes are (see `unequal_parts`). Messages are of the kind
    `message` ("float", "int8", "coded"), with levels `spacing` deviations apart where coded.
    Clients compute in `precision`, and change their images by `shift` and `flip`, as in `Train`.
    Nothing is kept halfway: a run that was cut off begins again.
    """

    rounds: int = 10
    clients: int = 10
    epochs: int = 1
    lr: float = 0.05
    batch_size: int = 32
    alpha: float = 0.5
    message: str = "float"
    spacing: float = STEP
    precision: str = "auto"
    shift: int = 0
    flip: bool = False

    def __post_init__(self) -> None:
        for name in ("rounds", "clients", "epochs", "batch_size"):
            whole_number(name, getattr(self, name), 1)
        real_number("lr", self.lr, above=0)
        real_number("alpha", self.alpha, least=LEAST_ALPHA, most=1000)
        real_number("spacing", self.spacing, above=0)
        choose("message", self.message, KINDS)
        choose("precision", self.precision, machine.PRECISIONS)
        _ = self.plan  # which refuses bad numbers

    @property
    def plan(self) -> Train:
        """How a client trains in a round."""
        return Train(
            self.epochs,
            lr=self.lr,
            optimizer="momentum",
            schedule="constant",
            batch_size=self.batch_size,
            precision=self.precision,
            shift=self.shift,
            flip=self.flip,
        )

    def apply(self, state: State) -> dict[str, Any]:
        """Run the rounds; after each: bytes so far (up from clients, down to them), accuracy.

        Before the first round each client gets the whole network in floats: `first_download_bytes`,
        which `down_bytes` contains.
        """
        if state.masks or state.codebooks:
            raise ValueError("clients train all weights freely: prune or share afterwards")
        only_classes(state.data, "images are dealt by class")
        state.model.to(state.device)
        clients = self._clients(state)
        server = Server(float_state(state.model), self.message, self.spacing)
        parameters = server.initialize_parameters()
        first = bytes_of(parameters) * len(clients)
        history, up, down = [], 0, first
        for number in tqdm(range(1, self.rounds + 1), "rounds", disable=not state.progress):
            config = {"server_round": number}
            results = [(n, client.fit(parameters, config)) for n, client in enumerate(clients)]
            parameters, _ = server.aggregate_fit(number, results)
            up += sum(bytes_of(fitted.parameters) for _, fitted in results)
            down += bytes_of(parameters) * len(clients)
            state.model.load_state_dict(server.weights, strict=False)
            found = evaluate(state.model, state.data.validation, state.data)
            history.append(
                {
                    "round": number,
                    "up_bytes": up,
                    "down_bytes": down,
                    "validation_loss": found.loss,
                    "validation_accuracy": found.accuracy,
                }
            )
        sizes = [len(client.data.train) for client in clients]
        return {
            "precision": machine.precision(self.precision, state.device),
            "rounds": history,
            "up_bytes": up,
            "down_bytes": down,
            "first_download_bytes": first,
            "client_images": sizes,
        }

    def _clients(self, state: State) -> list[Client]:
        train = state.data.train
        parts = unequal_parts(
            train.labels.cpu(), self.clients, self.alpha, state.generator, self.batch_size
        )
        clients = []
        for part in parts:
            own = Split(
                train.images[part.to(train.images.device)],
                train.labels[part.to(train.labels.device)],
            )
            model = copy.deepcopy(state.model)
            few = state.data.validation.first(8)  # the server judges clients
            data = replace(state.data, train=own, validation=few)
            how = (self.plan, self.message, self.spacing, state.generator)
            clients.append(Client(data, model, *how))
        return clients
