"""Pictures with boxes and masks: what is drawn, for truth and for answers."""

from __future__ import annotations

import pytest
import torch

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

from matplotlib.patches import Rectangle  # noqa: E402

from squeeze_utils.data import load_images  # noqa: E402
from squeeze_utils.models import build  # noqa: E402
from squeeze_utils.results import scene_pictures as pictures  # noqa: E402

SMALL = {"in_channels": 1, "image_size": 48, "width": 0.25}


def test_every_true_box_is_drawn_where_it_is():
    data = load_images("digit_scenes")
    truth = pictures.true_answer(data, 5)
    fig = pictures.box_pictures(data, {"truth": truth}, "title")
    for ax, rows in zip(fig.axes, truth, strict=True):
        drawn = [patch for patch in ax.patches if isinstance(patch, Rectangle)]
        assert [patch.get_width() / 48 for patch in drawn] == pytest.approx(
            [row[4] - row[2] for row in rows.tolist()]
        )
        assert [words.get_text() for words in ax.texts] == [str(int(row[0])) for row in rows]
    assert fig.axes[0].get_ylabel() == "truth"
    matplotlib.pyplot.close(fig)


def test_an_untrained_detector_draws_nothing_and_a_sure_one_names_its_score():
    data = load_images("digit_scenes")
    model = build("detector", num_classes=10, **SMALL)
    with torch.no_grad():
        model.predict.weight.zero_()
    says = pictures.answer_of(model, data, 2)
    assert [len(rows) for rows in says] == [0, 0] and model.training
    with torch.no_grad():
        model.predict.bias[0], model.predict.bias[8] = 9.0, 9.0
    says = pictures.answer_of(model, data, 2)
    fig = pictures.box_pictures(data, {"truth": pictures.true_answer(data, 2), "net": says})
    assert all("3" in words.get_text() for ax in fig.axes[2:] for words in ax.texts)
    assert sum(len(ax.texts) for ax in fig.axes[2:]) == sum(map(len, says)) > 0
    matplotlib.pyplot.close(fig)


def test_masks_are_shown_in_the_size_of_the_image():
    data = load_images("digit_masks")
    model = build("segmenter", num_classes=11, **SMALL)
    answers = {"truth": pictures.true_answer(data, 3), "net": pictures.answer_of(model, data, 3)}
    fig = pictures.mask_pictures(data, answers)
    shown = [ax.images[-1].get_array() for ax in fig.axes]
    assert len(shown) == 6 and all(mask.shape == (48, 48) for mask in shown)
    assert (shown[0] == data.test.labels[0].numpy()).all()
    matplotlib.pyplot.close(fig)
