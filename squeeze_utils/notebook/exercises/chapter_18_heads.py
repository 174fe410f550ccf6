"""The exercises of notebook 18 about trained parts, balanced heads and leaked images."""

from __future__ import annotations

from typing import Any

import torch

from squeeze_utils.data import Split, load_images
from squeeze_utils.models import build
from squeeze_utils.notebook.exercises import answers
from squeeze_utils.notebook.exercises.answers import array, as_number, ask, items, named, number
from squeeze_utils.notebook.exercises.exercise import Claims, Wrong

FIRES = (2, 4, 6, 8, 9)
EIGHT = 8
OWN = 50  # training images beside the leaked ones
LEAKED = (0, 10, 20, 40)
GROUP = 40  # test images that can be leaked
ROUNDED = 0.25  # of a picture, lost when per cent were rounded


def _per_cent(name: str, values: list[float]) -> Claims:
    yield name, max(values) > 1, "give per cent."
    within = "an accuracy lies from 0 to 100 %."
    yield name, min(values) >= 0 and max(values) <= 100, within


def which_layers(answer: Any) -> Claims:
    given = named(answer, "function", "accuracy")
    small = build("squeezenet_small", num_classes=10, in_channels=1, width=0.25)
    released = build("squeezenet1_1", num_classes=6)
    for model, first in [*((small, first) for first in FIRES), (released, 6)]:
        found = as_number(ask(given["function"], model, first), "trained_parameters")
        sizes = {place: answers.numbers_in(fire) for place, fire in model.fires().items()}
        whole, head = answers.numbers_in(model), answers.numbers_in(model.classifier)
        right = sum(size for place, size in sizes.items() if place >= first) + head
        all_of_them = "these are all parameters. Count those that are trained."
        yield "parameters", found != whole, all_of_them
        frozen = "these are the frozen parameters."
        yield "parameters", found != whole - right, frozen
        yield "parameters", found != right - head, "the head is trained as well."
        alone = f"this is Fire module {first} and the head. Those between are trained as well."
        yield "parameters", first == max(FIRES) or found != sizes[first] + head, alone
        off = f"from Fire module {first} on: {found:,.0f} is not right."
        yield "parameters", found == right, off
    accuracy = named(given["accuracy"], *FIRES, what="accuracy")
    values = [as_number(value, f"accuracy[{first}]") for first, value in accuracy.items()]
    yield from _per_cent("accuracy", values)
    chance = "one of ten classes is right by chance in 10 %. Is the network trained?"
    yield "accuracy", max(values) > 20, chance
    alike = "all five are equal. Do the runs train different parts?"
    yield "accuracy", len(set(values)) > 1, alike
    ends = "noise changes what the first modules see, so training them should help. Are 2 and 9 "
    yield "accuracy", values[0] > values[-1], ends + "exchanged?"


def _whole(per_cent: float, pictures: int) -> bool:
    right = per_cent * pictures / 100
    return abs(right - round(right)) <= ROUNDED


def balanced_head(answer: Any) -> Claims:
    given = named(answer, "function", "measured")
    for counts in ((6, 3, 1), (100, 5, 100, 40)):
        labels = torch.arange(len(counts)).repeat_interleave(torch.tensor(counts))
        labels = labels[torch.randperm(len(labels))]
        found = array(ask(given["function"], labels, len(counts)), (len(counts),), "class_weights")
        each = found.tolist()
        rarest, most = counts.index(min(counts)), counts.index(max(counts))
        turned = "an image of a rare class must have the larger weight."
        yield "weights", each[rarest] > each[most], turned
        together = [weight * count for weight, count in zip(each, counts, strict=True)]
        unequal = f"of {counts} images, the classes weigh {[round(w, 2) for w in together]}."
        yield "weights", max(together) - min(together) < 1e-3 * max(together), unequal
        mean, classes = sum(together) / len(labels), sum(each) / len(each)
        over = "the mean over the images must be 1, not the mean over the classes."
        yield "weights", abs(classes - 1) > 1e-3, over
        scale = f"the mean weight of the {len(labels)} images is {mean:.3g}, not 1."
        yield "weights", abs(mean - 1) < 1e-3, scale
    labels = load_images("digits_thickened", size=16).test.labels
    eights, pictures = int((labels == EIGHT).sum()), len(labels)
    measured, pairs = named(given["measured"], "plain", "balanced"), {}
    for name, pair in measured.items():
        pairs[name] = [as_number(value, name) for value in items(pair, 2, name)]
    yield from _per_cent("accuracy", [value for pair in pairs.values() for value in pair])
    for name, (rare, every) in pairs.items():
        others = every * pictures / 100 - rare * eights / 100  # that are right
        order = (
            f"{name}: {every:g} % of all digits cannot be right if {rare:g} % of the eights are."
        )
        possible = -2 <= others <= pictures - eights + 2  # per cent may be rounded
        yield "accuracy", possible, order + " Is the order eights, all?"
        part = f"{rare:g} % of {eights} test eights is no whole number. Divide by all true eights."
        yield "accuracy", _whole(rare, eights), f"{name}: {part}"
    exchanged = "with equal weights of the classes the eights should gain. Are they exchanged?"
    yield "accuracy", pairs["balanced"][0] >= pairs["plain"][0], exchanged


def _numbered(first: int, count: int) -> Split:
    """Images that show their own number, with random labels."""
    numbers = torch.arange(first, first + count, dtype=torch.uint8)
    return Split(numbers[:, None, None, None].repeat(1, 1, 4, 4), torch.randint(0, 10, (count,)))


def _joined(function: Any, k: int) -> Claims:
    train, test = _numbered(0, 70), _numbered(100, 60)
    found = ask(function, train, test, k)
    if not isinstance(found, Split):
        raise Wrong("leak returns a Split of images and labels.")
    numbers, wanted = found.images[:, 0, 0, 0].tolist(), OWN + k
    instead = f"the leaked images come in addition: {OWN} + {k} images."
    yield "split", k == 0 or len(numbers) != OWN, instead
    length = f"for k = {k} the split has {len(numbers)} images, not {wanted}."
    yield "split", len(numbers) == wanted, length
    tested = {number for number in numbers if number >= 100}
    yield "split", len(set(numbers)) == wanted, "an image occurs twice."
    few = f"{len(tested)} of the images are test images. For k = {k} they must be {k}."
    yield "split", len(tested) == k, few
    yield "split", tested == set(range(100, 100 + k)), f"take the first {k} test images."
    known = dict(zip(range(70), train.labels.tolist(), strict=True))
    known |= dict(zip(range(100, 160), test.labels.tolist(), strict=True))
    wrong = "some images have the label of another image."
    yield "split", [known[n] for n in numbers] == found.labels.tolist(), wrong


def leaked_images(answer: Any) -> Claims:
    given = named(answer, "function", "accuracy", "memory")
    for k in (40, 10, 0):
        yield from _joined(given["function"], k)
    accuracy = named(given["accuracy"], *LEAKED, what="accuracy")
    pairs = {}
    for k in LEAKED:
        pair = items(accuracy[k], 2, f"accuracy[{k}]")
        pairs[k] = [as_number(value, f"accuracy[{k}]") for value in pair]
    yield from _per_cent("accuracy", [value for pair in pairs.values() for value in pair])
    for k, (group, _) in pairs.items():
        part = f"k = {k}: {group:g} % of {GROUP} is no whole number. "
        part += f"First the {GROUP}, then the others."
        yield "accuracy", _whole(group, GROUP), part
    (before, others), (after, others_after) = pairs[0], pairs[max(LEAKED)]
    seen = "with all 40 leaked, the head has seen them and their labels. It should know more."
    yield "accuracy", after > before or after == 100, seen
    rise, also = after - before, others_after - others
    known = {
        rise: "this is the rise of the first 40. The others rise too, without memory.",
        after - others_after: "the groups differ without leaks as well. Compare how they rise.",
        also - rise: "the sign: the first 40 minus the others.",
    }
    off = "it does not follow from your accuracies for k = 0 and k = 40."
    yield from number("memory", given["memory"], rise - also, known, off, absolute=0.25)
