"""The house figure style, and saving a figure as PDF and PNG, byte for byte the same each time."""

from __future__ import annotations

import base64
import io
import operator
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from squeeze_utils.base.files import write_atomically
from squeeze_utils.base.paths import repository

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from matplotlib.transforms import Bbox
    from PIL.Image import Image

# Seven of the eight colours of Okabe and Ito, which stay apart for colour-blind readers (the
# eighth, yellow, is too pale for a line on white). Neighbours in this order differ in lightness,
# so that they stay apart in grey; line styles and markers tell the rest.
PALETTE: tuple[str, ...] = (
    "#0072B2",  # blue
    "#E69F00",  # orange
    "#000000",  # black
    "#009E73",  # bluish green
    "#56B4E9",  # sky blue
    "#D55E00",  # vermillion
    "#CC79A7",  # reddish purple
)
LINESTYLES: tuple[Any, ...] = (
    "-",
    (0, (5, 2)),
    (0, (1, 1.5)),
    (0, (6, 2, 1, 2)),
    (0, (3, 1)),
    (0, (8, 2, 1, 2, 1, 2)),
    (0, (1, 3)),
)
MARKERS: tuple[str, ...] = ("o", "s", "^", "D", "v", "P", "X")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
# Dates, program names and versions that a file would otherwise carry.
_METADATA: dict[str, dict[str, None]] = {
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
    "png": {"Software": None},
}


def _matplotlib() -> Any:
    try:
        import matplotlib
    except ImportError as error:
        raise ImportError(
            "figures need matplotlib: python -m pip install matplotlib seaborn"
        ) from error
    return matplotlib


def kept_picture(text: str) -> Image:
    """A picture that a measurement keeps: an image file in base64."""
    from PIL import Image

    return Image.open(io.BytesIO(base64.b64decode(text)))


def curve_style(index: int) -> dict[str, Any]:
    """Colour, line style and marker of the ``index``-th curve, as keyword arguments of ``plot``.

    The three cycle together, with a period of seven.

    >>> import squeeze_utils as sq
    >>> sq.curve_style(0)
    {'color': '#0072B2', 'linestyle': '-', 'marker': 'o'}
    """
    place = operator.index(index) % len(PALETTE)
    return {
        "color": PALETTE[place],
        "linestyle": LINESTYLES[place],
        "marker": MARKERS[place],
    }


def house_settings() -> dict[str, Any]:
    """The matplotlib settings of every figure in the series (sizes in inches and points)."""
    from cycler import cycler

    return {
        "figure.figsize": (6.4, 3.8),
        "figure.dpi": 100,
        "figure.facecolor": "white",
        "figure.constrained_layout.use": True,
        "axes.facecolor": "white",
        "axes.grid": True,
        "axes.axisbelow": True,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.prop_cycle": cycler(color=PALETTE) + cycler(linestyle=LINESTYLES),
        "axes.titlesize": 11,
        "axes.labelsize": 10,
        "grid.color": "#d9d9d9",
        "grid.linewidth": 0.6,
        "lines.linewidth": 1.8,
        "lines.markersize": 5,
        "legend.frameon": False,
        "legend.fontsize": 9,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "font.family": "DejaVu Sans",  # travels with matplotlib: the same on every machine
        "font.size": 10,
        "image.cmap": "cividis",
        "savefig.facecolor": "white",
        "savefig.transparent": False,
        "savefig.dpi": 160,
        "savefig.pad_inches": 0.1,
        "pdf.fonttype": 42,
        "ps.fonttype": 42,
        "svg.hashsalt": "squeeze",
    }


def use_house_style() -> None:
    """Make the house style matplotlib's style for this session, and show figures as inline PNG."""
    _matplotlib()
    import matplotlib.style

    # "default" first: a reader's own matplotlibrc must not change the published figures
    matplotlib.style.use(["default", house_settings()])
    _plain_inline_figures()


def _plain_inline_figures() -> None:
    """In a notebook: opaque PNG figures without matplotlib's version in the file."""
    try:
        from IPython import get_ipython
        from matplotlib_inline.config import InlineBackend
    except ImportError:
        return
    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        return
    backend = InlineBackend.instance(parent=shell)
    backend.figure_formats = {"png"}
    backend.print_figure_kwargs = {"bbox_inches": "tight", "metadata": _METADATA["png"]}


def figures_folder() -> Path:
    """Where figures go: ``$SQUEEZE_FIGURES``, else ``figures/`` of the repository or folder."""
    named = os.environ.get("SQUEEZE_FIGURES")
    if named:
        return Path(named).expanduser()
    return (repository() or Path.cwd()) / "figures"


def save_figure(fig: Figure | None, name: str) -> None:
    """Write ``fig`` as ``<name>.pdf`` and ``<name>.png`` into the folder of figures.

    None, the figure of a study without records, is not written.

    The files hold no date and no version, so an unchanged figure gives the same bytes; a file
    is replaced, in one step, only when its bytes differ. Axes stay where they are from now on.

    Args:
        fig: a matplotlib figure, or None.
        name: file name without an ending, for example ``"04_optimizers_curves"``.

    >>> import os, tempfile
    >>> import matplotlib.pyplot as plt
    >>> import squeeze_utils as sq
    >>> before = os.environ.get("SQUEEZE_FIGURES")
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     os.environ["SQUEEZE_FIGURES"] = folder
    ...     sq.save_figure(plt.figure(), "00_empty")
    ...     sorted(os.listdir(folder))
    ['00_empty.pdf', '00_empty.png']
    >>> _ = os.environ.pop("SQUEEZE_FIGURES")
    >>> os.environ.update({} if before is None else {"SQUEEZE_FIGURES": before})
    """
    if not _NAME.fullmatch(name):
        raise ValueError(
            f"the figure name {name!r} is not usable: give letters, digits, '_' and '-' only, "
            "without folder or ending, for example '04_optimizers_curves'"
        )
    if fig is None:
        return
    folder = figures_folder()
    box = _place(fig)
    for ending in ("png", "pdf"):
        path, content = folder / f"{name}.{ending}", _render(fig, ending, box)
        if not path.is_file() or path.read_bytes() != content:
            write_atomically(path, content)


def _place(fig: Figure) -> Bbox:
    """Place everything, and say what rectangle (in inches) holds it, with a small margin.

    That takes as long as drawing does, so it is done once for all formats.
    """
    settings = house_settings()
    fig.draw_without_rendering()
    fig.set_layout_engine("none")
    return fig.get_tightbbox().padded(settings["savefig.pad_inches"])


def _render(fig: Figure, ending: str, box: Bbox) -> bytes:
    """The bytes of the part of the figure inside `box`, in one format."""
    fixed = ("savefig.facecolor", "savefig.transparent", "savefig.dpi", "pdf.fonttype")
    settings = {key: value for key, value in house_settings().items() if key in fixed}
    buffer = io.BytesIO()
    with _matplotlib().rc_context(settings):
        fig.savefig(buffer, format=ending, bbox_inches=box, metadata=_METADATA[ending])
    return buffer.getvalue()
