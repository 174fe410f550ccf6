"""The curve of bytes against loss, from kept tables."""

from __future__ import annotations

import pytest

from squeeze_utils.base import measurements, paths
from squeeze_utils.imagenet import size_curve


@pytest.fixture
def kept(tmp_path, monkeypatch):
    monkeypatch.setattr(paths, "shipped", lambda name: tmp_path / name)
    counts = {"n": 100, "right": 60, "right5": 80, "same": 90, "gained": 1, "lost": 3}
    rows = [
        {"seed": s, "half": h, "target": t, "bytes": t - h, **counts, "divergence": d * (1 + s)}
        for s in (0, 1)
        for h in (0, 1)
        for t, d in ((1000, 10.0), (2000, 1.0))
    ]
    original = {**counts, "same": 100, "gained": 0, "lost": 0, "divergence": 0.0}
    measurements.keep_measurement("released/squeezenet1_0", rows, original=original)


def test_halves_are_added_and_seeds_averaged(kept):
    found = size_curve.points("squeezenet1_0")
    assert found["bytes"].tolist() == [1000, 2000]
    assert found["n"].tolist() == [200, 200]
    assert found["divergence"].tolist() == pytest.approx([0.15, 0.015])
    assert found.loc[0, ["low", "high", "change"]].tolist() == pytest.approx([0.1, 0.2, -2.0])


def test_intervals_hold_for_all_sizes_together(kept):
    """Two sizes: 2 of 200 gained and 6 lost, in the mean over seeds, at 1 - 0.05 / 2."""
    half = 100 * 2.2414 * (9 - 16 / 202) ** 0.5 / 202
    assert size_curve.points("squeezenet1_0")["interval"].tolist() == pytest.approx(
        [half] * 2, 1e-4
    )
    assert size_curve.CHANGE in size_curve.table("squeezenet1_0")


def test_the_table_begins_with_the_original_and_has_verdicts(kept):
    found = size_curve.table("squeezenet1_0")
    assert list(found.index) == ["original", "1,000 bytes", "2,000 bytes"]
    assert found["verdict"].tolist() == ["", "undecided", "undecided"]
    assert found.loc["original", "divergence (nats)"] == "0.0000"
    assert set(size_curve.table("squeezenet1_0", 9)["verdict"]) == {"", "equal within ±9"}


def test_divergences_have_an_interval_where_every_row_kept_its_squares(kept):
    assert size_curve.points("squeezenet1_0")["spread"].isna().all()
    assert "±" not in "".join(size_curve.table("squeezenet1_0")["divergence (nats)"])
    before = measurements.read_measurement("released/squeezenet1_0")
    rows = [{**row, "squares": row["divergence"] ** 2 / 50} for row in before.rows]
    measurements.keep_measurement("released/squeezenet1_0", rows, original=before.about["original"])
    squares = (10**2 + 20**2) / 50  # of two halves, in the mean of two seeds
    variance = (squares - 30**2 / 200) / 199
    half = 2.2414 * (variance / 200) ** 0.5
    found = size_curve.points("squeezenet1_0")
    assert found.loc[0, "spread"] == pytest.approx(half, 1e-4)
    shown = size_curve.table("squeezenet1_0").loc["1,000 bytes", "divergence (nats)"]
    assert shown == f"0.1500 ± {half:.4f}"
    rows[0].pop("squares")  # one row of an old file
    measurements.keep_measurement("released/squeezenet1_0", rows, original=before.about["original"])
    assert size_curve.points("squeezenet1_0")["spread"].isna().tolist() == [True, False]


@pytest.mark.parametrize(
    ("lossless", "factor", "words"),
    [
        (527_000, 0.5, ["reached", "reached", "reached"]),
        (527_001, 1.0, ["missed", "not decided", "not decided"]),
        (1, 3.0, ["reached", "missed", "missed"]),
    ],
)
def test_goals_are_judged_by_all_seeds(kept, lossless, factor, words):
    measurements.keep_measurement("released/file", [{"layer": "a"}], lossless_bytes=lossless)
    before = measurements.read_measurement("released/squeezenet1_0")
    goals = dict(zip((1000, 2000), size_curve.GOALS.items(), strict=True))
    rows = []
    for row in before.rows:
        target, most = goals[row["target"]]
        nats = factor * most * (0.8 + 0.4 * row["seed"]) * row["n"]
        rows.append({**row, "target": target, "bytes": target, "divergence": nats})
    measurements.keep_measurement("released/squeezenet1_0", rows, original=before.about["original"])
    lines = size_curve.goals_sentence().splitlines()[2:]
    assert [line.split(": ")[1].split(" (")[0] for line in lines] == words


def test_the_committed_files_miss_both_divergences():
    told = size_curve.goals_sentence()
    assert "at most 527,000 bytes without loss: reached (526,912 bytes)" in told
    assert "at most 300,000 bytes and 0.03 nats: missed (299,860 bytes; 0.0461 nats" in told
    assert "at most 240,000 bytes and 0.11 nats: missed (239,679 bytes; 0.2002 nats" in told


@pytest.mark.parametrize(
    ("change", "word"), [(2, "higher"), (-2, "lower"), (0, "undecided"), (0.1, "undecided")]
)
def test_the_interval_decides(change, word):
    assert size_curve.change({"change": change, "interval": 1.5}, 1) == word


def test_nncodec_is_compared_at_equal_divergence_where_it_is_measured(kept):
    assert size_curve.NOT_YET in size_curve.against_nncodec("squeezenet1_0")
    assert set(size_curve.with_nncodec("squeezenet1_0")["tool"]) == {"ours"}
    settings = (("1.0", -22, 1500, 0.0015), ("1.0", -18, 900, 1.5), ("1.1", 0, 1, 0))
    rows = [
        {"tool": f"SqueezeNet {net}: nncodec, qp {qp}", "bytes": size, "divergence": nats}
        for net, qp, size, nats in settings
    ]
    measurements.keep_measurement("libraries/released", rows)
    found = size_curve.with_nncodec("squeezenet1_0")
    assert found["bytes"].tolist() == [1000, 2000, 900, 1500]
    sentence = size_curve.against_nncodec("squeezenet1_0")
    assert (
        "more bytes at 1 of the 2 divergences that its settings reach (our table has 2)" in sentence
    )
    assert "0.1500 nats in 1,000 bytes, nncodec 1,100" in sentence
    assert "0.0150 nats in 2,000 bytes, nncodec 1,300" in sentence
    assert sentence.endswith("nncodec 1,300.")


def test_our_files_beyond_the_settings_of_nncodec_are_counted(kept):
    rows = [
        {"tool": f"SqueezeNet 1.0: nncodec, qp {qp}", "bytes": size, "divergence": nats}
        for qp, size, nats in ((-22, 1500, 0.1), (-18, 900, 1.5))
    ]
    measurements.keep_measurement("libraries/released", rows)
    sentence = size_curve.against_nncodec("squeezenet1_0")
    assert "at 1 of the 1 divergences" in sentence and "more even" not in sentence
    rows[0]["bytes"] = 2500
    measurements.keep_measurement("libraries/released", rows)
    sentence = size_curve.against_nncodec("squeezenet1_0")
    assert sentence.endswith(" At 1 more even its largest file, of 2,500 bytes, differs more.")


def test_what_is_unknown_is_named(kept):
    with pytest.raises(ValueError, match="there are: squeezenet1_0, squeezenet1_1"):
        size_curve.points("alexnet")
    with pytest.raises(ValueError, match="no table of squeezenet1_1: run"):
        size_curve.points("squeezenet1_1")
