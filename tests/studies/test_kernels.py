"""Chapter 05: the paper's values, and the plain network that its studies share."""

from __future__ import annotations

from squeeze_utils.base.scale import Scale
from squeeze_utils.studies.catalogue import find
from squeeze_utils.studies.kernels import STUDIES


def test_the_studies_hold_the_papers_values_and_share_the_plain_network():
    assert set(STUDIES) == {
        f"{name}{end}"
        for name in ("squeeze_ratio", "pct3x3", "first_layer", "expand")
        for end in ("", "_lr")
    } | {"squeeze_ratio_long", "squeeze_ratio_lr_long", "float32_controls"}
    plain = {}
    for name in ("squeeze_ratio", "first_layer", "expand"):
        pilot = find(f"{name}_lr", Scale("reference"))
        first = dict(pilot.arms[0].labels)[name]
        same = [arm for arm in pilot.arms if first in dict(arm.labels).values()]
        plain[name] = [arm.experiment.key for arm in same]
        assert len(same) == 4  # learning rates
    assert plain["squeeze_ratio"] == plain["first_layer"] == plain["expand"]
    shares = find("pct3x3_lr", Scale("reference"))
    assert {dict(arm.labels)["percent_3x3"] for arm in shares.arms} == {1, 25, 50, 75, 99}
    options = [dict(arm.experiment.model.options) for arm in shares.arms]
    assert {option["squeeze_ratio"] for option in options} == {0.5}
