"""The two sides of federated training, and what passes between them."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from tiny import tiny_set, tiny_spec

from squeeze_utils.compress.updates.client_and_server import (
    Client,
    Fitted,
    Server,
    as_message,
    as_parameters,
    bytes_of,
)
from squeeze_utils.compress.updates.messages import (
    added,
    decode_update,
    difference,
    encode_update,
    float_state,
)
from squeeze_utils.training.loop import Train

PLAN = Train(1, lr=0.05, optimizer="momentum", schedule="constant", precision="float32")


def client(kind: str = "float", seed: int = 0) -> Client:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = tiny_spec(num_classes=3).build()
    generator = torch.Generator().manual_seed(1)
    return Client(tiny_set(counts=(60, 30, 30)), model, PLAN, kind, 1.0, generator)


def test_arguments_are_those_of_flower():
    """flwr 1.x: NumPyClient.fit(parameters, config); Strategy.aggregate_fit(server_round, ...)."""
    assert list(inspect.signature(Client.fit).parameters) == ["self", "parameters", "config"]
    names = list(inspect.signature(Server.aggregate_fit).parameters)
    assert names == ["self", "server_round", "results", "failures"]
    one = client()
    answer = one.fit(Server(float_state(one.model), "float", 1.0).initialize_parameters(), {})
    parameters, num_examples, metrics = answer
    assert all(isinstance(part, np.ndarray) for part in parameters) and num_examples == 60
    assert metrics["train_loss"] > 0
    assert Fitted._fields == ("parameters", "num_examples", "metrics")


@pytest.mark.parametrize("kind", ["float", "int8", "coded"])
def test_clients_that_get_messages_alone_have_the_servers_weights(kind):
    server = Server(float_state(client().model), kind, 1.0)
    clients = [client(kind, seed) for seed in (3, 4)]  # begin with other networks
    parameters = server.initialize_parameters()
    for number in (1, 2):
        expected = server.weights
        results = [(one, one.fit(parameters, {})) for one in clients]
        for one in clients:
            assert all(torch.equal(one.weights[name], expected[name]) for name in expected)
        parameters, metrics = server.aggregate_fit(number, results, [])
        assert metrics == {} and bytes_of(parameters) == len(as_message(parameters))
        assert any(not torch.equal(server.weights[name], expected[name]) for name in expected)


def test_a_client_answers_with_its_change():
    one = client()
    before = float_state(one.model)
    answer = one.fit(Server(before, "float", 1.0).initialize_parameters(), {})
    shapes = {name: tensor.shape for name, tensor in before.items()}
    read = decode_update(as_message(answer.parameters), shapes)
    now = float_state(one.model)
    assert all(torch.allclose(added(before, read)[name], now[name], atol=1e-6) for name in now)
    assert any(part.any() for part in difference(now, before).values())


def test_changes_are_weighted_by_numbers_of_images():
    server = Server({"w": torch.zeros(1)}, "float", 1.0)
    results = [
        (None, Fitted(as_parameters(encode_update({"w": torch.tensor([c])}, "float")[0]), n, {}))
        for c, n in ((0.4, 30), (-0.2, 10))
    ]
    server.aggregate_fit(1, results, [RuntimeError("a client that failed is left out")])
    torch.testing.assert_close(server.weights["w"], torch.tensor([0.25]))


def test_what_is_no_answer_is_refused():
    server = Server({"w": torch.zeros(1)}, "float", 1.0)
    with pytest.raises(ValueError, match="no client has answered in round 3"):
        server.aggregate_fit(3, [])
    with pytest.raises(ValueError, match="one of uint8, which holds a message; got float32"):
        client().fit([np.zeros(3, np.float32)], {})
    with pytest.raises(ValueError, match="got none"):
        as_message([])
