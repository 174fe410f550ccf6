"""Who pays for a small network: answers picture by picture, before and after compression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from squeeze_utils.base.measurements import Measurement, read_measurement
from squeeze_utils.results.figures import curve_style, kept_picture
from squeeze_utils.results.same_pictures import averaged
from squeeze_utils.results.statistics import Difference, family

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from squeeze_utils.results.study_results import Results

COLUMNS = ["seed", "picture", "class", "before", "after", "share_before", "share_after"]
FACTS = ["brightness", "contrast"]
CHANGED = "images/intel_changed"  # the kept pictures whose answer a small file changed


def answers(found: Results) -> pd.DataFrame:
    """One row for each test picture of each record whose recipe notes answers twice.

    Columns: seed, picture, class, the answers and their probabilities before and after, brightness
    and contrast. Empty where there is no record.
    """
    rows = []
    for named, record in found.recorded():
        noted = [step for step in record.steps if "answers" in step]
        if len(noted) >= 2 and "pictures" in noted[0]:
            first, last = noted[0]["answers"], noted[-1]["answers"]
            facts = noted[0]["pictures"]
            columns = {
                "class": facts["class"],
                "before": first["class"],
                "after": last["class"],
                "share_before": first["share"],
                "share_after": last["share"],
                **{name: facts[name] for name in FACTS},
            }
            frame = pd.DataFrame(columns).rename_axis("picture").reset_index()
            rows.append(frame.assign(**named))
    return pd.concat(rows) if rows else pd.DataFrame(columns=[*COLUMNS, *FACTS])


def lost_by(frame: pd.DataFrame, by: str, classes: Sequence[str] = ()) -> dict[Any, Difference]:
    """Points of accuracy that compression changed, for each class or each quarter of a quantity.

    `by` is "class", "brightness" or "contrast". The same pictures are compared, each as a mean
    over the seeds (see `averaged`); the intervals hold all at once.
    """
    if frame.empty:
        return {}
    after, before = (_right(frame, when) for when in ("after", "before"))
    facts = frame.drop_duplicates("picture").set_index("picture").loc[after.columns]
    groups = _groups(facts, by, classes)
    parts = {name: (groups == name).to_numpy() for name in sorted(set(groups))}
    gaps = {
        name: averaged(after.to_numpy()[:, part], before.to_numpy()[:, part])
        for name, part in parts.items()
    }
    return family(gaps)


def _right(frame: pd.DataFrame, when: str) -> pd.DataFrame:
    """Whether each answer is right: a row for each seed, a column for each picture."""
    if frame.duplicated(["seed", "picture"]).any():
        raise ValueError("several answers for one seed and picture: choose one file and set first")
    table = frame.assign(right=frame[when] == frame["class"])
    table = table.pivot(index="seed", columns="picture", values="right")
    if table.isna().any(axis=None):
        raise ValueError("every seed needs answers for the same pictures")
    return table.astype(bool)


def _groups(facts: pd.DataFrame, by: str, classes: Sequence[str]) -> pd.Series:
    """The group of each picture: its class, or its quarter of brightness or contrast."""
    if by == "class":
        return facts["class"].map(lambda c: classes[c] if len(classes) else str(c))
    ranks = facts[by].rank(method="first", pct=True)
    return np.ceil(4 * ranks).clip(1, 4).astype(int).map("quarter {}".format)


def lost_table(gaps: Mapping[Any, Difference], by: str) -> pd.DataFrame:
    """A row for each group: pictures, the change in points with its interval, and the verdict."""
    rows = [
        {
            by: name,
            "pictures": gap.n,
            "change (points)": f"{gap.estimate:+.2f}",
            "interval": f"{gap.low:+.2f} to {gap.high:+.2f}",
            "verdict": gap.verdict(),
        }
        for name, gap in gaps.items()
    ]
    columns = [by, "pictures", "change (points)", "interval", "verdict"]
    return pd.DataFrame(rows, columns=columns).set_index(by)


def worst(frame: pd.DataFrame, by: str = "class", classes: Sequence[str] = ()) -> str:
    """The group that lost most, in a sentence; and in how many seeds it is the worst."""
    what = by if by == "class" else f"quarter of {by}"
    gaps = lost_by(frame, by, classes)
    if not gaps:
        return f"Which {what} loses most is open: there is no reference record yet."
    name = _worst(gaps)
    gap, alone = gaps[name], _worst_of_each_seed(frame, by, classes)
    seeds = f" It is the worst in {alone.count(name)} of {len(alone)} seeds."
    return (
        f"The worst {what} is **{name}**: {gap.estimate:+.2f} points "
        f"({gap.low:+.2f} to {gap.high:+.2f}, all groups at once), {gap.verdict()}."
        f"{seeds if len(alone) > 1 else ''}"
    )


def _worst(gaps: Mapping[Any, Difference]) -> Any:
    return min(gaps, key=lambda name: gaps[name].estimate)


def _worst_of_each_seed(frame: pd.DataFrame, by: str, classes: Sequence[str]) -> list[Any]:
    parts = (part for _, part in frame.groupby("seed"))
    return [_worst(lost_by(part, by, classes)) for part in parts]


def prediction(gaps: Mapping[Any, Difference]) -> str:
    """Whether the interval of at least one group excludes zero, as chapter 18 predicts.

    The prediction is about the intervals themselves: where none excludes zero, it fails.
    """
    if not gaps:
        return "The prediction is still open: there is no reference record yet."
    decided = [
        f"{name} ({gap.verdict()})" for name, gap in gaps.items() if gap.low > 0 or gap.high < 0
    ]
    said = "fails: no interval excludes zero"
    if decided:
        said = f"holds: the interval excludes zero for {', '.join(decided)}"
    return f"One half of the prediction {said}. The other half, that losses differ, is not tested."


def on_worst_class(plain: pd.DataFrame, other: pd.DataFrame, classes: Sequence[str] = ()) -> str:
    """How right `other` is on the class that loses most with `plain`, against `plain`: a sentence.

    Both have the columns of `answers`, for two files of the same networks.
    """
    both = plain.merge(other[["seed", "picture", "after"]], on=["seed", "picture"])
    if both.empty:
        return "The comparison for the worst class is open: there is no reference record yet."
    both = both.assign(before=both["after_x"], after=both["after_y"])
    name = _worst(lost_by(plain, "class", classes))
    gap = lost_by(both, "class", classes)[name]
    n = both["seed"].nunique()
    seeds = f"mean of {n} seeds" if n > 1 else "one seed"
    return (
        f"On **{name}**, the class that loses most, the accuracy changes by "
        f"{gap.estimate:+.2f} points ({gap.low:+.2f} to {gap.high:+.2f}; the same pictures, "
        f"{seeds}, all classes at once): {gap.verdict()}. The class was chosen by these same "
        "answers, which favours the other file."
    )


def lost_figure(gaps: Mapping[str, Mapping[Any, Difference]]) -> Figure | None:
    """A panel for each grouping: the change of each group with its interval. None without any."""
    import matplotlib.pyplot as plt

    shown = {title: part for title, part in gaps.items() if part}
    if not shown:
        return None
    rows = max(len(part) for part in shown.values())
    size = (1 + 3.4 * len(shown), 1.2 + 0.34 * rows)
    fig, axes = plt.subplots(1, len(shown), figsize=size, sharex=True, squeeze=False)
    look = curve_style(0)["color"]
    for ax, (title, part) in zip(axes[0], shown.items(), strict=True):
        ax.axvline(0, color="0.4", linewidth=1, linestyle=":")
        for row, gap in enumerate(part.values()):
            ax.plot([gap.estimate], [row], "s", color=look)
            ax.hlines(row, gap.low, gap.high, color=look)
        ax.set_yticks(range(len(part)), labels=[str(name) for name in part])
        ax.set_ylim(len(part) - 0.5, -0.5)
        ax.set(title=f"by {title}", xlabel="change of accuracy (points)")
    return fig


def changed(frame: pd.DataFrame, count: int = 10) -> pd.DataFrame:
    """The pictures whose answer changed, those first whose old answer was surest."""
    moved = frame[frame["before"] != frame["after"]]
    return moved.sort_values("share_before", ascending=False).head(count)


def kept_pictures() -> Measurement | None:
    """Scenes whose answer a small file changed; None where nobody has kept them."""
    return read_measurement(CHANGED)


def changed_figure(kept: Measurement | None) -> Figure | None:
    """Pictures whose answer changed; below them the maps of their true class, before and after.

    Both maps of a picture have one scale. None where no pictures are kept.
    """
    import matplotlib.pyplot as plt

    if kept is None or not kept.rows:
        return None
    names = [name.replace("_", " ") for name in kept.about["classes"]]
    size = (1.05 * len(kept.rows), 3.7)
    fig, axes = plt.subplots(3, len(kept.rows), figsize=size, squeeze=False)
    for column, row in enumerate(kept.rows):
        low, high = np.min(row["maps"]), np.max(row["maps"])
        true, before, after = (names[row[key]] for key in ("class", "before", "after"))
        axes[0, column].imshow(kept_picture(row["image"]))
        axes[0, column].set_title(f"{true}:\n{before}\n→ {after}", fontsize=7.5)
        for place, heat in enumerate(row["maps"], start=1):
            axes[place, column].imshow(heat, cmap="cividis", vmin=low, vmax=high)
    for ax in axes.flat:
        ax.set(xticks=[], yticks=[])
        ax.grid(False)
    for ax, words in zip(axes[:, 0], ("picture", "dense", "small file"), strict=True):
        ax.set_ylabel(words)
    return fig
