"""From records to what a reader sees: where numbers come from, mean ± sd tables, epochs as rows.

Works on the records of any study, live or committed, whole or still growing.
"""

from __future__ import annotations

import statistics
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

from squeeze_utils.experiments.records import Record
from squeeze_utils.experiments.study import Study

__all__ = [
    "NO_RECORDS",
    "confusion",
    "epochs",
    "mean_sd",
    "mean_sd_table",
    "paired",
    "source_line",
    "spread",
]

NO_RECORDS = "no reference records yet"
_LABEL = {"cifar10": "CIFAR-10", "mnist": "MNIST", "fashion_mnist": "Fashion-MNIST"}


def mean_sd(values: Iterable[float], digits: int = 1) -> str:
    """For example ``91.2 ± 0.3``; a single value, having no deviation, stands alone.

    The deviation is that of a sample (n - 1). Values that are missing do not count.
    """
    known = [float(value) for value in values if not pd.isna(value)]
    if not known:
        return "–"
    mean = f"{statistics.fmean(known):,.{digits}f}"
    return f"{mean} ± {statistics.stdev(known):,.{digits}f}" if len(known) > 1 else mean


def mean_sd_table(
    frame: pd.DataFrame, by: Sequence[str] | str, values: Mapping[str, tuple[str, int]]
) -> pd.DataFrame:
    """One row for each group, in order of appearance, with ``mean ± sd`` as text, and n.

    Args:
        frame: one row for each run, as `study.table` gives it; may be empty.
        by: the label or labels that make a group.
        values: for each column the title to show it under and its digits after the point.
    """
    by = [by] if isinstance(by, str) else list(by)
    titles = [title for title, _ in values.values()]
    if frame.empty:
        return pd.DataFrame(columns=[*by, *titles, "n"]).set_index(by)
    unknown = [name for name in (*by, *values) if name not in frame.columns]
    if unknown:
        raise ValueError(
            f"no column {', '.join(unknown)}; the table has {', '.join(map(str, frame.columns))}"
        )
    rows = []
    for group, part in frame.groupby(by, sort=False, dropna=False):
        cells = [mean_sd(part[name], digits) for name, (_, digits) in values.items()]
        rows.append([*group, *cells, len(part)])
    return pd.DataFrame(rows, columns=[*by, *titles, "n"]).set_index(by)


def epochs(study: Study, records: Mapping[str, Record]) -> pd.DataFrame:
    """One row for each epoch of each record: labels, seed, and all that was noted of the epoch.

    `epoch` counts through all training steps of a recipe. Where a label has the name of
    something noted, such as `lr`, the label stands.
    """
    rows: list[dict[str, Any]] = []
    for arm in study.arms:
        record = records.get(arm.experiment.key)
        if record is not None:
            fixed = {**dict(arm.labels), "seed": record.seed}
            rows += [
                {**noted, **fixed, "epoch": count} for count, noted in enumerate(record.history, 1)
            ]
    return pd.DataFrame(rows)


def spread(frame: pd.DataFrame, name: str, by: Sequence[str] | str) -> pd.DataFrame:
    """Mean and deviation (0 for one run) of a column for each group: what error bars show."""
    grouped = frame.groupby(by, sort=False)[name]
    return pd.DataFrame({"mean": grouped.mean(), "sd": grouped.std(ddof=1).fillna(0.0)})


def paired(
    frame: pd.DataFrame,
    by: str,
    control: Any,
    value: str = "test_accuracy",
    confidence: float = 0.95,
) -> pd.DataFrame:
    """Differences from the control, seed by seed: mean, Student's interval (low, high), and n.

    What the seeds have in common (initial weights, order of images) drops out of a paired
    difference. With one seed there is no interval: low and high are missing.
    """
    table = frame.pivot_table(index="seed", columns=by, values=value, sort=False)
    if control not in table:
        known = ", ".join(map(str, table.columns))
        raise ValueError(f"no {by} is called {control!r}; there are: {known}")
    rows = {}
    for name in table.columns:
        if name != control:
            gaps = (table[name] - table[control]).dropna()
            n, mean = len(gaps), gaps.mean()
            half = stats.t.ppf((1 + confidence) / 2, n - 1) * gaps.std() / n**0.5
            rows[name] = {"mean": mean, "low": mean - half, "high": mean + half, "n": n}
    return pd.DataFrame.from_dict(rows, orient="index").rename_axis(by)


def confusion(study: Study, records: Mapping[str, Record], **labels: Any) -> np.ndarray | None:
    """Counts (true class down, predicted across) over all seeds of the arms with these labels.

    None if there is no such record yet. Counts are of the test split, after the last step.
    """
    chosen = [arm for arm in study.arms if labels.items() <= dict(arm.labels).items()]
    if not chosen:
        raise ValueError(f"study {study.name} has no arm with {labels}")
    found = [records[a.experiment.key] for a in chosen if a.experiment.key in records]
    return sum(np.array(r.final["confusion"], dtype=np.int64) for r in found) if found else None


def source_line(records: Mapping[str, Record], study: Study | None = None) -> str:
    """Where results come from, in one line: data set, seeds, epochs, device, versions, date.

    With `study`, how many of its experiments have no record yet is said too.
    """
    lacking = 0 if study is None else sum(a.experiment.key not in records for a in study.arms)
    found = list(records.values())
    if not found:
        return NO_RECORDS
    parts = [
        _any_of(_data(record) for record in found),
        _seeds(found),
        _span({_planned(record) for record in found}, "epoch"),
        _any_of(_devices(found)),
        _any_of(_versions(record) for record in found),
        _dates({record.date for record in found}),
    ]
    if lacking:
        parts.append(f"{lacking} of {lacking + len(found)} experiments still to come")
    return " · ".join(parts)


def _data(record: Record) -> str:
    name, limit = str(record.data["name"]), record.data.get("train_limit")
    size = f" at {record.data['size']} pixels" if record.data.get("size") else ""
    limited = f" ({limit:,} training images)" if limit else ""
    return f"{_LABEL.get(name, name)}{size}{limited}"


def _planned(record: Record) -> int:
    """Epochs that the recipe asks for; a run that diverged has finished fewer."""
    return sum(step.get("epochs", 0) for step in record.experiment["recipe"])


def _seeds(records: Sequence[Record]) -> str:
    """How many seeds each group of equal labels has."""
    groups: dict[str, set[int]] = {}
    for record in records:
        groups.setdefault(repr(sorted(record.labels.items())), set()).add(record.seed)
    return _span({len(seeds) for seeds in groups.values()}, "seed")


def _devices(records: Sequence[Record]) -> list[str]:
    """What computed them, and in which precision they trained, where a step has noted that.

    A record without training has no precision of its own: it is not named as another device.
    """
    named = [
        ", ".join(dict.fromkeys((r.device, *(s["precision"] for s in r.steps if "precision" in s))))
        for r in records
    ]
    return [name for name in named if not any(other.startswith(f"{name}, ") for other in named)]


def _versions(record: Record) -> str:
    shown = (f"{name} {record.versions[name]}" for name in ("torch", "torchvision"))
    return f"Python {record.versions['python']}, {', '.join(shown)}"


def _any_of(texts: Iterable[str]) -> str:
    return " or ".join(dict.fromkeys(texts))


def _span(counts: Collection[int], unit: str) -> str:
    low, high = min(counts), max(counts)
    number = f"{low}" if low == high else f"{low} to {high}"
    return f"{number} {unit}{'' if high == 1 else 's'}"


def _dates(dates: Collection[str]) -> str:
    return " to ".join(sorted({min(dates), max(dates)}))
