"""Data cards: where an image set comes from, what one may do with it, and what is wrong with it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from squeeze_utils.base.checks import choose
from squeeze_utils.base.measurements import Measurement, read_measurement

EQUAL = 1.0  # a correlation as it is kept, with four digits


@dataclass(frozen=True)
class Card:
    """What is written about a set by hand; counts and copies are measured: see `measured`."""

    name: str
    shows: str
    source: str
    terms: str
    classes: str
    faults: tuple[str, ...]

    @property
    def measured(self) -> Measurement | None:
        """Counts, and pairs of nearly equal images of two splits; None where never measured."""
        return read_measurement(f"images/{self.name}")

    def rows(self) -> dict[str, str]:
        """The card as a table: what is written and what is counted."""
        found = {
            "shows": self.shows,
            "source": self.source,
            "terms": self.terms,
            "classes": self.classes,
            **_counted(self.measured),
        }
        return found | {"known faults": "; ".join(self.faults)}


def _counted(kept: Measurement | None) -> dict[str, str]:
    if kept is None:
        return {"images": "not measured", "copies": "not measured"}
    about: dict[str, Any] = kept.about
    train, validation, test = about["counts"]
    low, high = about["per_class"]
    pairs = len(kept.rows)
    mirrored = sum(row["mirrored"] for row in kept.rows)
    other = sum(row["labels"][0] != row["labels"][1] for row in kept.rows)
    same = sum(row["bits"] == 0 and row["correlation"] >= EQUAL for row in kept.rows)
    return {
        "images": f"{train:,} train, {validation:,} validation, {test:,} test; "
        f"{low:,} to {high:,} per class",
        "copies": f"{pairs:,} pairs of a test image and a copy in another split, {mirrored:,} of "
        f"them mirrored, {other:,} with different labels; "
        f"test images affected: {len(affected(kept)):,}; pairs that agree in all bits of the hash "
        f"and correlate by 1.0000: {same:,} (equal pixels were not looked for)",
    }


def affected(kept: Measurement) -> set[int]:
    """The places of the test images that have a copy in another split."""
    return {row["test"] for row in kept.rows}


CARDS = {
    card.name: card
    for card in (
        Card(
            "intel",
            "photographs of landscapes and towns, 150 x 150 pixels as published, 96 x 96 in the "
            "copies used here",
            "published by Intel for a contest of Analytics Vidhya (2018), then on Kaggle by P. "
            "Bansal; the part used here has 8,741 + 2,158 of 14,034 + 3,000 images",
            "no licence is stated; this repository keeps small versions, for study: eight pairs of "
            "copies, and ten scenes whose answer a small file changed",
            "6: buildings, forest, glacier, mountain, sea, street",
            (
                "glacier and mountain are often the same scene, and so are buildings and street",
                "some labels are wrong; nobody has counted them",
                "nobody knows where the photographs come from, or who is shown in them",
            ),
        ),
        Card(
            "caltech101",
            "photographs and drawings of single objects, mostly in the middle",
            "L. Fei-Fei, R. Fergus, P. Perona (2004), collected by hand with an image search",
            "CC BY 4.0 at Caltech's data archive; the pictures themselves are others' work",
            "101 objects, and a class of other pictures (background_google)",
            (
                "classes of very different size",
                "objects are centred and some classes are turned artificially, so that the borders "
                "give the class away",
                "two classes (Faces, Faces_easy) show the same people",
            ),
        ),
        Card(
            "caltech256",
            "photographs and drawings of objects; no network of this series has seen them",
            "G. Griffin, A. Holub, P. Perona (2007), collected with image searches and sorted by "
            "hand: 30,607 images, at least 80 per class, by their own count",
            "open at Caltech's data archive (data.caltech.edu/records/nyy15-4j048), see there; the "
            "pictures themselves are others' work",
            "256 objects, and a class of other pictures (257.clutter)",
            (
                "no split of its own: test images are cut from the folder",
                "classes of different size",
                "copies and wrong labels: not measured",
            ),
        ),
    )
}


def card(name: str) -> Card:
    """The card of the image set `name`.

    >>> card("intel").classes
    '6: buildings, forest, glacier, mountain, sea, street'
    """
    choose("card", name, CARDS)
    return CARDS[name]
