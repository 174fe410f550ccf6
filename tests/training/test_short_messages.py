"""The shortest exchange of processes on this machine."""

from __future__ import annotations

import pytest

from squeeze_utils.training.distributed.short_messages import time_messages


@pytest.mark.slow
def test_the_shortest_exchange_is_timed_round_by_round():
    found = time_messages(3, 20, seconds=120)
    assert len(found) == 3 and all(0 < median < 1 for median in found)


def test_wrong_numbers_of_exchanges_are_refused():
    with pytest.raises(ValueError, match="rounds must be a whole number of at least 1, got 0"):
        time_messages(0, 20)
    with pytest.raises(ValueError, match="repeats must be a whole number of at least 1, got 0"):
        time_messages(1, 0)
    with pytest.raises(ValueError, match="workers must be a whole number of at least 2, got 1"):
        time_messages(1, 1, workers=1)
