"""The properties of right answers in notebook 02: parameters, and the paper's table."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from torch import nn

from squeeze_utils.anatomy.costs import count
from squeeze_utils.notebook.exercises.answers import as_number, ask, items, named, number
from squeeze_utils.notebook.exercises.chapter_02.tables import IMAGE, modules, shapes_only, size
from squeeze_utils.notebook.exercises.exercise import Claims, Wrong

PRINTED = {  # Table 1 of the paper: per cent kept, parameters after pruning
    "fire2": ((100, 100, 33), 5_746),
    "fire3": ((100, 100, 33), 6_258),
    "fire4": ((100, 100, 33), 20_646),
    "fire5": ((100, 100, 33), 24_742),
    "fire6": ((100, 50, 33), 44_700),
    "fire7": ((50, 100, 33), 46_236),
    "fire8": ((100, 50, 33), 77_581),
    "fire9": ((50, 100, 30), 77_581),
}


def ten_classes(answer: Any) -> Claims:
    given = named(answer, "squeezenet1_0", "squeezenet1_1", "share_1_0", "share_1_1")
    for name in ("squeezenet1_0", "squeezenet1_1"):
        whole, ten = size(name), size(name, num_classes=10)
        mistakes = {
            whole - 990 * 512: "the weights of 990 filters are gone, but not their biases.",
            whole - 10 * 513: "ten filters stay; all others go.",
            whole - 1000 * 513: "ten filters stay.",
            whole: "this is the network for a thousand classes.",
        }
        yield from number(name, given[name], ten, mistakes)
    for name, key in (("squeezenet1_0", "share_1_0"), ("squeezenet1_1", "share_1_1")):
        whole, ten = size(name), size(name, num_classes=10)
        mistakes = {
            ten / whole: "this is the share that stays.",
            100 * (1 - ten / whole): "give a share between 0 and 1.",
            whole / ten - 1: "divide by the larger network, from which the filters are taken.",
        }
        yield from number(key, given[key], 1 - ten / whole, mistakes, relative=0.02)


def half_the_bytes(answer: Any) -> Claims:
    given = named(answer, "parameters", "multiply_adds")
    for column in ("parameters", "multiply_adds"):
        costs = modules("squeezenet1_0")[column]
        chosen = {str(name) for name in items(given[column], what=column)}
        unknown = sorted(chosen - set(costs.index))
        if unknown:
            raise Wrong(f"{column}: the network has no module {unknown[0]!r}.")
        share = costs[list(chosen)].sum() / costs.sum()
        yield column, share >= 0.5, f"these modules have {share:.1%}, less than half."
        one_less = costs.nlargest(len(chosen) - 1).sum() / costs.sum()
        yield column, one_less < 0.5, "fewer modules are enough."
    yield "both", set(given["parameters"]) != set(given["multiply_adds"]), "the lists are equal."


def lenet_with_fire(answer: Any) -> Claims:
    given = named(answer, "dense_share", "lenet5_convs", "lenet5_fire_convs", "without_dense")
    held = {name: modules(name, (1, 28, 28))["parameters"] for name in ("lenet5", "lenet5_fire")}
    dense = held["lenet5_fire"].nlargest(1).iloc[0]
    ends = {name: n[n.index.str.startswith("fc")].sum() for name, n in held.items()}
    all_dense = ends["lenet5_fire"] / held["lenet5_fire"].sum()
    yield from number(
        "dense_share",
        given["dense_share"],
        dense / held["lenet5_fire"].sum(),
        {all_dense: "these are both dense layers. Give the share of the first."},
        relative=5e-4,
    )
    for name, n in held.items():
        key, biases = f"{name}_convs", modules(name, (1, 28, 28))["biases"]
        convs = n.sum() - ends[name]
        bare = convs - biases[~biases.index.str.startswith("fc")].sum()
        mistakes = {n.sum(): "this is the whole network.", bare: "the biases count as well."}
        yield from number(key, given[key], convs, mistakes)
    fire = shapes_only("lenet5_fire")
    channels = [m for m in fire.modules() if isinstance(m, nn.Conv2d)][-1].out_channels * 2
    head = sum(p.numel() for p in nn.Conv2d(channels, 10, 1).parameters())
    convs = held["lenet5_fire"].sum() - ends["lenet5_fire"]
    dense_ten = sum(p.numel() for p in nn.Linear(16 * channels, 10).parameters())
    yield from number(
        "without_dense",
        given["without_dense"],
        convs + head,
        {
            convs: "the 1 × 1 convolution to ten classes has parameters too.",
            convs + head - 10: "the 1 × 1 convolution has ten biases.",
            convs + dense_ten: "average over the map instead of reading each of its pixels.",
        },
    )


def another_million(answer: Any) -> Claims:
    pairs = items(answer, 3)
    own, work = size("squeezenet1_0"), []
    for place, pair in enumerate(pairs, 1):
        rho, p = (as_number(part, f"pair {place}") for part in items(pair, 2, f"pair {place}"))
        what = f"pair {place}: ({rho:g}, {p:g})"
        yield "within 0 and 1", 0 < rho <= 1 and 0 < p < 1, f"{what} is not between 0 and 1."
        paper = abs(rho - 0.125) < 0.005 and abs(p - 0.5) < 0.02
        yield "not the paper's", not paper, f"{what} is the paper's own."
        found = count(shapes_only("squeezenet1_0", squeeze_ratio=rho, pct3x3=p), IMAGE)
        off = found["parameters"] / own - 1
        swapped = off > 0.01 and abs(size("squeezenet1_0", squeeze_ratio=p, pct3x3=rho) / own - 1)
        said = f"{what} has {abs(off):.1%} {'more' if off > 0 else 'fewer'} parameters."
        if swapped and swapped < 0.01:
            said = f"{what}: the squeeze ratio comes first, then the share of 3 × 3 filters."
        yield "same size", abs(off) <= 0.01, said
        work.append((p, found["multiply_adds"]))
    shares = sorted(p for p, _ in work)
    apart = min(b - a for a, b in pairwise(shares)) >= 0.05
    yield "three different", apart, "two pairs are nearly the same: choose other shares p."
    ordered = work[0][1] == min(m for _, m in work)
    yield "fewest first", ordered, "put the pair with the fewest multiply-adds first."


def published(answer: Any) -> Claims:
    given = named(answer, "kept_parameters", "wrong_row", "right_shares", "bypass_mb")

    def kept(fire: str, shares: tuple[int, int, int]) -> float:
        return as_number(ask(given["kept_parameters"], fire, shares), "kept_parameters")

    table = modules("squeezenet1_0")
    whole = table["parameters"]["fire5"]
    yield "all kept", kept("fire5", (100, 100, 100)) == whole, f"fire5 has {whole:,} parameters."
    biases = table["biases"]["fire5"]
    cut = "pruning takes weights away and keeps all biases."
    yield "none kept", kept("fire5", (0, 0, 0)) == biases, cut
    shares, printed = PRINTED["fire9"]
    swapped = kept("fire9", (shares[1], shares[0], shares[2])) == printed
    order = "the shares come in the order squeeze, expand 1 × 1, expand 3 × 3."
    yield "order", not swapped or kept("fire9", shares) == printed, order
    found = kept("fire9", shares)
    near = "round up." if abs(found - printed) <= 1 else "compare the weights of each layer."
    yield "fire9", found == printed, f"it has {found:,.0f}, the table prints {printed:,}: {near}"
    row = str(given["wrong_row"])
    if row not in PRINTED:
        raise Wrong(f"The table has no row {row!r}.")
    agrees = kept(row, PRINTED[row][0]) == PRINTED[row][1]
    yield "wrong_row", not agrees, f"your own function agrees with the row {row}."
    repaired = tuple(as_number(share) for share in items(given["right_shares"], 3, "right_shares"))
    changed = sum(a != b for a, b in zip(repaired, PRINTED[row][0], strict=True))
    yield "right_shares", changed == 1, f"{changed} of the three shares differ; change one."
    mended = kept(row, repaired) == PRINTED[row][1]
    yield "right_shares", mended, "these shares do not give the printed number."
    yield from _bypass(as_number(given["bypass_mb"], "bypass_mb"))


def _bypass(found: float) -> Claims:
    plain, bypass = (size("squeezenet1_0", bypass=kind) for kind in ("none", "complex"))
    mistakes = {
        4 * plain / 1e6: "this is the network without bypass.",
        4 * bypass / 2**20: "these are MiB. Give MB, 10⁶ bytes.",
        7.7: "this is the printed number. Give the one that you count.",
    }
    yield from number("bypass_mb", found, 4 * bypass / 1e6, mistakes, relative=2e-3)
