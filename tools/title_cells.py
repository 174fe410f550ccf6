"""What every notebook has alike: title cell with badge and links, set-up cells, the address."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from squeeze_utils import REPOSITORY, __version__
from squeeze_utils.base.files import write_atomically
from tools.execute import FOLDED
from tools.site.chapters import title_of

BADGE_IMAGE = "https://colab.research.google.com/assets/colab-badge.svg"
COLAB = "https://colab.research.google.com/github"
INSTALL = "install"  # the id of the installation cell
DEPLOY = ("onnx", "onnxscript", "onnxruntime", "ai-edge-litert")
SETUP = re.compile(r"import squeeze_utils as sq\n\nscale = sq\.start\((jobs=2)?\)")

_DEPLOYS = re.compile(r"(?m)^(from squeeze_utils\.deploy|import onnx)\b")
_OWNED = re.compile(r"\[!\[Open in Colab\]|(\[?(previous|exercises)\]?(\([^)]*\))? \| )")
_OWNER_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?/[A-Za-z0-9._-]+")
_COLAB_LINK = re.compile(r"colab\.research\.google\.com/github/([^/\s]+/[^/\s]+)/blob/([^/\s]+)/")
_CODE_LINK = re.compile(
    r"(?:git clone |git\+|repository-code: \"?)https://github\.com/([\w.-]+/[\w.-]+?)"
    r"(?:\.git)?(?:@([\w.-]+))?(?=[\"'\s`)]|$)"
)


def tag(version: str = __version__) -> str:
    """The git tag of a version: badges open notebooks at it, set-up cells install from it."""
    return f"v{version}"


def install_cell(
    repository: str = REPOSITORY, version: str = __version__, libraries: tuple[str, ...] = ()
) -> str:
    """The source of the folded cell that every notebook begins with.

    Where the package is missing (Colab) it is installed from the repository at the notebook's own
    version, with the libraries that it needs. It asks for lower bounds only, so that torch and
    numpy stay as they are. ``SQUEEZE_REPO`` may name another source, anything pip takes: a folder,
    or ``git+file:///clone@branch``.

    Args:
        libraries: what the notebook needs beside the package; see `more_libraries`.
    """
    names = ", ".join(f'"{name}"' for name in libraries)
    more = f"\n    wanted += [{names}]" if libraries else ""
    return f"""\
# @title On Colab this cell fetches the helpers; elsewhere it does nothing
import importlib.util
import os
import subprocess
import sys

if importlib.util.find_spec("squeeze_utils") is None:
    source = "git+https://github.com/{repository}@{tag(version)}"
    wanted = [os.environ.get("SQUEEZE_REPO", source)]{more}
    subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *wanted], check=True)
    importlib.invalidate_caches()"""


def more_libraries(cells: list[Any]) -> tuple[str, ...]:
    """What writes and runs files for devices, where a code cell imports it; otherwise nothing."""
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    return DEPLOY if any(_DEPLOYS.search(source) for source in code) else ()


def setup_problems(cells: list[Any]) -> Iterator[str]:
    """What is wrong with the first two code cells: the folded installation and the set-up."""
    code = [cell for cell in cells if cell.cell_type == "code"][:2]
    if not code or code[0].source != install_cell(libraries=more_libraries(cells)):
        yield "the first code cell is not the installation cell: run make badges"
    elif {key: code[0].metadata.get(key) for key in FOLDED} != FOLDED:
        yield "the installation cell is not folded: run make badges"
    if len(code) < 2 or not SETUP.fullmatch(code[1].source):
        yield "the second code cell is not the set-up: import squeeze_utils as sq, sq.start()"


def badge(path: str, repository: str = REPOSITORY, version: str = __version__) -> str:
    """The Colab badge of the notebook at ``path`` (from the repository's root, with slashes)."""
    return f"[![Open in Colab]({BADGE_IMAGE})]({COLAB}/{repository}/blob/{tag(version)}/{path})"


def navigation(path: Path, order: list[Path]) -> str:
    """``previous | index | next``, the index being notebook 00; a solution links its exercises."""
    if path.parent.name == "solutions":
        return f"[exercises](../{path.name}) | [index](../{order[0].name})"
    place = [other.name for other in order].index(path.name)
    before = order[place - 1].name if place > 0 else None
    after = order[place + 1].name if place + 1 < len(order) else None
    index = order[0].name if place > 0 else None
    links = {"previous": before, "index": index, "next": after}
    return " | ".join(f"[{word}]({to})" if to else word for word, to in links.items())


def masthead(path: Path, order: list[Path], text: str, repository: str = REPOSITORY) -> str:
    """The title cell: the title and prose of ``text`` kept, badge and links as they should be.

    Args:
        path: the notebook, ``.../notebooks/NN_topic.ipynb`` or in ``solutions/`` below.
        order: the notebooks of the series, first to last.
        text: the cell as it stands; its first line must be ``# NN · Title``.
    """
    title_line = f"# {path.name[:2]} · {title_of(path, text)}"
    solution = path.parent.name == "solutions"
    place = f"notebooks/{'solutions/' if solution else ''}{path.name}"
    prose = "\n".join(line for line in text.splitlines()[1:] if not _OWNED.match(line)).strip()
    parts = [title_line, badge(place, repository), navigation(path, order), prose]
    return "\n\n".join(part for part in parts if part)


def rewrite(notebook: Any, path: Path, order: list[Path], repository: str = REPOSITORY) -> None:
    """Bring title cell, installation cell and every address in a notebook up to date, in place."""
    if not notebook.cells or notebook.cells[0].cell_type != "markdown":
        raise ValueError(f"{path.name}: the first cell must be Markdown with the title")
    first = notebook.cells[0]
    first.source = masthead(path, order, first.source, repository)
    for cell in notebook.cells:
        if cell.cell_type == "code" and cell.id == INSTALL:
            cell.source = install_cell(repository, libraries=more_libraries(notebook.cells))
            cell.metadata.update(FOLDED)
        elif cell.cell_type == "markdown":
            cell.source = _up_to_date(cell.source, repository)


def check_address(repository: str) -> None:
    """Refuse what is no address ``owner/name``."""
    if repository != REPOSITORY and not _OWNER_NAME.fullmatch(repository):
        raise ValueError(f"{repository!r} is not an address on GitHub: give owner/name")


def set_address(root: Path, repository: str) -> None:
    """Write the address ``owner/name`` into README.md and CITATION.cff, then into the package.

    The package comes last: until then another run knows the old address, which it replaces.
    """
    check_address(repository)
    for name in ("README.md", "CITATION.cff"):
        if (root / name).is_file():
            text = _up_to_date((root / name).read_text(encoding="utf-8"), repository)
            text = re.sub(r'(?m)^version: ".*"$', f'version: "{__version__}"', text)
            write_atomically(root / name, text.encode())
    package = root / "squeeze_utils" / "__init__.py"
    text = package.read_text(encoding="utf-8")
    new = re.sub(r'(?m)^REPOSITORY = ".*"$', f'REPOSITORY = "{repository}"', text)
    write_atomically(package, new.encode())


def _up_to_date(text: str, repository: str) -> str:
    text = _COLAB_LINK.sub(f"colab.research.google.com/github/{repository}/blob/{tag()}/", text)
    return text.replace(f"github.com/{REPOSITORY}", f"github.com/{repository}")


def wrong_addresses(text: str) -> list[str]:
    """Every Colab, clone and install address in ``text`` that is not this repository's."""
    found = [*_COLAB_LINK.findall(text), *_CODE_LINK.findall(text)]
    wrong = [pair for pair in found if pair not in ((REPOSITORY, tag()), (REPOSITORY, ""))]
    return [f"{name} at {ref}" if ref else name for name, ref in wrong]
