from __future__ import annotations

import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

from priced_results import row, with_rows  # noqa: E402

from squeeze_utils.results import size_and_error as module  # noqa: E402


def test_every_published_lenet_has_a_source_with_a_shape():
    lenets = [point for point in module.PUBLISHED if point.network in module.DENSE_BYTES]
    for point in lenets:
        assert point.source in module.SHAPES and 500 < point.bytes < 1e5 and 0 < point.error < 5
    assert {point.network for point in lenets} == set(module.DENSE_BYTES)


def test_published_points_name_their_network_where_there_are_several():
    assert ("Oktay et al. 2020", 2_840, 99.0) in module.published("LeNet-5")
    photographs = module.published("ResNet-20-4", "VGG-16")
    assert ("Girish et al. 2023, ResNet-20-4", 66_000, 91.5) in photographs
    assert len(photographs) == 3 and not module.published("AlexNet")


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
