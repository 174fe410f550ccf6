"""Messages of clients, and federated averaging in one process."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
import pytest
import torch
from tiny import tiny_set, tiny_spec

from squeeze_utils.base import machine
from squeeze_utils.compress.sqz.bits import ContainerError, Reader, checksum, varint
from squeeze_utils.compress.updates.client_and_server import Fitted, Server, as_parameters
from squeeze_utils.compress.updates.federated import Federate, unequal_parts
from squeeze_utils.compress.updates.messages import (
    KINDS,
    added,
    decode_update,
    difference,
    encode_update,
    float_state,
)
from squeeze_utils.training.loop import Train, fit
from squeeze_utils.training.step import State

GENERATOR = torch.Generator().manual_seed(0)
UPDATE = {"w": torch.randn(40, 50, generator=GENERATOR), "b": torch.zeros(7), "s": torch.ones(())}
SHAPES = {name: tensor.shape for name, tensor in UPDATE.items()}


def tiny_state(seed: int = 0) -> State:
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = tiny_spec(num_classes=3).build()
    return State(model, tiny_set(counts=(240, 60, 60)), generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_is_read_as_the_sender_says(kind):
    message, said = encode_update(UPDATE, kind)
    read = decode_update(message, SHAPES)
    assert all(torch.equal(read[name], said[name]) for name in UPDATE)
    w = UPDATE["w"]
    steps = {
        "float": 0.0,
        "int8": float(w.abs().max()) / 127,
        "coded": float(w.square().mean().sqrt()),
    }
    limit = steps[kind] / 2
    assert float((read["w"] - UPDATE["w"]).abs().max()) <= limit * 1.01
    assert torch.equal(read["b"], UPDATE["b"])


def test_sizes_are_those_of_the_kinds():
    sizes = {kind: len(encode_update(UPDATE, kind)[0]) for kind in KINDS}
    numbers = sum(tensor.numel() for tensor in UPDATE.values())
    assert 4 * numbers < sizes["float"] < 4 * numbers + 16
    assert numbers < sizes["int8"] < numbers + 32
    assert sizes["coded"] < 0.3 * numbers  # some two bits a number
    assert len(encode_update(UPDATE, "coded", step=3.0)[0]) < 0.6 * sizes["coded"]


def test_damage_and_nonsense_are_refused():
    message, _ = encode_update(UPDATE, "int8")
    for damaged in (message[:-1], message + b"x", message[:50] + b"?" + message[51:], b""):
        with pytest.raises(ContainerError):
            decode_update(damaged, SHAPES)
    with pytest.raises(ContainerError):
        decode_update(message, {"w": torch.Size((40, 51))})
    with pytest.raises(ValueError, match="unknown kind of message 'zip'"):
        encode_update(UPDATE, "zip")
    with pytest.raises(ValueError, match="w is not finite"):
        encode_update({"w": torch.tensor([float("nan")])})


def framed(body: bytes) -> bytes:
    """A message with this content and the right checksum."""
    return varint(len(body)) + body + checksum(body)


@pytest.mark.parametrize("kind", KINDS)
def test_hostile_messages_are_refused_or_finite(kind):
    body = bytes(Reader(encode_update(UPDATE, kind)[0]).framed("the update").data)
    assert torch.equal(
        decode_update(framed(body), SHAPES)["w"], encode_update(UPDATE, kind)[1]["w"]
    )
    random, refused, read = Random(0), 0, 0
    for _ in range(200):
        wrong = bytearray(body)
        for _ in range(random.choice((1, 3))):
            place = random.randrange(min(len(wrong), random.choice((6, len(wrong)))))
            wrong[place] = random.randrange(256)
        try:
            found = decode_update(framed(bytes(wrong)), SHAPES)
        except ContainerError:
            refused += 1
            continue
        read += 1
        assert all(tensor.isfinite().all() for tensor in found.values())
    assert refused and read


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_numbers_that_are_not_finite_are_refused(wrong):
    for body in (b"\0" + np.float32(wrong).tobytes(), b"\1" + np.float32(wrong).tobytes() + b"\1"):
        with pytest.raises(ContainerError, match="w in the update is not finite"):
            decode_update(framed(body), {"w": torch.Size([1])})


def test_a_difference_added_is_the_new_network():
    old, new = float_state(tiny_state().model), float_state(tiny_state(seed=1).model)
    back = added(old, difference(new, old))
    assert all(torch.allclose(back[name], new[name], atol=1e-6) for name in new)


@pytest.mark.parametrize(("alpha", "most"), [(0.1, 1.0), (1000, 0.2)])
def test_images_are_dealt_once_and_as_unequally_as_asked(alpha, most):
    labels = torch.arange(1000) % 10
    generator = torch.Generator().manual_seed(0)
    parts = unequal_parts(labels, 10, alpha, generator, least=8)
    assert sorted(torch.cat(parts).tolist()) == list(range(1000))
    share = max(float(labels[part].bincount().max()) / len(part) for part in parts)
    assert (share > 0.5) == (most == 1.0)
    with pytest.raises(ValueError, match="cannot be dealt to 10 clients with at least 500 each"):
        unequal_parts(labels, 10, alpha, generator, least=500)


def test_federated_averaging_learns_and_counts_its_bytes():
    found = {}
    for kind in KINDS:
        state = tiny_state()
        step = Federate(3, clients=4, batch_size=8, alpha=5.0, message=kind)
        found[kind] = step.apply(state)
        rounds = found[kind]["rounds"]
        assert [one["round"] for one in rounds] == [1, 2, 3]
        assert rounds[-1]["validation_accuracy"] > 90
        assert rounds[-1]["up_bytes"] == found[kind]["up_bytes"] > rounds[0]["up_bytes"]
        assert sum(found[kind]["client_images"]) == 240
        assert found[kind]["precision"] == machine.precision("auto", state.device)
    numbers = sum(p.numel() for p in tiny_state().model.parameters())
    assert found["float"]["up_bytes"] == pytest.approx(3 * 4 * 4 * numbers, rel=0.01)
    assert found["int8"]["up_bytes"] == pytest.approx(3 * 4 * numbers, rel=0.01)
    assert found["coded"]["up_bytes"] < found["int8"]["up_bytes"] / 2
    for kind in KINDS:  # the first download is the whole network in floats, for each client
        assert found[kind]["first_download_bytes"] == pytest.approx(4 * 4 * numbers, rel=0.01)
        changes = found[kind]["down_bytes"] - found[kind]["first_download_bytes"]
        first = found[kind]["rounds"][0]["down_bytes"] - found[kind]["first_download_bytes"]
        assert changes == pytest.approx(found[kind]["up_bytes"], rel=0.2)
        assert first == pytest.approx(changes / 3, rel=0.2)


def test_one_client_with_floats_is_plain_training_round_by_round():
    one, other = tiny_state(), tiny_state()
    step = Federate(2, clients=1, batch_size=8, precision="float32")
    step.apply(one)
    assert one.model.training == other.model.training
    before = float_state(other.model)
    (client,) = step._clients(other)  # draws from the generator as `apply` does
    plain = {"optimizer": "momentum", "schedule": "constant", "precision": "float32"}
    for _ in range(step.rounds):
        data, generator = client.data, other.generator
        fit(client.model, data, Train(1, lr=0.05, batch_size=8, **plain), generator=generator)
    ours, theirs = float_state(one.model), float_state(client.model)
    assert all(torch.allclose(ours[name], tensor, atol=1e-6) for name, tensor in theirs.items())
    assert any(not torch.equal(ours[name], tensor) for name, tensor in before.items())


def test_a_variance_that_rounding_took_below_zero_is_zero_and_catches_up():
    weights = {"bn.running_var": torch.tensor([1.0, 0.01]), "bn.weight": torch.tensor([-1.0])}
    server = Server(weights, "int8", step=1.0)
    asked = {"bn.running_var": torch.tensor([100.0, -0.4]), "bn.weight": torch.tensor([-1.0])}
    server.aggregate_fit(1, [(None, Fitted(as_parameters(encode_update(asked, "int8")[0]), 1, {}))])
    assert server.weights["bn.running_var"][1] == 0 and server.weights["bn.weight"] < -1
    assert server.waiting["bn.running_var"][1] == pytest.approx(-0.4 + 0.01, abs=0.4)
    model = torch.nn.BatchNorm1d(2).eval()
    model.running_var.copy_(server.weights["bn.running_var"])
    assert model(torch.ones(1, 2)).isfinite().all()


@pytest.mark.parametrize("count", [0, -1, 2.5])
def test_a_client_with_an_impossible_number_of_images_is_refused(count):
    server = Server(dict(UPDATE), "float", step=1.0)
    fitted = Fitted(as_parameters(encode_update(UPDATE, "float")[0]), count, {})
    with pytest.raises(ValueError, match="images of a client must be a whole number"):
        server.aggregate_fit(1, [(None, fitted)])
    assert all(torch.equal(server.weights[name], UPDATE[name]) for name in UPDATE)


def test_clients_change_their_images_as_the_recipe_says():
    plan = Federate(shift=2, flip=True).plan
    assert (plan.shift, plan.flip) == (2, True)
    with pytest.raises(ValueError, match="shift"):
        Federate(shift=-1)


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match="unknown message"):
        Federate(message="zip")
    with pytest.raises(ValueError, match="unknown precision 'half'; accepted: auto"):
        Federate(precision="half")
    with pytest.raises(ValueError, match=r"alpha must lie in \[0\.001, 1000\]"):
        Federate(alpha=1e-5)  # torch's draws become more equal again
    with pytest.raises(ValueError, match="clients must be a whole number"):
        Federate(clients=0)
    pruned = replace(tiny_state(), masks={"w": torch.ones(1)})
    with pytest.raises(ValueError, match="prune or share afterwards"):
        Federate().apply(pruned)


def test_kernels_share_a_step_and_vectors_have_finer_ones():
    generator = torch.Generator().manual_seed(0)
    update = {
        "small": 0.1 * torch.randn(40, 50, generator=generator),
        "large": 2.0 * torch.randn(40, 50, generator=generator),
        "bias": 5.0 * torch.randn(50, generator=generator),
    }
    _, read = encode_update(update, "coded")
    shared = float(torch.cat([update["small"], update["large"]]).square().mean().sqrt())
    assert not read["small"].any()  # against the large ones they are nothing
    levels = read["large"] / shared
    torch.testing.assert_close(levels, levels.round(), atol=1e-4, rtol=0)
    off = (read["bias"] - update["bias"]).abs().max() / update["bias"].square().mean().sqrt()
    assert 0.01 < off < 1.01 / 32
