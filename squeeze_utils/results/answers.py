"""Who pays for a small network: answers picture by picture, before and after compression."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from squeeze_utils.base.measurements import Measurement, read_measurement
from squeeze_utils.results.figures import curve_style, kept_picture
from squeeze_utils.results.statistics import Difference, family, mcnemar

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


def _right(frame: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    return tuple((frame[when] == frame["class"]).to_numpy() for when in ("after", "before"))


def lost_by(frame: pd.DataFrame, by: str, classes: Sequence[str] = ()) -> dict[Any, Difference]:
    """Points of accuracy that compression changed, for each class or each quarter of a quantity.

    `by` is "class", "brightness" or "contrast". The same pictures are compared (McNemar), in the
    seed that comes first; the intervals hold all at once.
    """
    if frame.empty:
        return {}
    one = frame[frame["seed"] == frame["seed"].min()]
    if by == "class":
        groups = one["class"].map(lambda c: classes[c] if len(classes) else str(c))
    else:
        ranks = one[by].rank(method="first", pct=True)
        groups = np.ceil(4 * ranks).clip(1, 4).astype(int).map("quarter {}".format)
    parts = {name: one[groups == name] for name in sorted(set(groups))}
    return family({name: mcnemar(*_right(part)) for name, part in parts.items()})


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


def worst(gaps: Mapping[Any, Difference], what: str = "class") -> str:
    """The group that lost most, in a sentence."""
    if not gaps:
        return f"Which {what} loses most is open: there is no reference record yet."
    name = min(gaps, key=lambda key: gaps[key].estimate)
    gap = gaps[name]
    return (
        f"The worst {what} is **{name}**: {gap.estimate:+.2f} points "
        f"({gap.low:+.2f} to {gap.high:+.2f}, all groups at once), {gap.verdict()}."
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
