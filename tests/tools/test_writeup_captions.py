"""Captions of the writeup: words that stand alone, and titles that a cell spells out."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools.writeup.captions import caption, in_words, written_title
from tools.writeup.exhibits import Figure, chapters, study_tables

ROOT = Path(__file__).resolve().parents[2]


def test_parts_become_sentences_and_nothing_is_said_twice_in_a_row() -> None:
    assert caption("Pruning", "Pruning", "How many?", "a  b\nc") == "Pruning. How many? A b c."
    assert caption("Search", "Long training", "long", "") == "Search. Long training."
    assert (
        caption("Squeeze ratio", "Runs", "squeeze ratio") == "Squeeze ratio. Runs. Squeeze ratio."
    )


def test_names_of_files_are_spelled_as_words() -> None:
    assert in_words("dsd phases of imagenet") == "DSD phases of ImageNet"
    assert in_words("network map 1 1") == "network map 1.1"


@pytest.mark.parametrize(
    ("source", "title"),
    [
        ('ax.set_title("one")', "one"),
        ('ax.set(xlabel="x", title="one")', "one"),
        ('a.set_title("one"); b.set_title("two")', ""),
        ('a.set_title("one"); fig.suptitle("above")', "above"),
        ('ax.legend(title="kinds")', ""),
        ('ax.set_title(f"{n} layers")', ""),
        ("ax.set_title(title)", ""),
        ("%matplotlib inline", ""),
    ],
)
def test_only_the_one_title_that_is_spelled_out_is_taken(source: str, title: str) -> None:
    assert written_title(source) == title


def test_captions_of_the_series_tell_figures_apart() -> None:
    found = [one for chapter in chapters(ROOT) for one in chapter.exhibits]
    told = [one.caption for one in found if isinstance(one, Figure)]
    assert len(set(told)) == len(told) > 100
    assert len({one.caption for one in found if "At work" in one.caption}) > 5
    assert all(caption.endswith((".", "?")) for caption in told)


def test_a_table_of_a_study_names_the_study() -> None:
    told = [table.caption for table in study_tables(ROOT)]
    assert len(set(told)) == len(told)
    assert "How should a map be halved? Study pooling." in told
