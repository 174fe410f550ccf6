"""The price switched on and off: what each recipe's file holds, and how far it is ahead."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

import numpy as np
import pandas as pd

from squeeze_utils.compress.sqz.container import COMPACT
from squeeze_utils.results.statistics import mean_sd
from squeeze_utils.results.study_results import Results, Sentence
from squeeze_utils.results.tables import ACCURACY, NO_RECORDS, NOT_TRAINED, numbered, times_smaller
from squeeze_utils.studies.priced import TWICE

COLUMNS = ("test error (%)", "n", "file (bytes)", "times smaller than float32")
BEST_CODER = "by the best coder (bytes)"
PRICED = "price "
CONTEXTS = "compact contexts"  # a coder of which the estimate knows nothing


def recipes(results: Results) -> pd.DataFrame:
    """A row for each network and recipe with records: mean error and bytes over seeds, and n.

    Recipes with twice the epochs are left out: equal epochs are compared.
    """
    frame = results.frame
    if frame.empty:
        return pd.DataFrame(columns=["network", "recipe", "error", "bytes", "n"])
    frame = frame[~frame["recipe"].str.endswith(TWICE)].assign(error=100 - frame[ACCURACY])
    grouped = frame.groupby(["network", "recipe"], sort=False)
    means = grouped.agg(error=("error", "mean"), bytes=("file_bytes", "mean"), n=("error", "size"))
    return means.reset_index()


def on_off_table(*studies: Results, smallest: Results | None = None) -> pd.DataFrame:
    """Error, bytes and ratio of every recipe that has records; empty where none has.

    `smallest` (see `smallest_files`) adds a column with the bytes by the best coder. A recipe that
    other coders have not written yet has none there.
    """
    columns = COLUMNS if smallest is None else (*COLUMNS, BEST_CODER)
    rows = {}
    for frame in (results.frame for results in studies if len(results.frame)):
        for group, part in frame.groupby(["network", "recipe"], sort=False):
            cells = mean_sd(100 - part[ACCURACY], 2), len(part), mean_sd(part["file_bytes"], 0)
            rows[group] = dict(zip(COLUMNS, (*cells, f"{times_smaller(part):,.0f}"), strict=True))
    if not rows:
        return pd.DataFrame(columns=list(columns))
    table = pd.DataFrame.from_dict(rows, orient="index").rename_axis(["network", "recipe"])
    if smallest is not None:
        sizes = smallest.frame.groupby(["network", "recipe"])["file_bytes"]
        written = {group: mean_sd(part, 0) for group, part in sizes}
        table[BEST_CODER] = [written.get(group, "–") for group in table.index]
    return table


def advantage(results: Results, same_coder: bool = False) -> pd.DataFrame:
    """For each file made at a price: the smallest other file with at most the same error.

    `times` says how many times larger that one is; it is missing where no other is as good. As the
    others have few sizes, this jumps. So `between` compares with a file between theirs, at the same
    error (see `_bytes_at`). With `same_coder` only files that a compact coder wrote count, as it
    wrote those at a price.
    """
    found, rows = recipes(results), []
    if same_coder:
        found = found[found["recipe"].isin(_compact_recipes(results))]
    for network, part in found.groupby("network", sort=False):
        priced = part["recipe"].str.startswith(PRICED)
        unpriced = part[~priced]
        for row in part[priced].itertuples():
            others = unpriced[unpriced["error"] <= row.error].sort_values("bytes")
            best = others.iloc[0] if len(others) else None
            rows.append(
                {
                    "network": network,
                    "recipe": row.recipe,
                    "error": row.error,
                    "bytes": row.bytes,
                    "as good without a price": "none" if best is None else best["recipe"],
                    "times": None if best is None else best["bytes"] / row.bytes,
                    "between": None if best is None else _bytes_at(unpriced, row.error) / row.bytes,
                }
            )
    names = ("network", "recipe", "error", "bytes", "as good without a price", "times", "between")
    return pd.DataFrame(rows, columns=names)


def _bytes_at(others: pd.DataFrame, error: float) -> float:
    """Bytes at an error on the curve through those files than which none is smaller and better.

    Between two files it is a straight line over the logarithm of the bytes; beyond the last one it
    stays.
    """
    curve = others.sort_values(["error", "bytes"])
    curve = curve[curve["bytes"] < curve["bytes"].cummin().shift(fill_value=np.inf)]
    return float(np.exp(np.interp(error, curve["error"], np.log(curve["bytes"]))))


def _compact_recipes(results: Results) -> set[str]:
    """The recipes of a study whose last step is a compact coder."""
    ends = {dict(arm.labels)["recipe"]: arm.experiment.recipe[-1] for arm in results.study.arms}
    return {recipe for recipe, end in ends.items() if getattr(end, "coder", "") in COMPACT}


def same_coder_sentence(results: Results) -> Sentence:
    """How many times the bytes others need whose files the same coder wrote, and who else won."""
    every, same = (_settled(results, advantage(results, only)) for only in (False, True))
    if same.empty:
        return Sentence(f"With the same coder: {NO_RECORDS} to compare.")
    others = set(every["as good without a price"]) - set(same["as good without a price"])
    named = f"Another coder wrote the files of “{'”, “'.join(sorted(others))}”. " if others else ""
    return Sentence(
        f"{named}Against files of the same coder alone, the others need "
        f"{span(same['times'], '.1f')} times the bytes."
    )


def _settled(results: Results, rows: pd.DataFrame) -> pd.DataFrame:
    """The rows that compare something, of networks that lack no record."""
    done = [not _waiting(results, network) for network in rows["network"]]
    return rows[done].dropna(subset=["times"])


def _waiting(results: Results, network: str) -> list[str]:
    """Those of its `recipes` that lack records of a seed, in the order of the study."""
    labels = [dict(arm.labels) for arm in results.study.planned]
    planned = Counter(
        one["recipe"]
        for one in labels
        if one["network"] == network and not one["recipe"].endswith(TWICE)
    )
    frame = results.frame
    there = Counter(frame.loc[frame["network"] == network, "recipe"])
    return [recipe for recipe, count in planned.items() if there[recipe] < count]


def advantage_sentence(results: Results) -> Sentence:
    """`advantage` in one sentence for each network, or that there is nothing to say yet."""
    rows = advantage(results)
    if rows.empty:
        return Sentence(f"The comparison is still open: {NO_RECORDS} of files made at a price.")
    parts = []
    for network, part in rows.groupby("network", sort=False):
        if waiting := _waiting(results, network):
            parts.append(f"{network}: still open, not trained yet: {', '.join(waiting)}")
            continue
        known = part.dropna(subset=["times"])
        if known.empty:
            parts.append(f"{network}: no recipe without a price has as small an error")
            continue
        times, between = (span(known[name], ".1f") for name in ("times", "between"))
        parts.append(
            f"{network}: at no larger an error the others need {times} times the bytes "
            f"({between} if their sizes are interpolated)"
        )
    return Sentence("; ".join(parts) + ".")


def prediction_sentence(results: Results, times: float = 2.0) -> Sentence:
    """Whether every other recipe needs at least `times` the bytes, wherever one is as good."""
    rows = advantage(results)
    networks = dict.fromkeys(dict(arm.labels)["network"] for arm in results.study.planned)
    waiting = [] if rows.empty else [n for n in networks if _waiting(results, n)]
    known = rows.dropna(subset=["times"])
    settled = known.loc[~known["network"].isin(waiting), "times"]
    fails = bool((settled < times).any())  # one network decides it, the others may wait
    if rows.empty or (waiting and not fails):
        return Sentence("The prediction is still open: records are missing.")
    if known.empty:
        return Sentence(
            "The prediction cannot be tested: no recipe without a price has as small an error."
        )
    return Sentence(
        f"The prediction of {times:g} times the bytes {'fails' if fails else 'holds'}: the "
        f"smallest ratio is {settled.min():.1f} (files compared: {len(settled)} of {len(rows)})."
    )


def fits_sentence(
    results: Results, sizes: Mapping[str, int], points: float, dense: str
) -> Sentence:
    """Whether for each network of `sizes` a priced file fits into its bytes, and no other does.

    The mean error may be at most `points` above that of the recipe `dense`.
    """
    found = recipes(results)
    open_yet = [n for n in sizes if found.empty or _waiting(results, n)]
    if open_yet:
        return Sentence(f"The prediction is still open: {', '.join(open_yet)}: {NOT_TRAINED}.")
    parts, holds = [], True
    for network, size in sizes.items():
        part = found[found["network"] == network].set_index("recipe")
        fits = part[(part["bytes"] <= size) & (part["error"] <= part.at[dense, "error"] + points)]
        named = ", ".join(f"“{recipe}”" for recipe in fits.index) or "none"
        priced = fits.index.str.startswith(PRICED)
        holds &= bool(len(fits) and priced.all())
        parts.append(f"{network} in {size:,} bytes: {named}")
    word = "holds" if holds else "fails"
    return Sentence(f"In the means the prediction {word}. {'; '.join(parts)}.")


def agreement(results: Results) -> pd.DataFrame:
    """Estimated bytes of the numbers, bytes of the codes, and the difference in percent.

    `contexts` says that the file was written with contexts, of which the estimate knows nothing.
    """
    columns = ["network", "recipe", "seed", "estimated", "codes", "percent", "contexts"]
    rows = []
    for named, record in results.recorded():
        estimated = [s["estimated_bytes"] for s in record.steps if "estimated_bytes" in s]
        if estimated and "codes" in record.final.get("file_parts", {}):
            codes = record.final["file_parts"]["codes"]
            off = 100 * (codes / estimated[-1] - 1) if estimated[-1] else 0.0
            contexts = record.final["step"].get("coder") == CONTEXTS
            numbers = {"estimated": estimated[-1], "codes": codes, "percent": off}
            rows.append({**named, **numbers, "contexts": contexts})
    return pd.DataFrame(rows, columns=columns)


def agreement_sentence(results: Results) -> Sentence:
    """The largest difference between estimate and code section, over all recipes and seeds.

    Files with contexts are spoken of apart: for them the estimate is too large.
    """
    rows = agreement(results)
    if rows.empty:
        return Sentence(f"Estimated and coded bytes: {NO_RECORDS}.")
    parts, contexts = [], rows["contexts"].astype(bool)
    if len(plain := rows[~contexts]):
        worst = plain.loc[plain["percent"].abs().idxmax()]
        parts.append(
            f"In the {numbered([len(plain)], 'file')} with an estimate, the code section differs "
            f"from it by at most {abs(worst['percent']):.1f} % "
            f"({worst['network']}, {worst['recipe']})."
        )
    if len(known := rows[contexts]):
        low, high = (-known["percent"]).min(), (-known["percent"]).max()
        parts.append(
            f"In the {numbered([len(known)], 'file')} written with contexts, the code section is "
            f"{low:.1f} to {high:.1f} % smaller than the estimate, which knows no contexts."
        )
    return Sentence(" ".join(parts))


def span(values: pd.Series, digits: str) -> str:
    """The least and the most as text, or one number where both read alike."""
    low, high = (format(value, digits) for value in (values.min(), values.max()))
    return low if low == high else f"{low} to {high}"
