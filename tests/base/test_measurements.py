from __future__ import annotations

import pytest

from squeeze_utils.base import measurements
from squeeze_utils.base.claims import CLAIMS, Claims


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setattr("squeeze_utils.base.paths.shipped", lambda name: tmp_path / name)


def test_a_table_comes_back_with_the_facts_of_its_making():
    assert measurements.read_measurement("sizes/small") is None
    path = measurements.keep_measurement("sizes/small", [{"form": "dense", "bytes": 12}], threads=2)
    assert path.parts[-3:] == ("measurements", "sizes", "small.json")
    found = measurements.read_measurement("sizes/small")
    assert found.rows == [{"form": "dense", "bytes": 12}]
    assert found.frame.loc[0, "bytes"] == 12
    assert found.about["threads"] == 2 and "torch" in found.about["versions"]
    assert found.source == f"{found.about['device']} · {found.about['date']}"


def test_a_row_takes_the_place_of_its_like_and_rows_of_others_stay():
    def keep(seed: int, size: int, **about: object) -> None:
        measurements.keep_row("rows", {"seed": seed, "bytes": size}, ["seed"], **about)

    keep(1, 10)
    keep(0, 20, how="one")
    keep(1, 30, how="two")
    found = measurements.read_measurement("rows")
    assert found.rows == [{"seed": 0, "bytes": 20}, {"seed": 1, "bytes": 30}]
    assert found.about["how"] == "two"
    with pytest.raises(KeyError, match="half"):
        measurements.keep_row("rows", {"seed": 0}, ["seed", "half"])


def test_rows_that_another_process_writes_at_the_same_moment_are_not_lost(monkeypatch):
    path = measurements.keep_measurement("rows", [])
    other = Claims(path.parent / CLAIMS).take("rows")

    def meanwhile(seconds: float) -> None:
        measurements.keep_measurement("rows", [{"seed": 0}])
        other.give_back()

    monkeypatch.setattr("squeeze_utils.base.claims.time.sleep", meanwhile)
    with pytest.warns(UserWarning, match="works on rows"):
        measurements.keep_row("rows", {"seed": 1}, ["seed"])
    assert measurements.read_measurement("rows").rows == [{"seed": 0}, {"seed": 1}]
    assert not list((path.parent / CLAIMS).iterdir())


@pytest.mark.parametrize(
    "text", ["", "[]", '{"rows": [1], "about": {}}', '{"rows": []}', '{"about": {}, "rows": []}']
)
def test_a_damaged_table_is_named(text):
    path = measurements.keep_measurement("broken", [])
    path.write_text(text)
    with pytest.raises(ValueError, match=r"damaged table broken\.json: .*measure anew"):
        measurements.read_measurement("broken")


def test_every_committed_table_is_whole(monkeypatch):
    monkeypatch.undo()
    root = measurements.measurement_path("x").parent
    names = [str(p.relative_to(root).with_suffix("")) for p in root.rglob("*.json")]
    assert names
    assert all(measurements.read_measurement(name).rows for name in names)
