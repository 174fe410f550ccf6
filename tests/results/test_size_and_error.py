from __future__ import annotations

import pandas as pd
import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

from squeeze_utils.base.scale import Scale  # noqa: E402
from squeeze_utils.results import size_and_error as module  # noqa: E402
from squeeze_utils.results.study_results import Results  # noqa: E402
from squeeze_utils.studies import priced  # noqa: E402

STUDY = priced.on_digits(Scale("reference"))


class Fake(Results):
    """Results with a table of their own."""

    rows: tuple = ()

    @property
    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(list(type(self).rows))


def with_rows(*rows: dict) -> Results:
    return type("Some", (Fake,), {"rows": rows})(STUDY, {})


def row(recipe: str, size: float, accuracy: float, network: str = "LeNet-5") -> dict:
    return {"network": network, "recipe": recipe, "file_bytes": size, "test_accuracy": accuracy}


def test_every_published_point_has_a_source_with_a_shape():
    for point in module.PUBLISHED:
        assert point.source in module.SHAPES and 500 < point.bytes < 1e5 and 0 < point.error < 5
    assert set(module.published_table()["network"]) == set(module.DENSE_BYTES)
    with pytest.raises(ValueError, match="no published point of 'AlexNet'"):
        module.published_table("AlexNet")


@pytest.mark.parametrize(
    "rows",
    [
        (),
        (row("price 1e-6", 3000, 99.2),),
        (row("dense", 8e5, 99.3, "LeNet-300-100"), row("price 1e-6", 3000, 99.2)),
    ],
)
def test_the_figure_is_drawn_with_no_some_and_all_records(rows):
    fig = module.size_and_error(with_rows(*rows))
    titles = " ".join(ax.get_title() for ax in fig.axes)
    trained = {r["network"] for r in rows if r["recipe"] != "dense"}
    assert titles.count("ours: not trained yet") == 2 - len(trained)
    labels = [text.get_text() for text in fig.legends[0].get_texts()]
    assert len(labels) == len(set(labels)) and set(module.SHAPES) <= set(labels)


def test_the_front_holds_what_nothing_beats():
    frame = pd.DataFrame({"bytes": [30, 10, 20, 40], "error": [2.0, 3.0, 3.5, 1.0]})
    assert module.front(frame)["bytes"].tolist() == [10, 30, 40]
