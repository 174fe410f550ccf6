"""Chapter 20's tables: with no records, with some, and with all."""

from __future__ import annotations

from dataclasses import replace

import pandas as pd
import pytest

pytest.importorskip("matplotlib").use("agg")

from finished import pretend  # noqa: E402

from squeeze_utils.base.measurements import Measurement  # noqa: E402
from squeeze_utils.base.scale import Scale  # noqa: E402
from squeeze_utils.results import communication as shown  # noqa: E402
from squeeze_utils.results.study_results import Results  # noqa: E402
from squeeze_utils.studies import communication  # noqa: E402

ALL = communication.ALL
REFERENCE = Scale("reference")


def results(name, folder, sent, arms=None):
    """A study with pretended records of those arms whose label is in `arms` (all of them)."""
    made = communication.STUDIES[name](REFERENCE)
    made = replace(made, arms=made.planned, expected=())
    label = made.arms[0].labels[0][0]
    for arm in made.arms:
        named = dict(arm.labels)[label]
        if arms is None or named in arms:
            pretend(arm, folder / made.name)
    found = made.records(folder)
    full = {}
    for key, record in found.items():
        named, seed = record.labels[label], record.seed
        last = {**record.steps[-1], "test_accuracy": 90 + 0.01 * seed, "parameters": 1000}
        last |= {"nonzero": 1000, "dense_bytes": 4000, **sent(named)}
        full[key] = replace(record, steps=[*record.steps[:-1], last])
    return Results(made, full)


def exchanged(name):
    return {"sent_bytes": {ALL: 1_000_000, "half precision": 500_000}.get(name, 5_000)}


def federated(name):
    each = {"float": 4000, "int8": 1000, "coded": 200}[name]
    rounds = [
        {
            "round": n,
            "up_bytes": n * each,
            "down_bytes": 100_000 + n * each,
            "validation_accuracy": 40.0 * n,
        }
        for n in (1, 2)
    ]
    return {"rounds": rounds, "up_bytes": 2 * each, "first_download_bytes": 100_000}


def test_an_exchange_below_the_noise_of_the_timing_has_no_share():
    rows = pd.DataFrame(
        {
            "formula": 12_500_000.0,
            "sent": 12_500_000.0,
            "alone": 0.1,
            "seconds": {"slow": 0.2, "noisy": 0.095, "equal": 0.102},
        }
    )
    rows.index = pd.MultiIndex.from_tuples([(name, 2) for name in rows.index])
    slow, noisy, equal = shown.exchange_shares(rows).splitlines()
    assert "slow, 2 processes: computing 100.0 ms, a step 200.0 ms. Exchange: 50 % of it" in slow
    assert "on paper 50 % at 1 Gbit/s and 9 % at 10 Gbit/s" in slow
    assert "a step 95.0 ms. Exchange: too small to measure here; on paper 50 %" in noisy
    assert "too small to measure" in equal
    assert shown.exchange_shares(rows.drop(columns="sent")) == shown.exchange_shares(rows)


def test_without_records_all_is_empty_and_said(tmp_path):
    found = results("exchanges_long", tmp_path, exchanged, arms=())
    assert shown.exchange_table(found, ALL).empty
    assert "is open: no reference records yet" in shown.goal(found, ALL)
    assert shown.exchange_figure(found, "title") is None
    clients = results("federated", tmp_path, federated, arms=())
    assert "still open" in shown.bytes_prediction(clients, {"int8": 4})
    assert shown.bytes_to(clients, 80).empty and shown.rounds(clients).empty
    assert shown.rounds_figure(clients, "title") is None


@pytest.mark.parametrize("arms", [(ALL,), ("seldom",), (ALL, "half precision"), ("PowerSGD",)])
def test_a_part_of_the_records_makes_a_part_of_the_table(tmp_path, arms):
    found = results("exchanges_long", tmp_path, exchanged, arms)
    table = shown.exchange_table(found, ALL)
    assert sorted(table.index) == sorted(arms)
    assert ("is undecided" if ALL in arms else "is open") in shown.goal(found, ALL)
    assert shown.exchange_figure(found, "title") is not None
    predicted = found.prediction("exchange", ALL, {"seldom": "equal", "half precision": "equal"})
    both = ALL in arms and "half precision" in arms
    assert predicted.count("no run yet") == (1 if both else 2)


def test_while_arms_are_missing_a_goal_that_none_reaches_is_undecided(tmp_path):
    found = results("exchanges_long", tmp_path, exchanged, (ALL, "half precision"))
    assert "undecided" in shown.goal(found, ALL)


def test_while_seeds_are_missing_a_goal_that_none_reaches_is_undecided(tmp_path):
    found = results("exchanges_long", tmp_path, exchanged)
    first = {key: record for key, record in found.by_key.items() if not record.seed}
    one_seed = replace(found, by_key=first)
    assert "not complete yet" in str(one_seed.compare("exchange", ALL, margin=0.5)["verdict"])
    assert "is undecided. 100 times fewer: " in shown.goal(one_seed, ALL)


@pytest.mark.parametrize(
    ("lost", "words"),
    [
        (0.1, "is reached by: seldom"),  # lower, and surely within half a point
        (0.5, "is undecided"),
        (0.9, "is not reached"),
    ],
)
def test_the_interval_and_not_the_sign_decides_the_goal(tmp_path, lost, words):
    found = results("exchanges_long", tmp_path, exchanged, (ALL, "seldom"))
    study = found.study.where(exchange=(ALL, "seldom"))
    moved = {}
    for key, record in found.by_key.items():
        down = lost if record.labels["exchange"] == "seldom" else 0.0
        last = record.steps[-1] | {"test_accuracy": 90 - down + 0.03 * record.seed}
        moved[key] = replace(record, steps=[*record.steps[:-1], last])
    found = Results(study, moved)
    gap = found.compare("exchange", ALL, margin=0.5).loc["seldom"]
    assert gap["verdict"] == ("equal within ±0.5" if lost == 0.1 else "lower")
    assert words in shown.goal(found, ALL)


def test_with_all_records_the_goal_is_decided(tmp_path):
    found = results("exchanges_long", tmp_path, exchanged)
    table = shown.exchange_table(found, ALL)
    assert table.loc["half precision", "times fewer"] == "2.0"
    assert table.loc["seldom", "times fewer"] == "200.0"
    said = shown.goal(found, ALL)
    assert "is reached by" in said and "seldom" in said and "half" not in said
    assert "is not reached" in shown.goal(found, ALL, times=1000)


def test_bytes_until_an_accuracy(tmp_path):
    found = results("federated", tmp_path, federated, arms=("float", "coded"))
    table = shown.bytes_to(found, 80)
    assert table.loc["float", "reached"] == "3 of 3" and table.loc["float", "rounds"] == "2.0"
    assert table.loc["float", "MB to 80 %"] == "0.12"
    assert (table["first download"] == "0.10").all()
    assert shown.bytes_to(found, 99).loc["coded", "MB to 99 %"] == "not reached"
    assert shown.rounds_figure(found, "title") is not None
    assert "coded 20.0; no run yet: int8" in shown.bytes_prediction(found, {"int8": 4, "coded": 10})
    assert "The prediction about bytes holds" in shown.bytes_prediction(found, {"coded": 10})
    assert "fails" in shown.bytes_prediction(found, {"coded": 30})
    assert "still open" in shown.bytes_prediction(found.where(message="coded"), {"coded": 30})


CHANGES = [
    {"tool": tool, "bytes": size, "divergence": divergence, "seconds": seconds}
    for tool, size, divergence, seconds in (
        ("ours, float", 1_000_000, 0.0, 9.0),
        ("ours, coded, step 1", 100_000, 1e-4, 0.1),
        ("ours, coded, step 9", 5_000, 1.0, 0.2),
        ("nncodec, qp -40", 400_000, 1e-5, 1.5),
        ("nncodec, qp -30", 100_000, 1e-3, 1.0),
    )
]


def test_changes_are_compared_where_receivers_are_equally_far_off(monkeypatch):
    kept = Measurement(CHANGES, {"device": "a machine", "date": "today"})
    monkeypatch.setattr(shown, "read_measurement", {shown.CHANGES: kept}.get)
    said = str(shown.against_nncodec())
    assert "1.0e-04 nats: ours 100 kB, nncodec 250 kB." in said and "a machine" in said
    assert "took ours 0.10 to 0.10 s, nncodec 1.00 to 1.50 s" in said
    monkeypatch.setattr(shown, "read_measurement", {}.get)
    assert "Not measured yet" in str(shown.against_nncodec())
