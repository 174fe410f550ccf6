"""The exercises of notebook 20 that go step by step: trainings, senders, processes, workers."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import torch

from squeeze_utils.compress.updates import Fitted, Server, as_parameters, encode_update
from squeeze_utils.notebook.exercises import answers
from squeeze_utils.notebook.exercises.answers import array, as_number, ask, close, named
from squeeze_utils.notebook.exercises.exercise import Claims, Wrong
from squeeze_utils.training.distributed.top_k import START, TopK

LAST, WARM_UP, FEWER = 0.001, 0.04, 500  # final density, share of the training, goal
TIMES = 10  # the same change is sent
SHAPE, STEP = (40, 50), 2.0  # of the change in the notebook
EVENTS = ("finds", "deletes", "makes")


@cache
def _mean_density(last: float, warm_up: float, steps: int = 50_000) -> float:
    """The mean over all steps of a training, step by step; `warm_up` is a share of them."""
    state = TopK(last, warm_up=round(warm_up * steps))
    total = (steps - state.warm_up) * last
    for step in range(state.warm_up):
        state.step = step
        total += state.share()
    return total / steps


def cost_of_warm_up(answer: Any) -> Claims:
    given = named(answer, "function", "mean", "warm_up")
    for last, warm_up in ((0.001, 0.1), (0.01, 0.5), (LAST, WARM_UP)):
        found = as_number(ask(given["function"], last, warm_up), "mean_density")
        inside, rest = _mean_density(last, 1.0), (1 - warm_up) * last
        own = "this is the mean during the warm-up. Afterwards the density is the final one."
        yield "mean density", not close(found, inside, 5e-3), own
        after = "the rest of the training sends something, too: the final density."
        yield "mean density", not close(found, warm_up * inside, 5e-3), after
        line = "this is the mean of a straight line. The density falls faster at first."
        yield "mean density", not close(found, warm_up * (START + last) / 2 + rest, 5e-3), line
        middle = "this takes the density in the middle of the warm-up, which is not the mean."
        yield "mean density", not close(found, warm_up * (START * last) ** 0.5 + rest, 5e-3), middle
        off = f"for the final density {last:g} and a warm-up of {100 * warm_up:g} %: {found:.5f}."
        yield "mean density", close(found, _mean_density(last, warm_up), 5e-3), off
    right = _mean_density(LAST, WARM_UP)
    known = {
        1 / right: "this is how many times fewer numbers are sent. Give the density.",
        100 * right: "give a share between 0 and 1.",
    }
    yield from answers.number("mean", given["mean"], right, known, relative=5e-3)
    share = as_number(given["warm_up"], "warm_up")
    yield "warm-up", 0 < share < 1, "give a share of the training, between 0 and 1."
    fewer = 1 / _mean_density(LAST, share)
    twice = "with two workers the ring sends each number once, 4 bytes: b = 4 N."
    yield "warm-up", not close(fewer, FEWER / 2, 1e-2), twice
    off = f"with this warm-up the bytes are {fewer:.0f} times fewer."
    yield "warm-up", close(fewer, FEWER, 1e-2), off


def _sum_read(
    change: torch.Tensor, step: float, feedback: bool, kind: str = "coded", times: int = TIMES
) -> torch.Tensor:
    """What a server has sent on to its clients after it got the same change so many times."""
    server = Server({"w": torch.zeros_like(change)}, kind, step)
    message, _ = encode_update({"w": change}, "float")
    answer = Fitted(as_parameters(message), 1, {})
    for number in range(1, times + 1):
        server.waiting = server.waiting if feedback else {}
        server.aggregate_fit(number, [(None, answer)])
    return server.weights["w"].double()


def _off(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a.double() - b.double()).abs().mean())


def same_change(answer: Any) -> Claims:
    given = named(answer, "function", "errors")
    for shape, step in (((20, 15), STEP), ((25, 20), 3.0)):
        change = torch.randn(shape)
        sent, plain = TIMES * change.double(), _sum_read(change, step, False)
        found = array(ask(given["function"], change, step, False), shape, "received")
        once = "this is what one message brings. Add up all ten."
        yield "without feedback", not close(found, plain / TIMES, 1e-3, 1e-3), once
        exact = "this is what was sent. The receiver adds up what it reads."
        yield "without feedback", not close(found, sent, 1e-3, 1e-3), exact
        other = _sum_read(change, step, False, "int8")
        kind = 'this is the kind "int8". Take "coded".'
        yield "without feedback", not close(found, other, 1e-3, 1e-3), kind
        fine = "pass step on to encode_update."
        yield "without feedback", not close(found, _sum_read(change, 1.0, False), 1e-3, 1e-3), fine
        off = f"the sum for {change.numel()} numbers and the step {step:g} is another one."
        yield "without feedback", close(found, plain, 1e-3, 1e-3), off
        kept = array(ask(given["function"], change, step, True), shape, "received")
        same = "this is the sum without feedback. Add the rounding error to the next message."
        yield "with feedback", not close(kept, plain, 1e-3, 1e-3), same
        worse = "feedback makes the sum worse. The error is what should be sent minus what is read."
        yield "with feedback", _off(kept, sent) < _off(plain, sent), worse
        all_of_it = "what waits is the error of the whole message, with what waited before."
        right = _sum_read(change, step, True)
        yield "with feedback", close(kept, right, 1e-3, 1e-3), all_of_it
    errors = answers.named(given["errors"], False, True, what="errors")
    values = {kept: as_number(error, f"errors[{kept}]") for kept, error in errors.items()}
    change = torch.randn(SHAPE, generator=torch.Generator().manual_seed(0))
    right = {k: _off(_sum_read(change, STEP, k), TIMES * change) for k in (False, True)}
    yield "errors", not close(values[False], right[True], 2e-2), "the two are exchanged."
    for kept, value in values.items():
        how = f"{'with' if kept else 'without'} feedback"
        total = f"{how}: take the mean over all numbers, not the sum."
        yield "errors", not close(value, change.numel() * right[kept], 2e-2), total
        off = f"{how}: {value:.3f} is not the mean distance of the 2,000 numbers."
        yield "errors", close(value, right[kept], 2e-2), off


def two_owners(answer: Any) -> Claims:
    given = named(answer, "order", "owner")
    order = [str(event).strip() for event in answers.items(given["order"], what="order")]
    wanted = {f"{process} {event}" for process in "AB" for event in EVENTS}
    unknown = [event for event in order if event not in wanted]
    if unknown:
        raise Wrong(f"{unknown[0]!r} is no event. There are {', '.join(sorted(wanted))}.")
    each = "each process finds, deletes and makes once: six events."
    yield "events", sorted(order) == sorted(wanted), each
    for process in "AB":
        own = [event[2:] for event in order if event[0] == process]
        first = f"{process} first finds the dead claim, then deletes it, then makes its own."
        yield "events", own == list(EVENTS), first
    claim = "the dead process"  # whose file is there
    for who, what in (event.split() for event in order):
        if what == "finds":
            alive = f"{who} finds no dead claim: {claim or 'nobody'} has it. So {who} stops."
            yield "finding", claim == "the dead process", alive
        elif what == "deletes":
            claim = ""
        else:
            there = f"{who} cannot make a claim while that of {claim} is there."
            yield "making", claim == "", there
            claim = who
    owner = answers.one_of(given["owner"], "owner", "A", "B")
    first = next(event[0] for event in order if event.endswith("makes"))
    late = f"in your order {first} creates name.1.claim first. The other one comes too late."
    yield "owner", owner == first, late


def averages_with_memory(answer: Any) -> Claims:
    given = named(answer, "outer_step", "losses")
    for rate, momentum in ((1.0, 0.0), (0.7, 0.9), (0.5, 0.5)):
        weights, velocity = torch.nn.Parameter(torch.randn(6)), torch.zeros(6)
        outer = torch.optim.SGD([weights], rate, momentum=momentum, nesterov=momentum > 0)
        for step in range(3):
            old, mean = weights.detach().clone(), torch.randn(6)
            pair = ask(given["outer_step"], old, mean, velocity, rate, momentum)
            pair = answers.items(pair, 2, "The result of outer_step")
            found = array(pair[0], (6,), "the new weights")
            velocity = array(pair[1], (6,), "the velocity").float()
            weights.grad = old - mean
            outer.step()
            right = weights.detach()
            away = "the step goes away from the mean. The outer gradient is old minus mean."
            yield "direction", step > 0 or not close(found, 2 * old - right, 1e-3), away
            if momentum == 0:
                whole = "with rate 1 and no momentum the new weights are the mean."
                yield "plain average", close(found, mean, 1e-3, 1e-4), whole
                continue
            looks = "this is plain momentum. Nesterov adds the gradient to it once more."
            plain = old - rate * (old - mean)
            yield "Nesterov", step > 0 or not close(found, plain, 1e-3), looks
            new = old - rate * (1 + momentum) * (old - mean)
            forgets = "the second step forgets the velocity of the first one."
            yield "memory", step == 0 or not close(found, new, 1e-3), forgets
            off = f"step {step + 1}, rate {rate:g}, momentum {momentum:g}: other weights come out."
            yield "outer step", close(found, right, 1e-3, 1e-4), off
    losses = answers.named(given["losses"], "plain", "DiLoCo", what="losses")
    values = [as_number(loss, name) for name, loss in losses.items()]
    yield "losses", min(values) > 0, "a cross-entropy is positive."
    chance = "this is worse than guessing among ten digits. Is it the loss, not the accuracy?"
    yield "losses", max(values) < math.log(10), chance
    yield "losses", values[0] != values[1], "both ways gave the same loss. Did both use outer_step?"
