"""Small networks of others for CIFAR-10: each with its source, none of them measured here."""

from __future__ import annotations

import pytest

from squeeze_utils.models import ModelSpec
from squeeze_utils.results import published_networks as published


def test_each_has_a_source_conditions_and_believable_numbers() -> None:
    for one in published.CIFAR10:
        assert one.source and one.conditions and 90 < one.accuracy < 96
        assert 50_000 < one.parameters < 800_000 and one.multiply_adds > 10
        assert f"{one.parameters:,} parameters" in str(one) and one.source in str(one)


def test_resnet_20_has_about_the_parameters_of_ours() -> None:
    ours = sum(p.numel() for p in ModelSpec.of("resnet20").build().parameters())
    theirs = [one.parameters for one in published.CIFAR10 if one.network == "ResNet-20"]
    assert theirs == pytest.approx([ours, ours], rel=0.02)


def test_a_network_stands_once_in_the_figure_with_its_better_training() -> None:
    points = published.front_points()
    assert ("osmr/imgclsmob, ResNet-20", 4 * 272_474, 94.03) in points
    assert len(points) == 3 and points[0][1] == 390_120
