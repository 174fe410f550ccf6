"""Typical mistakes for the exercises of notebook 20, and what the check has to say."""

from __future__ import annotations

import math

import torch

from squeeze_utils.compress.updates import encode_update


def server(numbers, workers):
    return 8 * workers * numbers


def ring(numbers, workers):
    return 16 * (workers - 1) / workers * numbers


LINKS = {"server": server, "ring": ring, "fewer": [1, 2, 3, 8, 64]}


def images(numbers, share, bits=8, workers=4):
    seconds = bits * 2 * (workers - 1) / workers * 4 * numbers / 1e9
    return 1150 * seconds * (1 - share) / share


BATCH = {"function": images, "half": 92, "vgg": 4571}


def factors(model, rank, kernel=True, vectors=True):
    sent = 0
    for p in model.parameters():
        if p.ndim > 1:
            sent += rank * (p.shape[0] + (p[0].numel() if kernel else p.shape[1]))
        elif vectors:
            sent += p.numel()
    return sent


RANK = {"function": factors, "layer": 44.3, "network": 25.2}


def inside(last):
    return (0.25 - last) / math.log(0.25 / last)


def density(last, warm_up):
    return warm_up * inside(last) + (1 - warm_up) * last


def straight(last, warm_up):
    return warm_up * (0.25 + last) / 2 + (1 - warm_up) * last


WARM = {"function": density, "mean": 0.00276, "warm_up": 0.0227}


def received(change, step, feedback, kind="coded", times=10, sign=1, whole=True):
    waiting, total = torch.zeros_like(change), torch.zeros_like(change)
    for _ in range(times):
        now = change + sign * waiting if feedback else change
        read = encode_update({"w": now}, kind, step=step)[1]["w"]
        waiting, total = (now if whole else change) - read, total + read
    return total


TENFOLD = {"function": received, "errors": {False: 5.01, True: 0.61}}


def changed(**how):
    return TENFOLD | {"function": lambda c, s, f: received(c, s, f, **how)}


EVENTS = ["A finds", "B finds", "B deletes", "B makes", "A deletes", "A makes"]
OWNERS = {"order": EVENTS, "owner": "B"}


def outer(old, mean, velocity, rate, momentum, nesterov=True, keeps=True, sign=1):
    gradient = sign * (old - mean)
    velocity = momentum * velocity * keeps + gradient
    step = gradient + momentum * velocity if nesterov else velocity
    return old - rate * step, velocity


DILOCO = {"outer_step": outer, "losses": {"plain": 0.042, "DiLoCo": 0.159}}


def stepped(**how):
    return DILOCO | {"outer_step": lambda *given: outer(*given, **how)}


MISTAKES = {
    1: [
        (LINKS | {"server": lambda numbers, n: 4 * n * numbers}, "count both"),
        (LINKS | {"server": lambda numbers, n: 8 * numbers}, "what one worker"),
        (LINKS | {"server": lambda numbers, n: 2 * n * numbers}, "takes 4 bytes"),
        (LINKS | {"ring": lambda numbers, n: ring(numbers, n) / 2}, "what it receives"),
        (LINKS | {"ring": lambda numbers, n: 16 * (n - 1) * numbers}, "one piece"),
        (LINKS | {"fewer": [3, 8, 64]}, "there are more"),
    ],
    2: [
        (BATCH | {"function": lambda n, share: images(n, share, bits=1)}, "8 bits"),
        (BATCH | {"function": lambda n, s: images(n, s) / (1 - s)}, "of the whole step"),
        (BATCH | {"function": lambda n, s: images(n, s, workers=2)}, "counts 4 N bytes"),
        (BATCH | {"function": lambda n, s: 4 * images(n, s)}, "all workers together"),
        (BATCH | {"half": 363}, "full width"),
        (BATCH | {"vgg": 457}, "communication takes"),
    ],
    3: [
        (RANK | {"function": lambda m, r: factors(m, r, vectors=False)}, "vectors are sent"),
        (RANK | {"function": lambda m, r: factors(m, r, kernel=False)}, "place of the kernel"),
        (RANK | {"function": lambda m, r: factors(m, 1)}, "for rank 1"),
        (RANK | {"layer": 208}, "How many times fewer"),
        (RANK | {"layer": 12.8}, "belong to the columns"),
        (RANK | {"network": 44.3}, "the one convolution"),
    ],
    4: [
        (WARM | {"function": lambda last, share: inside(last)}, "during the warm-up"),
        (WARM | {"function": lambda last, share: share * inside(last)}, "sends something, too"),
        (WARM | {"function": straight}, "straight line"),
        (WARM | {"mean": 362}, "Give the density"),
        (WARM | {"warm_up": 2.27}, "between 0 and 1"),
        (WARM | {"warm_up": 0.068}, "each number once"),
    ],
    5: [
        (changed(times=1), "one message"),
        (changed(kind="int8"), '"int8"'),
        (TENFOLD | {"function": lambda c, s, f: 10 * c}, "this is what was sent"),
        (TENFOLD | {"function": lambda c, s, f: received(c, 1.0, f)}, "pass step on"),
        (TENFOLD | {"function": lambda c, s, f: received(c, s, False)}, "to the next message"),
        (changed(sign=-1), "makes the sum worse"),
        (changed(whole=False), "with what waited before"),
        (TENFOLD | {"errors": {False: 0.61, True: 5.01}}, "exchanged"),
    ],
    6: [
        (OWNERS | {"order": EVENTS[::-1]}, "makes its own"),
        (
            OWNERS | {"order": [f"{p} {e}" for p in "AB" for e in ("finds", "deletes", "makes")]},
            "B finds no dead claim",
        ),
        (
            OWNERS | {"order": [f"{p} {e}" for e in ("finds", "deletes", "makes") for p in "AB"]},
            "B cannot make a claim",
        ),
        (OWNERS | {"order": EVENTS[:4]}, "six events"),
        (OWNERS | {"owner": "A"}, "creates name.1.claim first"),
    ],
    7: [
        (stepped(sign=-1), "goes away from the mean"),
        (stepped(nesterov=False), "plain momentum"),
        (stepped(keeps=False), "forgets the velocity"),
        (DILOCO | {"outer_step": lambda *given: outer(*given)[0]}, "has 6 entries, not 2"),
        (DILOCO | {"losses": {"plain": 97.2, "DiLoCo": 95.1}}, "not the accuracy"),
        (DILOCO | {"losses": {"plain": 0.042, "DiLoCo": 0.042}}, "the same loss"),
    ],
}

RIGHT_TOO = {3: [RANK | {"layer": 44}]}  # rounded
