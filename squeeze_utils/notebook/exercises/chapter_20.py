"""The exercises of notebook 20; those that go step by step are in `chapter_20_simulated`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cache
from typing import Any

import torch
from torch import nn

from squeeze_utils.models import build
from squeeze_utils.notebook.exercises import answers
from squeeze_utils.notebook.exercises.answers import as_number, ask, close, named, number, same
from squeeze_utils.notebook.exercises.chapter_20_simulated import (
    averages_with_memory,
    cost_of_warm_up,
    same_change,
    two_owners,
)
from squeeze_utils.notebook.exercises.exercise import Claims, Exercise
from squeeze_utils.results.scaling import step_seconds

COUNTS = (1, 2, 3, 8, 64)  # workers of exercise 1
SPEED, WORKERS, BANDWIDTH = 1150, 4, 1e9  # images a second, workers, bits a second of exercise 2
VGG = 9_200_000  # parameters

Sent = tuple[str, str, float]  # from, to, bytes


def _by_server(numbers: int, workers: int) -> Iterator[Sent]:
    for worker in map(str, range(workers)):
        yield worker, "server", 4.0 * numbers
        yield "server", worker, 4.0 * numbers


def _round_the_ring(numbers: int, workers: int) -> Iterator[Sent]:
    for _ in range(2 * (workers - 1)):
        for worker in range(workers):
            yield str(worker), str((worker + 1) % workers), 4 * numbers / workers


def _through(node: str, messages: Iterable[Sent]) -> float:
    """Bytes in and out of one node."""
    return sum(size for start, end, size in messages if node in (start, end))


def server_or_ring(answer: Any) -> Claims:
    given = named(answer, "server", "ring", "fewer")
    for numbers, n in ((300, 3), (1000, 2), (640, 8)):
        at = f"with {numbers} numbers and {n} workers"
        right = _through("server", _by_server(numbers, n))
        found = as_number(ask(given["server"], numbers, n), "server")
        both = "the gradients come in and the sum goes out: count both."
        yield "server", not close(found, right / 2), both
        one = "this is what one worker sends and receives. The server talks to all of them."
        yield "server", not close(found, right / n), one
        yield "server", not close(found, right / 4), "a number takes 4 bytes."
        yield "server", close(found, right), f"{at} it gives {found:g} bytes."
        right = _through("0", _round_the_ring(numbers, n))
        found = as_number(ask(given["ring"], numbers, n), "ring")
        out = "this is what a worker sends. Its connection also carries what it receives."
        yield "ring", not close(found, right / 2), out
        piece = "a step sends one piece of the gradient, a share 1/n of it."
        whole = any(close(found, right * times) for times in (n, n / 2))
        yield "ring", n == 2 or not whole, piece
        yield "ring", not close(found, right / 4), "a number takes 4 bytes."
        yield "ring", close(found, right), f"{at} it gives {found:g} bytes."
    fewer = [
        n
        for n in COUNTS
        if _through("0", _round_the_ring(960, n)) < _through("server", _by_server(960, n))
    ]
    missing = "there are more. Put each number of workers into both functions, small ones too."
    yield from same("fewer", given["fewer"], fewer, missing, "{} does not belong there.")


@cache
def _parameters(width: float) -> int:
    with torch.device("meta"):
        return answers.numbers_in(build("squeezenet_small", num_classes=10, width=width))


def _share(images: float, numbers: float, bandwidth: float = BANDWIDTH) -> float:
    """The share of communication in a step with so many images for each worker."""
    compute = WORKERS * images / SPEED
    return step_seconds(compute, numbers, WORKERS, bandwidth, latency=0)["share"]


def batch_for_share(answer: Any) -> Claims:
    given = named(answer, "function", "half", "vgg")
    for numbers, share in ((1_000_000, 0.1), (400_000, 0.2), (3_000_000, 0.5)):
        m = as_number(ask(given["function"], numbers, share), "images_needed")
        yield "images", m > 0, "a batch has at least one image."
        found = _share(m, numbers)
        bits = "a byte has 8 bits, and B counts bits."
        yield "images", not close(_share(m, numbers, 8 * BANDWIDTH), share, 1e-2), bits
        whole = "the share is of the whole step, not of the seconds of computing."
        yield "images", not close(found / (1 - found), share, 1e-2), whole
        ring = "this counts 4 N bytes. With 4 workers each one sends b, which is more."
        yield "images", not close(_share(m, numbers * 2 / 3), share, 1e-2), ring
        every = "these are the images of all workers together. Each has a quarter of them."
        yield "images", not close(_share(m / WORKERS, numbers), share, 1e-2), every
        off = f"{numbers:,} parameters, {m:,.1f} images: communication takes {100 * found:.1f} %."
        yield "images", close(found, share, 1e-2), off
    m = as_number(given["half"], "half")
    yield "half", m > 0, "a batch has at least one image."
    wide = "this is SqueezeNet at full width: width=0.5 halves it."
    yield "half", not close(_share(m, _parameters(1.0)), 0.1, 2e-2), wide
    found = _share(m, _parameters(0.5))
    yield "half", close(found, 0.1, 2e-2), f"communication takes {100 * found:.1f} % of the step."
    m = as_number(given["vgg"], "vgg")
    yield "vgg", m > 0, "a batch has at least one image."
    found = _share(m, VGG)
    yield "vgg", close(found, 0.1, 2e-2), f"communication takes {100 * found:.1f} % of the step."


def _sent(model: nn.Module, rank: int, vectors: bool = True) -> int:
    """Numbers of the factors, counted on factors of the model's own weights."""
    total = 0
    for parameter in model.parameters():
        if parameter.ndim > 1:
            left, _, right = torch.svd_lowrank(parameter.detach().flatten(1), rank, niter=0)
            total += left.numel() + right.numel()
        elif vectors:
            total += parameter.numel()
    return total


def low_rank(answer: Any) -> Claims:
    given = named(answer, "function", "layer", "network")
    for rank in (1, 2, 3):
        model = nn.Sequential(nn.Conv2d(6, 10, 3), nn.Linear(20, 30))
        found = as_number(ask(given["function"], model, rank), "low_rank_numbers")
        right = _sent(model, rank)
        every = "these are all numbers of the gradient."
        yield "numbers", found != answers.numbers_in(model), every
        yield "numbers", found != _sent(model, rank, vectors=False), "vectors are sent, too."
        places = "a matrix has a column for each input and each place of the kernel."
        flat = rank * ((10 + 6) + (30 + 20)) + 10 + 30
        yield "numbers", found != flat, places
        yield "numbers", rank == 1 or found != _sent(model, 1), "this is the count for rank 1."
        off = f"with rank {rank} it counts {found:g} for a small network."
        yield "numbers", found == right, off
    layer = nn.Conv2d(16, 64, 3, bias=False)
    sent = _sent(layer, 1)
    one = answers.numbers_in(layer) / sent
    known = {
        float(sent): "this is how many numbers are sent. How many times fewer are they?",
        64 * 16 / (64 + 16): "the 9 places of the kernel belong to the columns.",
        1 / one: "this is the share that is sent. How many times fewer is it?",
    }
    yield from number("layer", given["layer"], one, known, relative=1e-2)
    half = build("squeezenet_small", num_classes=10, width=0.5)
    right = answers.numbers_in(half) / _sent(half, 1)
    known = {
        one: "this is the one convolution. Most matrices of the network are smaller.",
        answers.numbers_in(half) / _sent(half, 1, vectors=False): "vectors are sent, too.",
        float(_sent(half, 1)): "this is how many numbers are sent. How many times fewer are they?",
    }
    yield from number("network", given["network"], right, known, relative=5e-3)


EXERCISES = {
    1: Exercise(
        "A server instead of a ring",
        server_or_ring,
        "The server receives 4 N bytes from each worker and sends 4 N bytes to each. In the ring "
        "a worker sends b bytes and receives as many. To compare them, divide both by 8 N.",
    ),
    2: Exercise(
        "How large must a batch be?",
        batch_for_share,
        "The share s leaves (1 − s) / s times as many seconds for computing as for "
        "communication, which takes 8 b / B seconds.",
    ),
    3: Exercise(
        "Low rank on paper",
        low_rank,
        "p.flatten(1) is the matrix of a parameter p with p.ndim > 1; its shape gives r and c. "
        "Compare the sum with all numbers of the network.",
    ),
    4: Exercise(
        "The cost of a warm-up",
        cost_of_warm_up,
        "While a density falls exponentially from a to b, its mean is (a − b) / ln(a / b). Weigh "
        "it with the share of the warm-up, and b with the rest. 500 times fewer: a mean of 1/500.",
    ),
    5: Exercise(
        "Rounding errors that add up",
        same_change,
        'message, read = encode_update({"w": now}, "coded", step=step). With feedback, now is the '
        "change plus what waits, and what waits next is now minus what was read.",
    ),
    6: Exercise(
        "Two owners",
        two_owners,
        "One process stops between finding and deleting, while the other one does everything. "
        "With generations nothing is deleted: who is the first to create the file?",
    ),
    7: Exercise(
        "Averages with a memory",
        averages_with_memory,
        "The difference between the old weights and the clients' mean plays the part of the "
        "gradient. From there it is Nesterov's momentum of notebook 04: renew the velocity first.",
    ),
}
