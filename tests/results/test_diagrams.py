"""The diagrams: their numbers, and that nothing overlaps, is cut off or changes by itself."""

from __future__ import annotations

import functools
import io
import itertools
import re
from pathlib import Path

import numpy as np
import pytest
import torch

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

from matplotlib.patches import FancyArrowPatch, FancyBboxPatch  # noqa: E402

from squeeze_utils.compress.pruning.steps import Densify, Prune  # noqa: E402
from squeeze_utils.compress.sharing.steps import shared_codes  # noqa: E402
from squeeze_utils.compress.sqz import huffman  # noqa: E402
from squeeze_utils.compress.sqz.container import encode_sqz, itemise  # noqa: E402
from squeeze_utils.models import build  # noqa: E402
from squeeze_utils.results import diagrams, figures  # noqa: E402
from squeeze_utils.training.loop import Train  # noqa: E402


@functools.cache
def file_parts(coder: str = "best") -> dict[str, int]:
    """The parts of a small network whose weights are pruned and shared."""
    torch.manual_seed(0)
    model = build("lenet_300_100", image_size=8)
    with torch.no_grad():
        for weight in (p for p in model.parameters() if p.ndim > 1):
            weight[weight.abs() < weight.abs().flatten().quantile(0.8)] = 0
            codes, book = shared_codes(weight, 3)
            weight.copy_(book[codes])
    return encode_sqz(model, coder)[1]


SEVEN_EPOCHS = (Train(4, lr=0.1), Prune(0.75), Train(2, lr=0.05), Densify(), Train(1, lr=0.01))
# Every diagram as it comes, and with other arguments: the function, and words that it must hold.
DRAWN = {
    "fire2": (diagrams.fire_module, "96 16 64 64 128 1,552 1,088 9,280 11,920 110,720"),
    "fire9": (lambda: diagrams.fire_module(512, 64, 256, 256), "512 64 256 256 512 197,184"),
    "lopsided": (lambda: diagrams.fire_module(3, 1, 1, 200), "3 1 1 200 201"),
    "1.0": (diagrams.network_map, "1,248,424 224 109 54 27 13 conv10 pool fire9 1,000"),
    "1.1": (lambda: diagrams.network_map("squeezenet1_1"), "1,235,496 224 111 55 27 13 48"),
    "32 pixels": (lambda: diagrams.network_map("squeezenet_small"), "730,570 32 16 8 4 64 10"),
    "late": (lambda: diagrams.network_map("squeezenet_small", pool_after=(4, 8)), "32 16 8 pool"),
    "Y = WX": (diagrams.one_by_one, "16 × 96, 96 × 2,916, 16 × 2,916"),
    "bypasses": (diagrams.bypasses, "1,248,424 1,589,672 96 128 256 3, 5, 7, 9 2, 4, 6, 8"),
    "ring": (diagrams.ring, "worker 1 start 1 step 3 steps: added up 6 steps"),
    "masks": (diagrams.masks_through_training, "step mask × ="),
    "dsd": (lambda: diagrams.dsd_phases(SEVEN_EPOCHS), "0 4 6 7 75 %"),
    "3 bits": (diagrams.quantizer, "7 0.333 0.167 −3 −2 −1 0 1 2 3"),
    "2 bits": (lambda: diagrams.quantizer(2), "3 1 0.5 −1 0 1"),
    "8 bits": (lambda: diagrams.quantizer(8), "255 0.00787 0.00394"),
    "gaps": (diagrams.gaps_and_fillers, "40 2 3 19 35 39 0 15 15 3 4 8"),
    "Huffman": (diagrams.codebook_and_huffman, "16 × 32 = 512, 16 × 2 = 32, 110 111 10"),
    "file": (lambda: diagrams.file_anatomy(file_parts()), "codes checksums header"),
    "paper's": (lambda: diagrams.file_anatomy(file_parts("gaps")), "gaps tables codebooks biases"),
    "sums": (lambda: diagrams.file_anatomy(itemise(file_parts())), "codes config coded together"),
    "training": (diagrams.training_step, "1, 2, 5 8 −6 1.39 network loss step"),
    "search": (diagrams.hyperparameter_search, "4 60 70 14 stopped winner validation test once λ"),
    "rules": (diagrams.update_rules, "momentum Nesterov RMSprop Lion Muon velocity sign"),
    "dense": (diagrams.detector_and_segmenter, "808,776 797,275 3 64 128 512 256 8 11"),
    "orders": (diagrams.two_orders, "4.2 32 5 2.93 2.68 0.25 1.59 1.34 dense pruned rounded both"),
    "priced": (diagrams.priced_training, "0.37 1.85 0.40 7.2 bits 1e−6 cross entropy loss"),
    "transfer": (diagrams.ways_of_transfer, "fire6 conv10 kept trained new random scratch"),
    "paths": (diagrams.deployment_paths, ".sqz .onnx .tflite int8 torch LiteRT browser"),
}


def test_every_diagram_is_drawn_here():
    source = Path(__file__).read_text(encoding="utf-8")
    assert [name for name in diagrams.__all__ if f"diagrams.{name}" not in source] == []


def drawn(name: str):
    figure = DRAWN[name][0]()
    figure.draw_without_rendering()
    return figure


def labels(figure) -> list:
    """Every visible text of a figure that has letters in it."""
    found = figure.findobj(lambda artist: isinstance(artist, matplotlib.text.Text))
    unique = {id(text): text for text in found}.values()
    return [text for text in unique if text.get_visible() and text.get_text().strip()]


def on_axis(text, axes) -> bool:
    """Whether a tick's label is within the limits of its axes; others are never drawn."""
    return all(label is not text for label in _hidden(axes))


def _hidden(axes) -> list:
    hidden = []
    for one in axes:
        for axis in (one.xaxis, one.yaxis):
            low, high = sorted(axis.get_view_interval())
            for tick in (*axis.get_major_ticks(), *axis.get_minor_ticks()):
                shown = one.axison and low - 1e-9 <= tick.get_loc() <= high + 1e-9
                hidden += [] if shown else [tick.label1, tick.label2]
    return hidden


@pytest.fixture(params=DRAWN, scope="module")
def diagram(request):
    """A diagram's name, the figure, and its texts with their places in pixels."""
    figure = drawn(request.param)
    texts = [text for text in labels(figure) if on_axis(text, figure.axes)]
    return request.param, figure, [(text, text.get_window_extent()) for text in texts]


def test_a_diagram_holds_the_numbers_that_the_code_counts(diagram):
    name, _, places = diagram
    found = [word for text, _ in places for word in re.split(r"[\s;:()]+", text.get_text())]
    for word in re.split(r"[\s;:()]+", DRAWN[name][1]):
        wanted = word.strip(",.") if word not in (".sqz", ".onnx", ".tflite") else word
        assert any(wanted in (one, one.strip(",.")) for one in found), wanted


def test_no_two_texts_overlap(diagram):
    _, _, places = diagram
    for (one, a), (other, b) in itertools.combinations(places, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        up = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across < 1 or up < 3, (one.get_text(), other.get_text())


def test_nothing_lies_outside_the_figure_and_letters_are_large_enough(diagram):
    _, figure, places = diagram
    assert tuple(figure.get_size_inches()) == (9.0, 3.5)
    for text, place in places:
        assert text.get_fontsize() >= 8, text.get_text()
        assert place.x0 >= 0 and place.x1 <= 900, text.get_text()
        assert place.y0 >= 0 and place.y1 <= 350, text.get_text()
    for patch in figure.axes[0].patches:
        place = patch.get_window_extent()
        assert min(place.min) >= -1 and place.x1 <= 901 and place.y1 <= 351


def test_words_stay_inside_their_boxes_and_no_line_runs_through_them(diagram):
    _, figure, places = diagram
    page = figure.axes[0]
    boxes = [p.get_window_extent() for p in page.patches if isinstance(p, FancyBboxPatch)]
    drawn_lines = [*page.lines, *(p for p in page.patches if isinstance(p, FancyArrowPatch))]
    paths = [line.get_path().transformed(line.get_transform()) for line in drawn_lines]
    pieces = [piece for path in paths for piece in path.to_polygons(closed_only=False)]
    points = np.concatenate([np.zeros((0, 2)), *map(_along, pieces)])
    for text, place in places:
        middle = (place.x0 + place.x1) / 2, (place.y0 + place.y1) / 2
        around = [box for box in boxes if box.contains(*middle)]
        for box in around:
            assert box.x0 - 0.5 <= place.x0 and place.x1 <= box.x1 + 0.5, text.get_text()
        if not around:
            low, high = np.array(place.min) + 1, np.array(place.max) - 1
            assert not ((points > low) & (points < high)).all(1).any(), text.get_text()


def _along(vertices: np.ndarray) -> np.ndarray:
    """Points along a path, close to each other."""
    shares = np.linspace(0, 1, 60)[:, None]
    parts = [a + shares * (b - a) for a, b in itertools.pairwise(vertices)]
    return np.concatenate(parts or [vertices])


def picture(name: str) -> bytes:
    buffer = io.BytesIO()
    DRAWN[name][0]().savefig(buffer, format="png", metadata={"Software": None}, dpi=60)
    return buffer.getvalue()


@pytest.mark.parametrize("name", ["fire2", "dsd", "3 bits", "Huffman"])
def test_a_diagram_is_the_same_every_time_in_the_readers_style_and_ours(name):
    with matplotlib.rc_context():
        matplotlib.rcdefaults()
        first = picture(name)
        figures.use_house_style()
        assert picture(name) == first


@pytest.mark.filterwarnings("error")
def test_a_diagram_is_saved_as_it_is_with_equal_bytes_and_without_a_warning(tmp_path, monkeypatch):
    contents = []
    with matplotlib.rc_context():
        figures.use_house_style()
        for folder in (tmp_path / "one", tmp_path / "two"):
            monkeypatch.setenv("SQUEEZE_FIGURES", str(folder))
            figures.save_figure(DRAWN["fire2"][0](), "fire")
            contents.append([path.read_bytes() for path in sorted(folder.iterdir())])
    assert contents[0] == contents[1] and len(contents[0]) == 2


def test_the_page_is_opaque_and_white():
    figure = drawn("paths")
    canvas = matplotlib.backends.backend_agg.FigureCanvasAgg(figure)
    canvas.draw()
    pixels = np.asarray(canvas.buffer_rgba())
    assert pixels.shape == (350, 900, 4) and (pixels[..., 3] == 255).all()
    assert (pixels[0, 0] == 255).all() and (pixels < 200).any()


def test_the_file_is_taken_apart_without_losing_a_byte():
    for coder in ("best", "gaps", "raw"):
        parts = file_parts(coder)
        regions = diagrams.coding._regions(parts)
        assert sum(sum(region.values()) for region in regions.values()) == sum(parts.values())
        tensors = sum(name.endswith("/header") for name in parts) - 1
        assert regions["sections of the tensors"]["checksums"] == 4 * tensors


def test_the_bits_of_the_message_are_those_of_a_huffman_code():
    codes, book = shared_codes(diagrams.coding._half_zeros(), 2, "exact")
    counts = np.bincount(codes.flatten(), minlength=len(book))
    total = int(huffman.code_lengths(counts) @ counts)
    words = [text.get_text() for text in labels(drawn("Huffman"))]
    assert f"= {total} bits, {total / 16:.3g} for each weight" in words


def test_momentum_revives_what_a_mask_on_the_gradient_alone_would_keep_at_zero():
    _, mask, pruned, revived = diagrams.pruning._steps_of_a_mask()
    assert mask.sum() == 6 and not pruned[~mask].any()
    assert (revived[~mask].abs() > 0.005).all()  # so it shows in two decimals


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda: diagrams.network_map("lenet5"), "a SqueezeNet with a global average, not lenet5"),
        (lambda: diagrams.network_map("squeezenet_small", head="dense"), "a global average"),
        (lambda: diagrams.quantizer(1), "bits"),
        (lambda: diagrams.file_anatomy({"fc/crumbs": 3}), "unknown part 'crumbs'; known: magic"),
        (lambda: diagrams.file_anatomy({}), "no bytes"),
        (lambda: diagrams.dsd_phases((Prune(0.5),)), "no Train step"),
    ],
)
def test_what_cannot_be_drawn_is_refused(draw, message):
    with pytest.raises(ValueError, match=message):
        draw()
