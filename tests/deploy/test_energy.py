from __future__ import annotations

import pytest

from squeeze_utils.deploy import energy


def test_energy_is_counts_times_published_figures():
    one = energy.estimate(1_000_000, 1000, 500, "float32")
    assert one.arithmetic == pytest.approx(4.6)  # 3.7 + 0.9 pJ each
    assert one.weights == pytest.approx(0.65)  # 4 bytes at 1300 / 8 pJ
    assert one.activations == pytest.approx(0.65)  # written and read
    assert one.total == pytest.approx(5.9)


def test_int8_saves_bytes_fourfold_and_arithmetic_more():
    wide, short = (energy.estimate(10**6, 1000, 500, form) for form in ("float32", "int8"))
    assert wide.weights == pytest.approx(4 * short.weights)
    assert wide.arithmetic / short.arithmetic == pytest.approx(4.6 / 0.3)


def test_activations_that_stay_in_the_cache_cost_less():
    far, near = (energy.estimate(0, 0, 8000, "float32", in_cache=c) for c in (False, True))
    assert far.activations / near.activations == pytest.approx(65)


@pytest.mark.parametrize(
    ("counts", "form", "words"),
    [((1, 1, 1), "int4", "float32, int8"), ((-1, 1, 1), "int8", "negative")],
)
def test_wrong_counts_and_formats_are_refused(counts, form, words):
    with pytest.raises(ValueError, match=words):
        energy.estimate(*counts, form)
