"""`make site`: stage the notebooks and the pages around them, run Sphinx, check every link."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import os
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from types import ModuleType

from tools.site import katex, links, pages
from tools.site.chapters import notebook_paths, read_chapters
from tools.site.paths import read_paths
from tools.site.stage import Links, staged, write_if_changed
from tools.site.symbols import read_symbols

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
BUILD = ROOT / "build"
SOURCE, SITE, DOCTREES = BUILD / "site-source", BUILD / "site", BUILD / "site-doctrees"

KATEX = "katex@0.19.1"
KATEX_SHA512 = (
    "jG8uKntjSEcm2EpQOh0XturpPuuC9r3Sq5HLHdsFdWZT27E672SF19QEi+of0/YeOy15lDgRhKvr5614uRrEfA=="
)
FONTS = {  # family: its faces
    "AMS": ("Regular",),
    "Caligraphic": ("Bold", "Regular"),
    "Fraktur": ("Bold", "Regular"),
    "Main": ("Bold", "BoldItalic", "Italic", "Regular"),
    "Math": ("BoldItalic", "Italic"),
    "SansSerif": ("Bold", "Italic", "Regular"),
    "Script": ("Regular",),
    **dict.fromkeys(("Size1", "Size2", "Size3", "Size4", "Typewriter"), ("Regular",)),
}
KATEX_FILES = (
    "katex.min.js",
    "katex.min.css",
    *(f"fonts/KaTeX_{name}-{face}.woff2" for name, faces in FONTS.items() for face in faces),
)

# Pages that lie in the repository as Markdown, besides the notebooks.
TEXTS = (
    "data/README.md",
    "deploy/README.md",
    "deploy/raspberry_pi/README.md",
    "benchmarks/README.md",
    "CONTRIBUTING.md",
    "docs/adding.md",
    "docs/exercises.md",
    "docs/cluster.md",
)


def browser_demo() -> ModuleType:
    """deploy/browser/serve.py as a module: it fetches from npm, and makes and serves the demo."""
    spec = importlib.util.spec_from_file_location("site_demo", ROOT / "deploy/browser/serve.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def address(root: Path = ROOT) -> tuple[str, str]:
    """The repository's address and the tag, as the package has them, without importing it."""
    text = (root / "squeeze_utils" / "__init__.py").read_text(encoding="utf-8")
    repository = re.search(r'^REPOSITORY = "(.+)"$', text, re.M)
    version = re.search(r'^__version__ = "(.+)"$', text, re.M)
    return repository[1], f"v{version[1]}"


def stage(root: Path, source: Path) -> set[Path]:
    """Write everything that Sphinx reads into ``source``; the files that belong there."""
    chapters, written = read_chapters(root), set()
    solutions = sorted(path.name for path in (root / "notebooks/solutions").glob("*.ipynb"))
    texts = [name for name in TEXTS if (root / name).is_file()]
    places = [PurePosixPath("notebooks") / path.name for path in notebook_paths(root)]
    places += [PurePosixPath("notebooks/solutions") / name for name in solutions]
    here = Links({*places, *map(PurePosixPath, texts)}, *address(root))
    by_stem = {chapter.stem: chapter for chapter in chapters}

    def write(name: str | PurePosixPath, content: str | bytes) -> None:
        write_if_changed(source / name, content)
        written.add(source / name)

    for place in places:
        notebook = json.loads((root / place).read_text(encoding="utf-8"))
        chapter = by_stem[place.stem] if place.parent.name == "notebooks" else None
        write(place, json.dumps(staged(notebook, place, chapter, here), ensure_ascii=False))
    for name in texts:
        text = (root / name).read_text(encoding="utf-8")
        write(name, here.rewrite(text, PurePosixPath(name)))
    there = {path.stem for path in (root / "figures").glob("*.png")}
    for name, text in _around(root, chapters, [Path(n).stem for n in solutions], texts, there):
        write(name, text)
    for path in (root / "figures").iterdir():
        if path.suffix in (".png", ".pdf"):
            write(f"extra/figures/{path.name}", path.read_bytes())
    for figure in (one for chapter in chapters for one in chapter.figures if one.png):
        write(f"extra/figures/{figure.name}.png", figure.png)
    return written


def _around(root, chapters, solutions, texts, there):
    paths = read_paths(chapters)
    look_up = ["gallery", "glossary", "results", "live", "solutions"]
    look_up += [str(PurePosixPath(name).with_suffix("")) for name in texts]
    yield "index.md", pages.start(chapters, paths, look_up)
    yield "paths.md", pages.reading_paths(paths)
    yield "map.md", pages.chapter_map(chapters)
    yield "gallery.md", pages.gallery(chapters, there)
    yield "glossary.md", pages.glossary(read_symbols(), chapters)
    yield "live.md", pages.live()
    yield "results.md", pages.results((root / "README.md").read_text(encoding="utf-8"))
    yield "solutions.md", pages.solutions(solutions, chapters)


def build(tell: Callable[[str], None] = print) -> int:
    """Make the site in build/site; 0 if all is well."""
    tools = Path(sys.prefix) / "share" / "site"  # kept by `make clean`: a second build is offline
    os.environ["PATH"] = f"{Path(sys.prefix) / 'bin'}{os.pathsep}{os.environ['PATH']}"
    demo = browser_demo()
    try:
        demo.fetch_package(KATEX, KATEX_SHA512, KATEX_FILES, tools / KATEX, "2 MB")
        extra = demo.build(SOURCE / "extra" / "demo", tools / demo.PACKAGE)
    except demo.Problem as problem:
        tell(f"error: {problem}")
        return 1
    written = stage(ROOT, SOURCE) | {path for path in extra.rglob("*")}
    _static(tools / KATEX, written)
    _start_anew_if(_removed_others(written) or _tools_changed())
    tell(f"making the pages of {len(notebook_paths(ROOT))} notebooks ...")
    if status := _sphinx(tools / KATEX):
        return status
    return check(tell)


def _static(folder: Path, written: set[Path]) -> None:
    """Style sheets and scripts, KaTeX's among them."""
    target = SOURCE / "_static"
    write_if_changed(target / "katex.css", katex.style_sheet(folder))
    written.add(target / "katex.css")
    for path in (HERE / "static").iterdir():
        write_if_changed(target / path.name, path.read_bytes())
        written.add(target / path.name)


def _removed_others(written: set[Path]) -> bool:
    """Remove what is no longer part of the site; whether there was anything."""
    old = [path for path in SOURCE.rglob("*") if path.is_file() and path not in written]
    for path in old:
        path.unlink()
    return bool(old)


def _tools_changed() -> bool:
    """Whether this folder is another one than at the last build; Sphinx looks at pages only."""
    digest = hashlib.sha256((ROOT / "requirements-site.txt").read_bytes())
    for path in sorted(HERE.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            digest.update(path.read_bytes())
    stamp = BUILD / "site-tools.txt"
    before = stamp.read_text(encoding="utf-8") if stamp.is_file() else ""
    stamp.write_text(digest.hexdigest(), encoding="utf-8")
    return before != digest.hexdigest()


def _start_anew_if(changed: bool) -> None:
    if changed:
        shutil.rmtree(SITE, ignore_errors=True)
        shutil.rmtree(DOCTREES, ignore_errors=True)


def _sphinx(folder: Path) -> int:
    from sphinx.cmd.build import main

    settings = {
        "katex_folder": folder,
        "html_static_path": SOURCE / "_static",
        "html_extra_path": SOURCE / "extra",
    }
    given = [part for name, value in settings.items() for part in ("-D", f"{name}={value}")]
    how = ["-b", "html", "-q", "-W", "--keep-going"]  # a warning is an error
    where = ["-d", str(DOCTREES), "-c", str(HERE), *given, str(SOURCE), str(SITE)]
    return main([*how, *where])


def published(root: Path = ROOT) -> dict[str, Path]:
    """The checkout by its addresses on GitHub and on Colab."""
    return dict.fromkeys(Links(set(), *address(root)).beginnings, root)


def check(tell: Callable[[str], None] = print) -> int:
    """Look at every link of the pages; 1 and a line for each that is broken."""
    found = links.problems(SITE, published())
    for problem in found:
        tell(f"broken: {problem}")
    count = len(list(SITE.rglob("*.html")))
    tell(f"{count} pages, {len(found)} broken links: {SITE.relative_to(ROOT)}/index.html")
    return 1 if found else 0
