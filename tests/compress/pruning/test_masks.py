from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from squeeze_utils.compress.pruning import masks


def scores_of(*shapes: tuple[int, ...]) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return {f"layer{i}": torch.rand(shape, generator=generator) for i, shape in enumerate(shapes)}


@given(total=st.integers(1, 5000), sparsity=st.floats(0, 0.999))
def test_the_sparsity_is_reached_to_one_weight(total, sparsity):
    values = torch.arange(float(total))
    mask = masks.keep_largest(values, masks.kept_count(total, sparsity))
    assert int(mask.sum()) == max(1, total - round(total * sparsity))
    assert mask[-1] and mask.tolist() == sorted(mask.tolist())  # the largest stay


def test_ties_do_not_change_the_count():
    assert int(masks.keep_largest(torch.ones(10, 10), 37).sum()) == 37


def test_every_layer_loses_its_share_or_all_together_lose_theirs():
    scores = scores_of((8, 3, 3, 3), (10, 40))
    scores["layer1"] *= 1e-3  # as a whole less important
    layer = masks.build(scores, 0.5)
    assert [int(m.sum()) for m in layer.values()] == [108, 200]
    everything = masks.build(scores, 0.5, "global")
    assert [int(m.sum()) for m in everything.values()] == [216, 92]
    given = masks.build(scores, 0.5, per_layer={"layer0": 0.75})
    assert [int(m.sum()) for m in given.values()] == [54, 200]


@pytest.mark.parametrize("shape", [(6, 8), (6, 8, 3, 3), (4, 6, 1, 1), (5, 3, 3, 3)])
@pytest.mark.parametrize(("n", "m"), [(2, 4), (1, 4), (4, 8)])
def test_n_of_m_holds_in_every_group(shape, n, m):
    score = scores_of(shape)["layer0"]
    mask = masks.build({"x": score}, 0.5, granularity=f"{n}:{m}")["x"]
    assert mask.shape == score.shape
    rows = (mask.movedim(1, -1) if mask.ndim == 4 else mask).reshape(shape[0], -1)
    for row in rows:
        for group in row.split(m):
            assert int(group.sum()) == min(n, len(group))


def test_n_of_m_keeps_the_largest_along_the_inputs():
    score = torch.tensor([[1.0, 4.0, 3.0, 2.0]])[:, :, None, None]
    kept = masks.keep_n_of_m(score, 2, 4).flatten().tolist()
    assert kept == [False, True, True, False]


@pytest.mark.parametrize("sparsity", [-0.1, 1.0, 1.3, float("nan"), "half", True])
def test_a_sparsity_outside_0_to_1_is_refused(sparsity):
    with pytest.raises(ValueError, match=r"sparsity must lie in \[0, 1\)"):
        masks.check_sparsity(sparsity)


@pytest.mark.parametrize("text", ["4:2", "2:2", "0:4", "2-4", "two"])
def test_an_impossible_n_of_m_is_refused(text):
    with pytest.raises(ValueError, match="0 < N < M"):
        masks.n_of_m(text)


def test_unknown_scopes_and_layers_are_refused():
    scores = scores_of((4, 4))
    with pytest.raises(ValueError, match="unknown scope 'model'; accepted: layer, global"):
        masks.build(scores, 0.5, "model")
    with pytest.raises(ValueError, match="no layer is called conv9; there are: layer0"):
        masks.build(scores, 0.5, per_layer={"conv9": 0.5})
