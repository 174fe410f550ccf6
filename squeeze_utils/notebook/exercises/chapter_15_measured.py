"""The exercises of notebook 15 about networks that the reader has trained."""

from __future__ import annotations

from typing import Any

import torch

from squeeze_utils.compress.sqz.mixture import Counts, estimate
from squeeze_utils.notebook.exercises.answers import as_number, ask, close, items, named, yes_or_no
from squeeze_utils.notebook.exercises.exercise import Claims

RISES = (0.0, 0.5)


def _spread(values: list[float]) -> float:
    numbers = torch.tensor(values, dtype=torch.float64)
    return float(numbers.std(unbiased=True))


def price_at_once(answer: Any) -> Claims:
    given = named(answer, "function", "bytes", "error")
    wanted = [([1.0, 2, 3], [9.0, 9, 9]), ([1.0, 5, 9], [2.0, 6, 10]), ([0.0, 0, 9], [4.0, 4, 4])]
    wanted += [(b, a) for a, b in wanted]
    for a, b in wanted:
        found = ask(given["function"], a, b)
        gap = abs(sum(a) - sum(b)) / 3
        right = gap > max(_spread(a), _spread(b))
        sign = "the difference may be negative: take its size."
        yield "larger", bool(found) == right or sum(a) > sum(b) or not right, sign
        small = "compare with the larger of the two spreads."
        yield "larger", bool(found) == right or gap < min(_spread(a), _spread(b)) or right, small
        yield "larger", bool(found) == right, f"for {a} and {b} it says {bool(found)}."
    for name in ("bytes", "error"):
        values = named(given[name], *RISES, what=name)
        for rise in RISES:
            listed = items(values[rise], 3, f"{name}[{rise}]")
            numbers = [as_number(value, name) for value in listed]
            yield name, len(set(numbers)) > 1, "three seeds do not give three equal values."
            if name == "bytes":
                whole = "a file has a whole number of bytes."
                yield name, all(n == int(n) and n > 100 for n in numbers), whole
            else:
                chance = (
                    "this is no better than chance, or it is the accuracy: give the error in %."
                )
                yield name, max(numbers) < 60, chance
                yield name, max(numbers) > 1, "give per cent."


def _bits(numbers: torch.Tensor) -> float:
    whole = numbers.abs().flatten().tolist()
    return estimate(Counts(len(whole), sum(n != 0 for n in whole), sum(whole)))


def rows_and_columns(answer: Any) -> Claims:
    given = named(answer, "flagged", "without", "with", "worth")
    for columns in (30, 60):
        numbers = torch.randint(-2, 3, (20, columns)).float()
        numbers[:, torch.rand(columns) < 0.5] = 0
        numbers[:, :3] = torch.tensor([0.0, 1.0, 0.0])
        kept = [c for c in numbers.T.tolist() if any(c)]
        rest = _bits(torch.tensor(kept))
        found = as_number(ask(given["flagged"], numbers), "flagged")
        none = "these are the bits without flags, or with flags of rows: no row is empty here."
        yield "flagged", not close(found, _bits(numbers), 1e-4), none
        free = "the flags themselves take bits."
        yield "flagged", not close(found, rest, 1e-5), free
        off = f"{found:.0f} is not between {rest:.0f} and {rest + columns:.0f}: one flag a column."
        yield "flagged", rest <= found <= rest + columns + 1, off
    plain, flagged = (as_number(given[name], name) for name in ("without", "with"))
    yield "bits", min(plain, flagged) > 100, "give the bits of the whole first layer."
    fewer = "it is worth it if it takes fewer bits."
    yield "worth", yes_or_no(given["worth"], "worth") == (flagged < plain), fewer
