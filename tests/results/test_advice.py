"""What one would do with a number of bytes: the sentence follows the networks that there are."""

from __future__ import annotations

import pandas as pd
import pytest

from squeeze_utils.results import whole_series
from squeeze_utils.results.advice import recommend

ROWS = [
    ("12", "quantization", "two bits", 3, 47_000.0, 66.9, 66.1, 8),
    ("13", "coding", "ours", 3, 97_000.0, 89.2, 88.6, 8),
    ("13", "coding", "larger", 3, 150_000.0, 90.2, 89.6, 8),
]
PUBLISHED = [("A 2019, LeNet-5", 3_030, 99.31), ("A 2019", 1_520, 99.04), ("B 2020", 8_000, 99.5)]


@pytest.fixture
def frame() -> pd.DataFrame:
    rows = [(*row, row[3], 0) for row in ROWS]  # as many networks as seeds, no checkpoint
    return pd.DataFrame(rows, columns=whole_series.COLUMNS)


def test_the_choice_is_named_with_its_file_and_seeds(frame: pd.DataFrame) -> None:
    assert recommend(frame, 100_000, "CIFAR-10", PUBLISHED) == (
        "**100 kB, CIFAR-10.** I would take *ours* of chapter 13: 97,000 bytes, 88.6 % of the test "
        "images (3 seeds)."
    )


def test_twice_the_bytes_are_asked_for_where_they_gain_much(frame: pd.DataFrame) -> None:
    text = recommend(frame, 50_000, "CIFAR-10")
    assert "66.1 % of the test images (3 seeds). First I would ask" in text
    assert text.endswith("they give 22.5 points more.")
    assert recommend(frame, 5_000_000, "CIFAR-10").startswith(
        "**5 MB, CIFAR-10.** I would take *larger*"
    )


def test_where_nothing_fits_it_is_the_best_published_file_of_about_that_size(
    frame: pd.DataFrame,
) -> None:
    text = recommend(frame, 3_000, "MNIST", PUBLISHED)
    assert "I would do as A 2019, LeNet-5: 3,030 bytes and 99.3 %, as published" in text
    assert text.endswith(
        "Nothing of ours fits: our smallest file has 47,000 bytes and reaches 66.1 %."
    )
    smaller = frame.assign(network="tiny", bytes=2_900.0).head(1)
    both = pd.concat([frame, smaller], ignore_index=True)
    assert "I would take *tiny*" in recommend(both, 3_000, "MNIST", PUBLISHED)


def test_where_nobody_has_such_a_file_more_bytes_are_asked_for(frame: pd.DataFrame) -> None:
    assert "I would ask for more bytes: nothing fits." in recommend(
        frame, 1_000, "MNIST", PUBLISHED
    )
    empty = recommend(frame.head(0), 3_000, "MNIST", PUBLISHED)
    assert empty.endswith("Nothing of ours fits: we have no files of these images.")


def test_a_network_of_one_seed_is_not_recommended(frame: pd.DataFrame) -> None:
    lucky = ("21", "headline", "lucky", 1, 46_000.0, 99.0, 99.0, 200, 1, 0)
    both = pd.concat([pd.DataFrame([lucky], columns=frame.columns), frame], ignore_index=True)
    for budget in (46_500, 50_000, 5_000_000):
        assert recommend(both, budget, "CIFAR-10") == recommend(frame, budget, "CIFAR-10")
    pair = both.assign(n=both["n"].replace(1, 2))
    assert "lucky" not in recommend(pair, 50_000, "CIFAR-10")
    roundings = both.assign(n=3)  # of one network
    assert "take *lucky* of chapter 21" in recommend(roundings, 50_000, "CIFAR-10")


def test_a_budget_below_one_byte_is_refused(frame: pd.DataFrame) -> None:
    with pytest.raises(ValueError, match="budget is 0: give a number of bytes"):
        recommend(frame, 0, "MNIST")
