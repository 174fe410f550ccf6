"""Copies of test images in the training images: what they are worth, and what they look like."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from squeeze_utils.base.measurements import Measurement
from squeeze_utils.data.cards import affected, card
from squeeze_utils.experiments.records import Record
from squeeze_utils.results.comparison import prediction_sentence
from squeeze_utils.results.figures import kept_picture
from squeeze_utils.results.statistics import family, mcnemar, mean_sd, with_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from squeeze_utils.results.study_results import Results

GROUPS = ALL, AFFECTED, OTHERS = "all", "with a copy in another split", "others"  # of test images
COLUMNS = ["pictures", "with copies (%)", "without (%)", "change (points)", "verdict"]


def copies_table(found: Results) -> pd.DataFrame:
    """For each image set a row for all test images, those with a copy, and the others.

    Accuracy with copies among the training images and without, and the change on the same
    pictures (McNemar). The intervals of all rows hold at once.
    """
    cases: dict[tuple[str, str], tuple[np.ndarray, np.ndarray]] = {}
    for name in dict.fromkeys(dict(arm.labels)["images"] for arm in found.study.arms):
        part = found.where(images=name)
        by_label = {named["training"]: record for named, record in part.recorded()}
        kept, left = by_label.get("with copies"), by_label.get("without copies")
        if kept is None or left is None:
            continue
        for group, chosen in _groups(name, kept).items():
            if chosen.any():
                cases[name, group] = (_right(left)[chosen], _right(kept)[chosen])
    gaps = family({key: mcnemar(*case) for key, case in cases.items()}) if cases else {}
    rows: dict[tuple[str, str], dict[str, Any]] = {}
    for key, gap in gaps.items():
        without, with_them = (f"{100 * right.mean():.2f}" for right in cases[key])
        change = with_interval(gap.estimate, gap.low, gap.high)
        values = (gap.n, with_them, without, change, gap.verdict())
        rows[key] = dict(zip(COLUMNS, values, strict=True))
    index = pd.MultiIndex.from_tuples(list(rows), names=["images", "test images"])
    return pd.DataFrame(list(rows.values()), index=index, columns=COLUMNS)


def prediction(found: Results, predicted: Mapping[str, str]) -> str:
    """Whether each image set got its predicted verdict, judged by all its test images."""
    table = copies_table(found)
    table = table[table.index.get_level_values("test images") == ALL].droplevel("test images")
    return prediction_sentence(table, predicted)


def worth(found: Results, name: str) -> str:
    """What the copies of a set are worth on the test images with a copy, and on all: a sentence."""
    table = copies_table(found)
    if (name, ALL) not in table.index:
        return f"What the copies of {name} are worth is open: not trained yet."
    parts = [
        f"{row['change (points)']} on {row['pictures']:,} test images ({group}): {row['verdict']}"
        for group, row in table.loc[name].iterrows()
        if group != OTHERS
    ]
    return f"Without the copies in training, points on {name}: {'; '.join(parts)}."


def on_other_images(found: Results, name: str) -> str:
    """Accuracy on all test images of a set, and on those without a copy; means over seeds.

    `found` has the records of one kind of network, with the answers to every test image.
    """
    values: dict[str, list[float]] = {ALL: [], OTHERS: []}
    for _, record in found.where(images=name).recorded():
        groups = _groups(name, record)
        for group, known in values.items():
            known.append(100 * _right(record)[groups[group]].mean())
    if not values[ALL]:
        return f"**{name}**: not trained yet."
    every, clean = (mean_sd(known, 2) for known in values.values())
    return (
        f"**{name}**: {every} % on all test images, {clean} % on those without a copy "
        f"(n = {len(values[ALL])})."
    )


def _groups(name: str, record: Record) -> dict[str, np.ndarray]:
    """Which test images belong to each group, by the card of the image set."""
    measured = card(name).measured
    if measured is None or measured.about["fingerprint"] != record.data["fingerprint"]:
        raise ValueError(f"the copies of {name} were not measured on the images of this record")
    hit = np.zeros(len(_right(record)), dtype=bool)
    hit[sorted(affected(measured))] = True
    return {ALL: np.ones_like(hit), AFFECTED: hit, OTHERS: ~hit}


def _right(record: Record) -> np.ndarray:
    """Whether the last noted answer to each test image is right."""
    noted = [step for step in record.steps if "answers" in step]
    true = next(step["pictures"] for step in noted if "pictures" in step)
    return np.array(noted[-1]["answers"]["class"]) == np.array(true["class"])


def copies_figure(*kept: Measurement | None) -> Figure | None:
    """Pairs of nearly equal images, two rows for each set: from training, and below from test.

    At most four pairs of each set, the titles are their labels. None where no pictures are kept.
    """
    import matplotlib.pyplot as plt

    sets = []
    for each in filter(None, kept):
        pairs = [row for row in each.rows if "pictures" in row][:4]
        sets += [(pairs, each.about["classes"])] if pairs else []
    if not sets:
        return None
    columns = max(len(pairs) for pairs, _ in sets)
    size = (1.1 * columns, 2.45 * len(sets) + 0.3)
    fig, axes = plt.subplots(2 * len(sets), columns, figsize=size, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for above, (pairs, names) in enumerate(sets):
        for column, row in enumerate(pairs):
            for place, data in enumerate(row["pictures"]):
                ax = axes[2 * above + place, column]
                ax.imshow(kept_picture(data))
                ax.set_title(names[row["labels"][place]].replace("_", " "), fontsize=7)
    fig.suptitle("Of each pair, above: the training image; below: the test image", fontsize=9)
    return fig
