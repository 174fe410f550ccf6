"""The properties of right answers in notebook 02: receptive fields, memory and a design."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from squeeze_utils.anatomy import by_module, layer_table
from squeeze_utils.anatomy.costs import count
from squeeze_utils.models import build
from squeeze_utils.notebook.exercises.answers import as_number, ask, named, number
from squeeze_utils.notebook.exercises.chapter_02.tables import IMAGE, modules, shapes_only
from squeeze_utils.notebook.exercises.exercise import Claims, Wrong

BUDGET = {"parameters": 250_000, "multiply_adds": 20_000_000}


def how_far(answer: Any) -> Claims:
    given = named(answer, "fire9", "rows_seen")
    fields = modules("squeezenet1_1")["receptive_field"]
    yield from number(
        "fire9",
        given["fire9"],
        fields["fire9"],
        {
            modules("squeezenet1_0")["receptive_field"]["fire9"]: "this is SqueezeNet 1.0.",
            fields["fire8"]: "this is fire8; fire9 adds one more 3 × 3 kernel.",
        },
        otherwise="walk again: 1.1 pools after conv1, fire3 and fire5, and its conv1 is 3 × 3.",
    )
    model = build("squeezenet1_0", pooling="average", width=0.1)
    expected = modules("squeezenet1_0")["receptive_field"]
    for length, name in ((1, "conv1"), (3, "maxpool1"), (4, "fire2"), (6, "fire4")):
        found = as_number(ask(given["rows_seen"], model.features[:length], 96), "rows_seen")
        wanted = int(expected[name])
        pixels = f"for the layers up to {name} it counts pixels, not rows."
        yield "rows_seen", found != wanted**2 and found != 3 * wanted**2, pixels
        whole = "every row gets a gradient: put it into one output pixel only."
        yield "rows_seen", found < 90, whole
        few = (
            f"up to {name} it finds {found:g} rows of {wanted}. Does a ReLU cut gradients off, "
            "do they cancel, or is the pixel at the border?"
        )
        yield "rows_seen", found == wanted, few


def where_is_the_peak(answer: Any) -> Claims:
    given = named(answer, "module", "bytes", "in_one_tensor", "next")
    table = modules("squeezenet1_0")
    held, peak = table["activation_bytes"], count(shapes_only("squeezenet1_0"), IMAGE)
    fires = {name: 2 * held[name] for name in held.index if name.startswith("fire")}
    pools = {"maxpool1": held["conv1"] + held["maxpool1"]}
    name = str(given["module"])
    if name not in table.index:
        raise Wrong(f"the network has no module {name!r}; give its name in the table.")
    largest = "it has the largest single map. Which operation needs two large ones at once?"
    pooling = "close, but some module's two halves and result need more than these two maps."
    said = {"conv1": largest, "maxpool1": pooling}.get(name, "another module needs more.")
    found = fires.get(name, pools.get(name)) == peak["activation_bytes"]
    yield "module", found, said
    yield from number(
        "bytes",
        given["bytes"],
        peak["activation_bytes"],
        {
            held[name]: "this is the result alone; its two halves are alive at the same time.",
            peak["activation_bytes"] / 4: "these are numbers. Each takes four bytes.",
        },
    )
    squeezed = held[name] * build("squeezenet1_0").fires()[4].squeeze.out_channels // 256
    yield from number(
        "in_one_tensor",
        given["in_one_tensor"],
        held[name] + squeezed,
        {
            held[name]: "the expand layers still read the squeezed map.",
            2 * held[name]: "this is what it needs now, with the copy.",
            2 * held[name] + squeezed: "nothing is copied any more: the result is alive once.",
        },
    )
    yield "next", str(given["next"]) in pools, "compare conv1, and maxpool1 with both its maps."


def for_32_pixels(answer: Any) -> Claims:
    if not isinstance(answer, Mapping):
        raise Wrong("Give a dictionary of options for sq.build('squeezenet_small', ...).")
    fixed = {"num_classes", "in_channels"} & set(answer)
    if fixed:
        raise Wrong(f"Leave {fixed.pop()!r} as it is: ten classes, three colours.")
    try:
        table = by_module(layer_table(shapes_only("squeezenet_small", **answer), (3, 32, 32)))
    except (TypeError, ValueError, RuntimeError) as error:
        raise Wrong(f"sq.build does not accept these options: {error}") from None
    for column, most in BUDGET.items():
        found = int(table[column].sum())
        yield column, found <= most, f"{found:,} are more than {most:,}."
    last = table.loc["conv10"]
    side = last["output"][1]
    yield "map", side >= 8, f"conv10 sees {side} × {side} pixels: pool less, or later."
    field = int(last["receptive_field"])
    enough = f"a field of {field} pixels does not cover the image from a corner: 63 are needed."
    yield "field", field >= 63, enough
