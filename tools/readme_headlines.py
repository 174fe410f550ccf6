"""The first numbers in README.md: the best network and the smallest files, a row each."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

from tools.readme_results import chosen, markdown_table, released, roundings
from tools.site.chapters import notebook_paths

#: Image set, its name here, and budgets in bytes: the network that is best on validation images.
BUDGETS = {"CIFAR-10": ("cifar10", (5_000_000, 66_000)), "MNIST": ("mnist", (6_500,))}
HEADER = ["images", "network", "bytes", "test accuracy (%)", "mean of", "epochs", "chapter"]


def headlines(root: Path) -> str:
    """The headline numbers as Markdown, from what is kept below `root`; nothing without records."""
    rows = [*_chosen(root), *_smallest_released(root)]
    if not rows:
        return ""
    files = {path.name[:2]: path.name for path in notebook_paths(root)}
    for row in rows:
        if row[-1] in files:
            row[-1] = f"[{row[-1]}](notebooks/{files[row[-1]]})"
    note = (
        "From committed records. Roundings of one network show how its files differ, and say "
        "nothing about another training. Bytes are those of a file, or of the float32 parameters "
        "where none was written. [More results](#results-so-far)."
    )
    return f"{markdown_table(HEADER, rows)}\n\n{note}"


def _chosen(root: Path) -> Iterator[list[str]]:
    from squeeze_utils.results.whole_series import epochs_in_all, repetitions

    known = set()
    for images, row in chosen(root, BUDGETS):
        one = images, row["bytes"]
        if one not in known:  # a network that is best for two budgets stands once
            known.add(one)
            size, accuracy = f"{row['bytes']:,.0f}", f"{row['test']:.2f}"
            how = [repetitions(row), epochs_in_all(row)]
            yield [images, row["network"], size, accuracy, *how, row["chapter"]]


def _smallest_released(root: Path) -> Iterator[list[str]]:
    for images, network, row in itertools.islice(released(root), 1):
        lost = f"{row['change']:+.1f} ± {row['interval']:.1f} points"
        accuracy = f"{row['top-1']:.1f} (change, 95 % interval: {lost})"
        how = [roundings(row), "not ours"]
        yield [images, network, f"{row['bytes']:,}", accuracy, *how, "14"]
