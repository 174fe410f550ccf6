"""The map of the series in notebook 00, and the parts of README.md that are made from files.

README.md holds `<!-- NAME:begin -->` and `<!-- NAME:end -->` around four parts: the headlines and
the results (from the reference records), the notebooks (from the map in notebook 00) and the speed
(from benchmarks/results.json). `make render` and `make readme` write them; a test compares them.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from squeeze_utils.base.files import write_atomically
from tools import readme_headlines, readme_results, title_cells
from tools.execute import read_notebook
from tools.readme_results import markdown_table
from tools.site.chapters import map_rows, notebook_paths, title_of

# At least so much of the medians in benchmarks/results.json, input_percent at most; as in
# benchmarks/train_throughput.py, which no other program can import.
GOALS = {"ratio": 4.0, "fit_of_bare": 0.95, "input_percent": 3.0, "share_of_peak": 0.4}
_LINKED = re.compile(r"\[(?P<title>[^\]]+)\]\((?P<file>[^)]+)\)")


def read_map(root: Path) -> list[tuple[str, str, str, str | None]]:
    """(number, title, question, file or None) of every row of the map in notebook 00."""
    order = notebook_paths(root)
    if not order or not order[0].name.startswith("00"):
        return []
    cells = [cell.source for cell in read_notebook(order[0]).cells if cell.cell_type == "markdown"]
    rows = []
    for number, name, question in map_rows(cells):
        link = _LINKED.fullmatch(name)
        title, file = (link["title"], link["file"]) if link else (name, None)
        rows.append((number, title, question, file))
    return rows


def check_map(root: Path) -> list[str]:
    """Notebooks that the map in 00 does not link by their titles; nothing without a 00."""
    order = notebook_paths(root)
    if not order or not order[0].name.startswith("00"):
        return []
    try:
        listed = {(number, title, file) for number, title, _, file in read_map(root)}
        titles = {path: title_of(path, read_notebook(path).cells[0].source) for path in order}
    except (ValueError, KeyError, AttributeError, IndexError):
        return []  # not readable as a notebook: `check` says which
    problems = []
    for path, title in titles.items():
        if (path.name[:2], title, path.name) not in listed:
            row = f"| {path.name[:2]} | [{title}]({path.name}) | ... |"
            problems.append(f"{order[0].name}: the map lacks the row '{row}'")
    return problems


def parts(root: Path) -> dict[str, str]:
    """The parts of README.md by name, as Markdown."""
    return {
        "headlines": readme_headlines.headlines(root),
        "notebooks": _notebooks(root),
        "results": readme_results.results(root),
        "speed": _speed(root / "benchmarks" / "results.json"),
    }


def rewritten(root: Path) -> tuple[str, list[str]]:
    """README.md with its parts as they should be, and the names of those that were not."""
    text, old = (root / "README.md").read_text(encoding="utf-8"), []
    for name, content in parts(root).items():
        pattern = rf"(?s)(?<=<!-- {name}:begin -->)(.*?)(?=<!-- {name}:end -->)"
        found = re.search(pattern, text)
        if found is None:
            raise ValueError(f"README.md lacks <!-- {name}:begin --> ... <!-- {name}:end -->")
        if found[0].strip() != content.strip():
            old.append(name)
        text = f"{text[: found.start()]}\n{content}\n{text[found.end() :]}"
    return text, old


def update_readme(root: Path) -> bool:
    """Write the parts into README.md; say whether that changed it. Nothing without the file."""
    path = root / "README.md"
    if not path.is_file():
        return False
    text, _ = rewritten(root)
    changed = text != path.read_text(encoding="utf-8")
    if changed:
        write_atomically(path, text.encode())
    return changed


def check_readme(root: Path) -> list[str]:
    """The parts of README.md that differ from what they are made of."""
    if not (root / "README.md").is_file():
        return []
    try:
        _, old = rewritten(root)
    except ValueError as error:
        return [str(error)]
    return [f"README.md: the part '{name}' is old: run make readme" for name in old]


def _notebooks(root: Path) -> str:
    rows = []
    for number, title, question, file in read_map(root):
        place = f"notebooks/{file}"
        name = f"[{title}]({place})" if file else title
        rows.append([number, name, question, title_cells.badge(place) if file else "to come"])
    return markdown_table(["", "notebook", "question", "open"], rows)


def _speed(path: Path) -> str:
    if not path.is_file():
        command = "python benchmarks/train_throughput.py --json benchmarks/results.json"
        return f"*Not measured yet: `{command}`.*"
    about = json.loads(path.read_text(encoding="utf-8"))
    found, precision = about["medians"], about["precision"]
    rows = [
        ["ordinary loop, float32", f"{found['ordinary_images_per_second']:.0f} images/s", ""],
        [f"`fit`, {precision}", f"{found['fit_images_per_second']:.0f} images/s", ""],
        _with_goal("`fit` / ordinary loop, median of the rounds' ratios", found, "ratio"),
        _with_goal(
            "`fit` / bare passes, forward and backward of one fixed batch", found, "fit_of_bare"
        ),
        _with_goal("input pipeline of `fit`", found, "input_percent", " % of an epoch", most=True),
        _with_goal(f"share of the {precision} matrix-product peak", found, "share_of_peak"),
    ]
    where = (
        f"{about['device']}; {about['images']}, batch {about['batch_size']}, medians of "
        f"{about['rounds']} interleaved rounds; torch {about['versions']['torch']}."
    )
    header = ["training squeezenet_small", "median", "goal"]
    return f"{markdown_table(header, rows)}\n\n{where}"


def _with_goal(
    title: str, found: dict[str, float], key: str, unit: str = "", most: bool = False
) -> list[str]:
    """A row with its goal, and whether it is reached; an old file may lack the number."""
    if key not in found:
        return [title, "not measured", ""]
    value, goal = found[key], GOALS[key]
    reached = value <= goal if most else value >= goal
    word, side = "reached" if reached else "missed", "at most" if most else "at least"
    return [title, f"{value:.2f}{unit}", f"{side} {goal:g}: {word}"]
