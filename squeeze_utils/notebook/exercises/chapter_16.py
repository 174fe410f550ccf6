"""The exercises of notebook 16; those that measure something are in `chapter_16_measured`."""

from __future__ import annotations

import math
from itertools import permutations, product
from typing import Any

from squeeze_utils.notebook.exercises import answers
from squeeze_utils.notebook.exercises.answers import array, as_number, ask, close, named, number
from squeeze_utils.notebook.exercises.chapter_16_measured import (
    huffman_parts,
    missing_cell,
    own_order,
)
from squeeze_utils.notebook.exercises.exercise import Claims, Exercise

WHOLE, FEW = 32, 5  # bits of a weight
BY_HAND = {"": 0, "a": 6, "b": 0, "c": 3, "ab": 12, "ac": 9, "bc": 3, "abc": 18}


def _bits(zeros: float, width: int) -> float:
    """Bits a weight: where the zeros are, and a number for each of the others."""
    where = sum(p * math.log2(1 / p) for p in (zeros, 1 - zeros) if p)
    return where + (1 - zeros) * width


def _halvings(before: float, after: float) -> float:
    return math.log2(before / after)


def gains_add_up(answer: Any) -> Claims:
    given = named(answer, "interaction", "worst", "limit")
    for zeros in (0.5, 0.9, 0.97):
        found = as_number(ask(given["interaction"], zeros), "interaction")
        pruned = _halvings(WHOLE, _bits(zeros, WHOLE))
        few, both = _halvings(WHOLE, FEW), _halvings(WHOLE, _bits(zeros, FEW))
        right = both - pruned - few
        turned = "the sign: both together minus each alone."
        yield "interaction", not close(found, -right), turned
        sums = "this is the gain of both together. Take off what each gains alone."
        yield "interaction", not close(found, both), sums
        base = "halvings need the logarithm of base 2."
        yield "interaction", not close(found, right * math.log(2)), base
        off = f"with {zeros:.0%} zeros it gives {found:.3f}."
        yield "interaction", close(found, right, 1e-3), off
    worst = as_number(given["worst"], "worst")
    yield "worst", 0.05 <= worst <= 0.99, "look from 0.05 to 0.99."
    lower = f"at {worst:g} it is not lowest: look at larger sparsities."
    yield "worst", worst > 0.985, lower
    known = {
        0.0: "this is the limit for s → 0.",
        _halvings(WHOLE, FEW): "the sign: rounding gains nothing any more.",
        -float(WHOLE / FEW): "give halvings.",
    }
    right = -_halvings(WHOLE, FEW)
    yield from number("limit", given["limit"], right, known, relative=5e-3)


def _by_orders(names: str, v: dict[str, float]) -> dict[str, float]:
    """Shares as means over all orders in which the techniques can be applied."""
    orders = list(permutations(names))
    shares = dict.fromkeys(names, 0.0)
    for order in orders:
        for place, name in enumerate(order):
            before, after = sorted(order[:place]), sorted(order[: place + 1])
            shares[name] += (v["".join(after)] - v["".join(before)]) / len(orders)
    return shares


def _main(names: str, v: dict[str, float]) -> dict[str, float]:
    """Main effects: the mean gain beside all sets of the others, each counted once."""
    half = len(v) / 2
    return {n: sum(x if n in s else -x for s, x in v.items()) / half for n in names}


def three_by_hand(answer: Any) -> Claims:
    given = named(answer, "a", "b", "c")
    shares, main = _by_orders("abc", BY_HAND), _main("abc", BY_HAND)
    found = {name: as_number(given[name], name) for name in "abc"}
    plain = "these are main effects: all four gains count alike. Weigh each by its orders."
    yield "shares", any(not close(found[n], main[n]) for n in "abc"), plain
    alone = "this is what each gains alone."
    yield "shares", any(found[n] != BY_HAND[n] for n in "abc"), alone
    last = {n: BY_HAND["abc"] - BY_HAND["abc".replace(n, "")] for n in "abc"}
    yield "shares", found != last, "this is what each gains as the last one."
    total = sum(found.values())
    yield "sum", close(total, 18), f"the shares add up to {total:g}; all together gain 18."
    for name in "abc":
        off = f"{found[name]:g} is not the mean over six orders."
        yield f"share of {name}", close(found[name], shares[name]), off


def _table(value: Any, names: str, what: str) -> dict[str, float]:
    wanted = {"".join(n for n, taken in zip(names, chosen, strict=True) if taken)
              for chosen in product((0, 1), repeat=len(names))}  # fmt: skip
    parts = named(value, *sorted(wanted), what=what)
    return {key: as_number(v, f"{what}[{key!r}]") for key, v in parts.items()}


def does_nothing(answer: Any) -> Claims:
    given = named(answer, "idle", "alike")
    idle = _table(given["idle"], "abc", "idle")
    for key in ("", "a", "b", "ab"):
        moved = f"with c beside {key or 'nothing'!r} the response changes."
        yield "idle", idle["".join(sorted(key + "c"))] == idle[key], moved
    empty = "a and b do nothing either. Give them gains."
    yield "idle", min(abs(x) for x in list(_by_orders("abc", idle).values())[:2]) > 1e-9, empty
    yield "idle", close(_by_orders("abc", idle)["c"], 0.0), "the share of c is not zero."
    alike = _table(given["alike"], "abc", "alike")
    swap = str.maketrans("ab", "ba")
    for key in alike:
        other = "".join(sorted(key.translate(swap)))
        differ = f"{key!r} and {other!r} must have the same response."
        yield "alike", alike[key] == alike[other], differ
    several = "let a and b gain something, and together not just twice as much."
    bent = alike["ab"] - alike["a"] - alike["b"] + alike[""]
    yield "alike", abs(bent) > 1e-9 and alike["a"] != alike[""], several
    shares = _by_orders("abc", alike)
    yield "alike", close(shares["a"], shares["b"]), "their shares differ."


def not_shares(answer: Any) -> Claims:
    given = named(answer, "table", "three")
    values = array(given["table"], (2, 2, 2, 2), "table")
    table = {
        "".join(n for n, taken in zip("abcd", at, strict=True) if taken): float(values[at])
        for at in product((0, 1), repeat=4)
    }
    main, share = _main("abcd", table), _by_orders("abcd", table)
    yield "table", len(set(table.values())) > 1, "all responses are equal."
    first, other = max(main, key=lambda n: main[n]), max(share, key=lambda n: share[n])
    same = f"technique {'abcd'.index(first)} has the largest main effect and the largest share."
    yield "table", first != other, same
    tie = "two are equally large. Find a clear case."
    clear = main[first] > main[other] + 1e-6 and share[other] > share[first] + 1e-6
    yield "table", clear, tie
    same = "for three techniques, main effects and shares have the same differences."
    yield "three", not answers.yes_or_no(given["three"], "three"), same


EXERCISES = {
    1: Exercise(
        "When do gains add up?",
        gains_add_up,
        "A pruned file takes H bits a weight for the places, and b (1 − s) for the numbers. "
        "Compare 32 bits with 5, with zeros and without. In the limit, which falls faster: H or "
        "1 − s?",
    ),
    2: Exercise(
        "Three techniques by hand",
        three_by_hand,
        "The gain alone and the gain as the last one count twice each, the two in the middle "
        "once each; divide by six.",
    ),
    3: Exercise(
        "A technique that does nothing",
        does_nothing,
        "For idle let v depend on a and b only. For alike let v depend on how many of a and b "
        "are applied, and on c.",
    ),
    4: Exercise(
        "Main effects are not shares",
        not_shares,
        "Try random tables of whole numbers, np.random.default_rng(seed).integers(0, 10, "
        "(2, 2, 2, 2)), until the two maxima differ.",
    ),
    5: Exercise(
        "A missing cell",
        missing_cell,
        "effects.main_effects has the column n; attribution.attribution has n, low and high.",
    ),
    6: Exercise(
        "What a compressed file holds",
        huffman_parts,
        "The columns gaps and codes of the details are bytes; eight times their sum, divided by "
        "all weights of these layers.",
    ),
    7: Exercise(
        "Your own order",
        own_order,
        "squeeze_utils.results.statistics.paired(a, b) has low and high; there is a difference if "
        "zero lies outside.",
    ),
}
