"""A few images of each class: drawn with a seed, for training and for validation."""

from __future__ import annotations

import pytest
import torch

from squeeze_utils.data import load_images
from squeeze_utils.data.few import few_images, of_each_class
from squeeze_utils.data.types import DataError
from squeeze_utils.experiments.experiment import DataSpec


def test_each_class_has_as_many_as_asked_for_or_all_that_there_are():
    labels = torch.tensor([0, 1, 1, 1, 2, 2, 0, 1])
    at = of_each_class(labels, 3, torch.Generator().manual_seed(0))
    assert labels[at].bincount().tolist() == [2, 3, 2] and len(set(at.tolist())) == 7


def test_another_draw_has_other_images_and_the_same_test_images():
    whole = load_images("digits", size=8)
    first, again, other = (few_images(whole, 4, draw) for draw in (0, 0, 1))
    assert first.train.labels.bincount().tolist() == [4] * 10
    assert first.validation.labels.bincount().tolist() == [4] * 10
    assert torch.equal(first.train.images, again.train.images)
    assert not torch.equal(first.train.images, other.train.images)
    assert first.test is whole.test and first.mean == whole.mean


def test_a_specification_draws_and_its_old_keys_stay():
    spec = DataSpec("digits", 8, per_class=2, draw=3)
    assert len(spec.load().train) == 20
    assert spec.as_dict() == {
        "name": "digits",
        "size": 8,
        "train_limit": None,
        "per_class": 2,
        "draw": 3,
    }
    assert DataSpec(**spec.as_dict()) == spec
    assert DataSpec().as_dict() == {"name": "digits", "size": None, "train_limit": None}


@pytest.mark.parametrize("bad", [{"per_class": -1}, {"draw": 0.5}, {"per_class": True}])
def test_a_wrong_number_is_refused(bad):
    with pytest.raises(ValueError, match=next(iter(bad))):
        DataSpec(**bad)


def test_pictures_with_boxes_have_no_classes_to_draw_from():
    scenes = load_images("digit_scenes")
    with pytest.raises(DataError, match="digit_scenes has no classes of whole images"):
        few_images(scenes, 2, 0)
