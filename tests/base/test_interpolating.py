from __future__ import annotations

import pandas as pd
import pytest

from squeeze_utils.base.interpolating import bytes_at_our_divergences

THEIRS = pd.DataFrame({"divergence": [0.16, 0.01, 0.04], "bytes": [300, 500, 400]})


def ours(*divergences: float) -> pd.DataFrame:
    return pd.DataFrame({"divergence": divergences})


def test_their_settings_keep_their_bytes_and_equal_factors_are_equal_steps():
    found = bytes_at_our_divergences(ours(0.01, 0.02, 0.04, 0.08, 0.16), THEIRS)
    assert found.tolist() == pytest.approx([500.0, 450.0, 400.0, 350.0, 300.0])


def test_what_their_settings_do_not_reach_has_no_row():
    found = bytes_at_our_divergences(ours(1.0, 0.04, 0.001), THEIRS)
    assert found.to_dict() == {1: 400.0}
    assert bytes_at_our_divergences(ours(1.0), THEIRS).empty


def test_without_a_setting_of_theirs_there_is_nothing_to_compare_with():
    with pytest.raises(ValueError, match="no setting of theirs"):
        bytes_at_our_divergences(ours(0.1), THEIRS.head(0))


@pytest.mark.parametrize("wrong", [0.0, -1.0, float("nan")])
def test_divergences_without_a_logarithm_are_refused(wrong):
    for frames in ((ours(wrong), THEIRS), (ours(0.02), THEIRS.replace(0.01, wrong))):
        with pytest.raises(ValueError, match="must be positive"):
            bytes_at_our_divergences(*frames)
