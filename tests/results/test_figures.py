"""The house style, and figures that come out byte for byte the same."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys

import pytest

matplotlib = pytest.importorskip("matplotlib")
matplotlib.use("agg")

from squeeze_utils.base import files, paths  # noqa: E402
from squeeze_utils.results import figures  # noqa: E402


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("SQUEEZE_FIGURES", str(tmp_path / "figures"))
    with matplotlib.rc_context():
        figures.use_house_style()
        yield tmp_path / "figures"


def drawing(slope: float = 1.0):
    from matplotlib.figure import Figure

    fig = Figure()
    axes = fig.subplots()
    for index in range(3):
        axes.plot(
            [0, 1, 2], [index, index + slope, index], label=f"{index}", **figures.curve_style(index)
        )
    axes.set_xlabel("epoch")
    axes.legend()
    return fig


def lightness(colour: str) -> float:
    """CIE L* of a hex colour, 0 (black) to 100 (white): what is left of it in grey."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue
    return 116 * luminance ** (1 / 3) - 16 if luminance > 0.008856 else 903.3 * luminance


def test_a_second_save_gives_the_same_bytes_and_leaves_the_files_alone(folder):
    figures.save_figure(drawing(), "04_curves")
    files = sorted(folder.iterdir())
    assert [file.name for file in files] == ["04_curves.pdf", "04_curves.png"]
    before = [(file.read_bytes(), file.stat().st_ino, file.stat().st_mtime_ns) for file in files]
    figures.save_figure(drawing(), "04_curves")
    assert before == [(f.read_bytes(), f.stat().st_ino, f.stat().st_mtime_ns) for f in files]


def test_another_process_at_another_time_gives_the_same_bytes(folder, tmp_path):
    """A date in the file, or an order that hangs on the hash seed, would show here."""
    code = (
        "from matplotlib.figure import Figure\n"
        "from squeeze_utils.results import figures\n"
        "figures.use_house_style()\n"
        "fig = Figure(); axes = fig.subplots()\n"
        "axes.plot([1, 2], label='loss'); axes.legend()\n"
        "figures.save_figure(fig, '00_same')\n"
    )
    contents = []
    for number, zone in enumerate(("UTC", "Asia/Tokyo")):
        target = tmp_path / str(number)
        extra = {"SQUEEZE_FIGURES": str(target), "PYTHONHASHSEED": str(number), "TZ": zone}
        subprocess.run([sys.executable, "-c", code], check=True, env={**os.environ, **extra})
        contents.append([(target / f"00_same.{kind}").read_bytes() for kind in ("pdf", "png")])
    assert contents[0] == contents[1]


def test_a_changed_figure_replaces_the_file(folder):
    figures.save_figure(drawing(), "04_curves")
    before = (folder / "04_curves.png").read_bytes()
    figures.save_figure(drawing(slope=2.0), "04_curves")
    assert (folder / "04_curves.png").read_bytes() != before


def test_a_failed_write_leaves_the_old_file_and_no_litter(folder, monkeypatch):
    figures.save_figure(drawing(), "04_curves")
    before = {file.name: file.read_bytes() for file in folder.iterdir()}

    def broken(source, target):
        raise OSError("disk full")

    monkeypatch.setattr(files.os, "replace", broken)
    with pytest.raises(OSError, match="disk full"):
        figures.save_figure(drawing(slope=2.0), "04_curves")
    assert before == {file.name: file.read_bytes() for file in folder.iterdir()}


def test_files_carry_no_date_and_no_program_and_embed_real_fonts(folder):
    figures.save_figure(drawing(), "04_curves")
    pdf = (folder / "04_curves.pdf").read_bytes()
    png = (folder / "04_curves.png").read_bytes()
    assert b"CreationDate" not in pdf
    assert b"Matplotlib" not in pdf
    assert b"Matplotlib" not in png
    assert b"/Type3" not in pdf and b"/CIDFontType2" in pdf  # fonttype 42


def test_png_is_opaque_white(folder):
    from matplotlib.image import imread

    figures.save_figure(drawing(), "04_curves")
    pixels = imread(folder / "04_curves.png")
    assert pixels[0, 0, :3].tolist() == [1.0, 1.0, 1.0]
    assert pixels.shape[2] == 3 or (pixels[..., 3] == 1.0).all()


def test_the_same_bytes_whatever_was_set_before(folder):
    figures.save_figure(drawing(), "04_curves")
    before = (folder / "04_curves.pdf").read_bytes()
    matplotlib.rcParams["pdf.fonttype"] = 3
    matplotlib.rcParams["savefig.transparent"] = True
    figures.save_figure(drawing(), "04_curves")
    assert (folder / "04_curves.pdf").read_bytes() == before


@pytest.mark.parametrize("name", ["", "a/b", "../x", "curves.png", "a b", "é"])
def test_a_bad_name_is_refused(name, folder):
    with pytest.raises(ValueError, match="04_optimizers_curves"):
        figures.save_figure(drawing(), name)
    assert not folder.exists()


def test_neighbouring_colours_differ_in_grey():
    greys = [lightness(colour) for colour in figures.PALETTE]
    steps = [abs(a - b) for a, b in itertools.pairwise(greys)]
    assert min(steps) > 6
    assert min(steps[:4]) > 12
    assert max(greys) < 75  # none too pale on white


def test_curves_differ_in_more_than_colour():
    count = len(figures.PALETTE)
    assert len(figures.LINESTYLES) == len(figures.MARKERS) == count
    looks = {
        (str(figures.curve_style(i)["linestyle"]), figures.curve_style(i)["marker"])
        for i in range(count)
    }
    assert len(looks) == count
    assert figures.curve_style(count) == figures.curve_style(0)


def test_style_replaces_what_a_reader_had_set_and_keeps_the_backend():
    backend = matplotlib.get_backend()
    matplotlib.rcParams["font.size"] = 33
    matplotlib.rcParams["axes.labelcolor"] = "red"
    figures.use_house_style()
    assert matplotlib.rcParams["font.size"] == 10
    assert matplotlib.rcParams["axes.labelcolor"] == "black"
    assert matplotlib.get_backend() == backend


def test_folder_of_the_repository_without_the_variable(monkeypatch, tmp_path):
    monkeypatch.delenv("SQUEEZE_FIGURES")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(paths, "PACKAGE", tmp_path / "installed" / "squeeze_utils")
    assert figures.figures_folder() == tmp_path / "figures"
    checkout = tmp_path / "checkout"
    (checkout / "notebooks").mkdir(parents=True)
    (checkout / "pyproject.toml").touch()
    monkeypatch.setattr(paths, "PACKAGE", checkout / "squeeze_utils")
    assert figures.figures_folder() == checkout / "figures"


def test_missing_matplotlib_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ImportError, match="pip install matplotlib"):
        figures.use_house_style()


def test_the_figure_of_a_study_without_records_is_not_saved(tmp_path, monkeypatch):
    monkeypatch.setenv("SQUEEZE_FIGURES", str(tmp_path))
    figures.save_figure(None, "04_curves")
    assert not list(tmp_path.iterdir())
    with pytest.raises(ValueError, match="figure name"):
        figures.save_figure(None, "04 curves")


def test_a_curve_has_a_number():
    with pytest.raises(TypeError, match="integer"):
        figures.curve_style("a")
