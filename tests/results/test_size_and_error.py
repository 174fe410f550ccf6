from __future__ import annotations

import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

from priced_results import FEW_BYTES, PHOTOGRAPHS, row, with_rows  # noqa: E402

from squeeze_utils.results import log_axes  # noqa: E402
from squeeze_utils.results import size_and_error as module  # noqa: E402
from squeeze_utils.studies import few_bytes  # noqa: E402


def test_every_published_point_has_a_source_with_a_shape_and_a_panel():
    shown = [*module.DENSE_BYTES, *module.PHOTOGRAPHS]
    for point in module.PUBLISHED:
        assert point.source in module.SHAPES and point.network in shown
        assert 500 < point.bytes < 5e5 and 0 < point.error < 11
    assert {point.network for point in module.PUBLISHED} == set(shown)


def test_published_points_name_their_network_where_there_are_several():
    assert ("Oktay et al. 2020", 2_840, 99.0) in module.published("LeNet-5")
    photographs = module.published("ResNet-20-4", "VGG-16")
    assert ("Girish et al. 2023, ResNet-20-4", 66_000, 91.5) in photographs
    assert ("Havasi et al. 2019, VGG-16", 417_000, 93.4) in photographs
    assert len(photographs) == 5 and not module.published("AlexNet")


LENET = row("price 1e-6", 3000, 99.2)
FIRE = row("price 2e-6", 2000, 99.1, "LeNet-5 with Fire modules")
CHALLENGER = row("price 1e-6", 30_000, 90.5, "ResNet-20, width 0.625")
PRUNED = row("pruned and shared", 120_000, 91.0, "SqueezeNet")


def titles(fig) -> list[str]:
    return [ax.get_title() for ax in fig.axes]


def drawn(fig, panel: int) -> set[tuple[float, float]]:
    """Bytes and error of every point of a panel."""
    lines = fig.axes[panel].lines
    return {(x, round(y, 6)) for line in lines for x, y in line.get_xydata()}


def figure(lenets=(), photographs=()):
    return module.size_and_error(with_rows(*lenets), with_rows(*photographs, study=PHOTOGRAPHS))


def test_without_records_each_panel_holds_the_published_points_alone_and_says_so():
    fig = figure()
    assert titles(fig) == [
        f"{name} (this chapter's: not trained yet)"
        for name in ("LeNet-300-100", "LeNet-5", "CIFAR-10")
    ]
    for panel, names in enumerate((["LeNet-300-100"], ["LeNet-5"], module.PHOTOGRAPHS)):
        wanted = {(p.bytes, p.error) for p in module.PUBLISHED if p.network in names}
        assert drawn(fig, panel) == wanted
    assert {text.get_text() for text in fig.axes[2].texts} == set(module.PHOTOGRAPHS)


def test_several_studies_of_photographs_share_a_panel():
    small = row("rounded after training, 66 kB", 64_000, 91.6, few_bytes.NETWORK)
    dense = row("dense, trained on", 1.4e6, 92.5, few_bytes.NETWORK)
    again = row("rounded, trained on, 66 kB", 63_000, 91.7, few_bytes.NETWORK)
    few = with_rows(small, dense, again, study=FEW_BYTES)
    fig = module.size_and_error(with_rows(), with_rows(PRUNED, study=PHOTOGRAPHS), few)
    assert {(64_000, 8.4), (120_000, 9.0)} < drawn(fig, 2) and (1.4e6, 7.5) not in drawn(fig, 2)
    assert titles(fig)[2] == "CIFAR-10\nnot trained yet: 3 of 5 networks"
    looks = {line.get_label(): line for line in fig.axes[2].lines}
    trained = looks[f"{few_bytes.NETWORK}, rounded, trained on"]
    assert trained.get_fillstyle() == "left" and trained.get_xdata().tolist() == [63_000]
    assert looks[f"{few_bytes.NETWORK}, other recipes"].get_xdata().tolist() == [64_000]


def test_files_of_the_earlier_chapter_are_crosses_in_their_panel():
    before = [row("ours", 16_500, 99.34), row("paper", 47_000, 99.3)]
    before += [row("ours", 9e5, 89.6, "VGG-11"), row("dense", 1e6, 99.0)]
    earlier = [with_rows(*before), with_rows()]
    fig = module.size_and_error(with_rows(), with_rows(study=PHOTOGRAPHS), earlier=earlier)
    crosses = {
        panel: [
            tuple(xy) for line in ax.lines if line.get_marker() == "x" for xy in line.get_xydata()
        ]
        for panel, ax in enumerate(fig.axes)
    }
    assert crosses[0] == [] and crosses[1] == [(16_500, pytest.approx(0.66))]
    assert crosses[2] == [(9e5, pytest.approx(10.4))]
    assert "VGG-11" in {text.get_text() for text in fig.axes[2].texts}
    assert not fig.axes[1].texts
    assert module.EARLIER in [text.get_text() for text in fig.legends[0].get_texts()]


def test_dense_files_are_left_out():
    assert "not trained yet" in titles(figure([row("dense", 8e5, 99.3, "LeNet-300-100")]))[0]


def test_every_network_has_a_look_and_those_without_records_are_named():
    fig = figure([LENET, FIRE], [CHALLENGER, PRUNED])
    assert titles(fig)[1] == "LeNet-5" and {(3000, 0.8), (2000, 0.9)} < drawn(fig, 1)
    assert titles(fig)[2].splitlines() == [
        "CIFAR-10",
        "not trained yet: SqueezeNet, half width",
        "not trained yet: VGG-11",
    ]
    assert {(30_000, 9.5), (120_000, 9.0)} < drawn(fig, 2)
    labels = [text.get_text() for text in fig.legends[0].get_texts()]
    assert len(labels) == len(set(labels)) and set(labels[-6:]) == set(module.SHAPES)
    assert "ResNet-20, width 0.625, at a price" in labels
    assert "SqueezeNet, other recipes" in labels
    ours = {line.get_label(): line for ax in fig.axes for line in ax.lines}
    looks = {(ours[label].get_color(), ours[label].get_marker()) for label in labels[:-6]}
    assert len(looks) == len(labels) - 6 == 4


def test_marks_are_inside_their_panel_and_few():
    fig = figure([LENET, FIRE], [CHALLENGER])
    for ax in fig.axes:
        for axis, (low, high) in ((ax.xaxis, ax.get_xlim()), (ax.yaxis, ax.get_ylim())):
            marks = axis.get_majorticklocs()
            assert 2 <= len(marks) <= log_axes.MOST_MARKS
            assert low <= min(marks) and max(marks) <= high


@pytest.mark.parametrize(
    ("ends", "marks"),
    [
        ((0.9, 1.6), [0.9, 1, 1.2, 1.5]),
        ((900, 3e5), [1e3, 1e4, 1e5]),
        ((6.5, 12.5), [7, 8, 9, 10, 12]),
    ],
)
def test_marks_are_round_numbers(ends, marks):
    assert log_axes.marks_between(*ends) == pytest.approx(marks)


@pytest.mark.parametrize("ends", [(0, 1), (2, 2), (-1, 3)])
def test_ends_that_a_logarithmic_axis_cannot_have_are_refused(ends):
    with pytest.raises(ValueError, match="0 < low < high"):
        log_axes.marks_between(*ends)
