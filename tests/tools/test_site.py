"""The parts of the site that need neither Sphinx nor a browser: what it says and where it leads."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path, PurePosixPath

import formulas
import pytest

from tools.site import build, dependency_map, links, pages, stage, symbols
from tools.site import paths as reading
from tools.site.chapters import (
    PACE,
    Chapter,
    Section,
    headings,
    notebook_paths,
    read_cells,
    read_chapter,
    read_chapters,
    reading_minutes,
)

ROOT = Path(__file__).resolve().parents[2]
CHAPTERS = read_chapters(ROOT)
RUNS = re.compile(r"the cells (run in|take) .+? on two", re.IGNORECASE)


def chapter(
    number: str, *needs: str, minutes: int = 60, exercises: tuple[int, ...] = ()
) -> Chapter:
    sections = (Section("First", 45 * PACE), Section("Second", 15 * PACE))
    return Chapter(
        number, f"{number}_topic", f"Topic {number}", "Why?", needs, minutes,
        exercises, sections, (),
    )  # fmt: skip


def notebook(folder: Path, *cells: tuple[str, str, str], name: str = "03_topic") -> Path:
    """A notebook of cells (kind, id, source)."""
    path = folder / f"{name}.ipynb"
    made = [
        {"cell_type": kind, "id": label, "metadata": {}, "source": source.splitlines(True)}
        | ({"outputs": [], "execution_count": None} if kind == "code" else {})
        for kind, label, source in cells
    ]
    path.write_text(json.dumps({"cells": made, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}))
    return path


OPENING = """\
**The question.** Does it
fit?

**You need** [notebook 02](02_x.ipynb), [notebook 01](01_x.ipynb) and [notebook 03](03_x.ipynb).

**Time.** About an hour and a quarter to read. The cells run in about 40 seconds on two cores."""
SAMPLE = (
    ("markdown", "title", "# 03 · A topic"),
    ("markdown", "question", OPENING),
    ("code", "install", "import sys"),
    ("markdown", "one", "## One\n\nfour words stand here\n\n```\n## no heading\n```"),
    ("code", "draw", 'fig = 1\nsq.save_figure(fig, "03_wide_map")'),
    ("markdown", "two", "## Two\n\nsee [the card](../data/README.md) and [code](../setup.py)"),
    (
        "markdown",
        "exercises",
        "## Exercises\n\n**1. Go** (easy, 10 min). x\n\n**2. On** (hard, 25 min). x",
    ),
)


# --- what a notebook says about itself ------------------------------------------------------------


def test_a_chapter_is_read_from_its_notebook(tmp_path):
    found = read_chapter(notebook(tmp_path, *SAMPLE))
    assert (found.number, found.title, found.question) == ("03", "A topic", "Does it fit?")
    assert found.needs == ("02", "01") and found.minutes == 75
    assert found.exercises == (10, 25)
    assert [section.title for section in found.sections] == ["One", "Two", "Exercises"]
    assert [(f.name, f.cell, f.section) for f in found.figures] == [("03_wide_map", "draw", "One")]
    assert found.figures[0].words == "wide map"


def test_a_notebook_with_another_number_is_refused(tmp_path):
    with pytest.raises(ValueError, match="must start with '# 03 · Title'"):
        read_chapter(notebook(tmp_path, ("markdown", "title", "# 04 · Other")))


@pytest.mark.parametrize(
    ("text", "minutes"),
    [
        ("About 50 minutes to read; the cells", 50),
        ("About an hour to read.", 60),
        ("About an hour and a half to read.", 90),
        ("About two hours and a quarter to read.", 135),
        ("Half of it: half an hour to read.", 30),
    ],
)
def test_minutes_to_read(text, minutes):
    assert reading_minutes(text, "x") == minutes


def test_a_time_that_nobody_can_read_is_said():
    with pytest.raises(ValueError, match=r"03_x: \*\*Time\.\*\* must say 'About N minutes"):
        reading_minutes("Not long.", "03_x")


def test_headings_inside_code_do_not_count():
    assert [*headings("# A\n```\n# b\n```\n### C")] == [(1, "A"), (3, "C")]


def test_every_notebook_of_the_series_can_be_read():
    assert [c.number for c in CHAPTERS] == sorted({c.number for c in CHAPTERS})
    for path, found in zip(notebook_paths(ROOT), CHAPTERS, strict=True):
        assert found.question and found.sections and found.exercises, found.stem
        assert any(RUNS.search(cell["source"]) for cell in read_cells(path)), found.stem
        assert 20 <= found.minutes <= 180, found.stem
        known = {c.number for c in CHAPTERS}
        assert all(need < found.number and need in known for need in found.needs), found.stem


# --- the symbols ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tex", "formula", "there"),
    [
        ("e", "e = 1", True),
        ("e", "e_1 = 1", False),
        ("e", r"\times", False),
        ("e", r"\text{e}", False),
        ("e_1", r"2 e_1 + 1", True),
        ("p", r"\hat p", True),
        (r"\hat p", r"\hat{p} = 1", True),
        (r"\eta", r"\eta_t", False),
        (r"\eta", r"\beta", False),
        (r"\eta", r"\eta\lambda", True),
        (r"c_\text{in}", r"c_\text{in} + 1", True),
        (r"X^\top", r"G V^\top", True),
        (r"\operatorname{AP}", r"\operatorname{AP} = 1", True),
        (r"\operatorname{AP}", r"\operatorname{mAP} = A P", False),
        ("W", r"\frac{W}{2}", True),
    ],
)
def test_a_symbol_is_found_as_a_whole(tex, formula, there):
    assert formulas.occurs(tex, formula) is there


def test_formulas_are_what_stands_between_dollars():
    text = "a $x$ and\n$$y\n= 1$$ but \\$5 and \\$6"
    assert list(formulas.formulas_of(text)) == ["x", "y\n= 1"]


def test_every_symbol_occurs_where_the_glossary_says():
    found = formulas.not_found(symbols.read_symbols(), formulas.formulas(ROOT))
    assert not found, "\n" + "\n".join(found)


def test_a_symbol_that_is_not_there_is_reported():
    made = symbols.Symbol(r"\aleph", "nothing", ("00", "99"), "group")
    found = formulas.not_found([made], {"00": ["x"]})
    assert found == [r"\aleph does not occur in chapter 00"]


# A letter that one section explains and uses alone.
LOCAL = {("00", "k"), ("08", "x"), ("11", "b"), ("11", "l"), ("16", "a")}


def test_every_letter_that_a_chapter_uses_often_is_in_the_glossary():
    made = [symbols.Symbol(letter, "local", (number,), "") for number, letter in LOCAL]
    found = formulas.unexplained([*symbols.read_symbols(), *made], formulas.formulas(ROOT))
    assert not found, "\n" + "\n".join(found)


def test_a_letter_without_entry_is_reported():
    made = [symbols.Symbol("A", "with B: boxes", ("00",), "group")]
    text = {"00": [r"A B x_Q \text{words}"] * 6 + ["y"] * 5}
    found = formulas.unexplained(made, text)
    assert found == ["x of chapter 00 has no entry: it is in 6 formulas"]


def test_every_symbol_has_a_meaning_and_no_meaning_is_given_twice():
    entries = symbols.read_symbols()
    assert all(entry.tex and entry.meaning and entry.chapters for entry in entries)
    keys = [(entry.tex, entry.meaning) for entry in entries]
    assert len(keys) == len(set(keys))
    named = {number for entry in entries for number in entry.chapters}
    assert named >= {"00", "01", "02", "03", "12", "13", "14"}


def test_the_glossary_links_only_chapters_that_are_there():
    made = [symbols.Symbol("x", "a number", ("01", "09"), "All")]
    text = pages.glossary(made, [chapter("01")])
    assert "| $x$ | a number | [01](notebooks/01_topic.ipynb) |" in text


# --- reading paths --------------------------------------------------------------------------------


def too_long(paths: list[reading.ReadingPath]) -> list[str]:
    """Every path, or stage of one, that does not fit into its time."""
    return [
        f"{path.title}{', ' + stage if stage else ''}: {minutes} minutes, over {path.limit}"
        for path in paths
        for stage, steps in path.stages().items()
        if (minutes := sum(step.minutes for step in steps)) > path.limit
    ]


def test_the_paths_fit_into_their_time():
    paths = reading.read_paths(CHAPTERS)
    assert [path.title for path in paths] == ["Two hours", "A weekend", "Ten weeks"]
    assert not too_long(paths)
    assert 90 <= paths[0].minutes <= 120


def test_what_a_chapter_states_is_about_what_it_takes():
    for found in CHAPTERS:
        assert found.minutes == pytest.approx(found.minutes_of(), rel=0.45), found.stem
    stated, computed = sum(c.minutes for c in CHAPTERS), sum(c.minutes_of() for c in CHAPTERS)
    assert stated == pytest.approx(computed, rel=0.1)


def test_ten_weeks_hold_every_chapter_once():
    steps = reading.read_paths(CHAPTERS)[2].steps
    assert [step.chapter.number for step in steps] == [c.number for c in CHAPTERS]


def test_minutes_are_those_of_one_pace():
    sections = (Section("First", 4 * PACE), Section("Second", 2 * PACE), Section("Exercises", 900))
    one = replace(chapter("01"), sections=sections)
    assert one.minutes_of(["Second"]) == 2
    assert one.minutes_of() == 6  # reading does not include the exercises
    with pytest.raises(ValueError, match="chapter 01 has no section 'Third'"):
        chapter("01").minutes_of(["Third"])


def test_a_path_without_a_chapter_that_is_still_to_come(tmp_path):
    steps = [{"chapter": "01", "stage": "Week 1"}, {"chapter": "02", "stage": "Week 1"}]
    entry = {
        "title": "T",
        "anchor": "t",
        "about": "",
        "limit": 90,
        "exercises": True,
        "steps": steps,
    }
    (tmp_path / "paths.json").write_text(json.dumps([entry]))
    (path,) = reading.read_paths([chapter("01", exercises=(20, 15))], tmp_path / "paths.json")
    assert [step.minutes for step in path.steps] == [95]
    assert too_long([path]) == ["T, Week 1: 95 minutes, over 90"]


def test_hours():
    assert [reading.hours(n) for n in (0, 45, 60, 85)] == ["0 min", "45 min", "1 h", "1 h 25 min"]


def test_a_path_links_the_sections_it_names():
    step = reading.Step(CHAPTERS[0], (CHAPTERS[0].sections[0].title,), "Because.", False, "")
    text = pages.reading_paths([reading.ReadingPath("T", "t", "About.", 60, (step,))])
    link = f"[{step.sections[0]}](notebooks/{CHAPTERS[0].stem}.ipynb#the-map)"
    assert f"| Because. {link} | {step.minutes} |" in text
    assert "All minutes on this page are estimates" in text and "Together about " in text
    assert "minutes (estimated)" in text and "measured" not in text


def test_a_path_with_exercises_adds_them_up():
    step = reading.Step(chapter("01", exercises=(20, 15)), (), "", True, "Week 1")
    text = pages.reading_paths([reading.ReadingPath("T", "t", "About.", 600, (step,))])
    assert (
        "| Week 1, about 1 h 35 min | [01 · Topic 01](notebooks/01_topic.ipynb) | 60 | 35 | 95 |"
        in text
    )


# --- the map --------------------------------------------------------------------------------------


def test_needs_that_follow_from_others_are_left_out():
    needs = {"00": (), "01": ("00",), "02": ("01", "00"), "03": ("02", "00", "77")}
    assert dependency_map.reduced(needs) == {"00": (), "01": ("00",), "02": ("01",), "03": ("02",)}


def test_a_chapter_stands_below_what_it_needs():
    needs = dependency_map.reduced({c.number: c.needs for c in CHAPTERS})
    row = dependency_map.depths(needs)
    assert all(row[need] < row[number] for number, named in needs.items() for need in named)


def test_a_long_line_has_a_place_in_every_row_it_passes():
    needs = {"00": (), "01": ("00",), "02": ("01",), "03": ("00", "02")}
    rows = dependency_map.ordered(needs)
    assert [sorted(item.number for item in row if not item.bend) for row in rows] == [
        ["00"], ["01"], ["02"], ["03"],
    ]  # fmt: skip
    assert [sum(item.bend for item in row) for row in rows] == [0, 1, 1, 0]


def test_no_two_things_of_a_row_overlap():
    needs = dependency_map.reduced({c.number: c.needs for c in CHAPTERS})
    rows = dependency_map.ordered(needs)
    middle = dependency_map._middles(rows)
    for row in rows:
        for one, other in pairwise(row):
            assert middle[one] + one.width / 2 < middle[other] - other.width / 2


def test_the_drawing_links_every_chapter():
    text = dependency_map.drawing(CHAPTERS)
    for found in CHAPTERS:
        assert f'href="notebooks/{found.stem}.html"' in text
    assert dependency_map.drawing([])  # no chapter, no crash


def test_titles_are_shortened():
    assert dependency_map.short("Counting parameters: the anatomy") == ["Counting parameters"]
    assert dependency_map.short("The released half megabyte of SqueezeNet")[1].endswith("…")


def test_the_map_names_both_directions():
    text = pages.chapter_map([chapter("01"), chapter("02", "01")])
    assert (
        "| [01 · Topic 01](notebooks/01_topic.ipynb) | – | [02](notebooks/02_topic.ipynb) |" in text
    )


# --- gallery and start ----------------------------------------------------------------------------


def test_the_gallery_shows_the_figures_that_exist(tmp_path):
    found = read_chapter(notebook(tmp_path, *SAMPLE))
    text = pages.gallery([found], {"03_wide_map"})
    assert 'href="notebooks/03_topic.html#figure-03_wide_map"' in text
    assert 'src="figures/03_wide_map.png"' in text and 'alt="Figure: wide map"' in text
    assert "03_topic" not in pages.gallery([found], set())


def test_the_gallery_shows_live_figures_from_the_notebook(tmp_path):
    cells = (*SAMPLE[:5], ("code", "boxes-figure", "fig = draw()"), *SAMPLE[5:])
    path = notebook(tmp_path, *cells, ("code", "answer", "plt.show()"))
    made = json.loads(path.read_text())
    for cell in made["cells"]:
        if cell["cell_type"] == "code":
            cell["outputs"] = [{"data": {"image/png": "cGljdHVyZQ=="}}]
    path.write_text(json.dumps(made))
    found = read_chapter(path)
    install, saved, live = found.figures
    assert install.name == "03_live_1" and saved.name == "03_wide_map"  # no exercise's
    assert (live.name, live.words, live.png) == ("03_live_2", "boxes", b"picture")
    text = pages.gallery([found], set())
    assert 'src="figures/03_live_2.png"' in text and "03_live_2.pdf" not in text
    shown = stage.staged(made, PLACE, found, HERE)["cells"]
    assert any('id="figure-03_live_2"' in "".join(cell["source"]) for cell in shown)


def test_every_committed_figure_is_in_the_gallery():
    there = {path.stem for path in (ROOT / "figures").glob("*.png")}
    text = pages.gallery(CHAPTERS, there)
    chapters = {c.number for c in CHAPTERS}
    missing = [n for n in there if n[:2] in chapters and f"figures/{n}.png" not in text]
    assert not missing


def test_the_first_page_lists_chapters_and_paths():
    text = pages.start(CHAPTERS, reading.read_paths(CHAPTERS), ["gallery"])
    for found in CHAPTERS:
        assert f"[{found.title}](notebooks/{found.stem}.ipynb) | {found.minutes} |" in text
    assert "(paths.md#ten-weeks)" in text and "{" not in text.replace("```{", "")


# --- notebooks for the site -----------------------------------------------------------------------

PLACE = PurePosixPath("notebooks/03_topic.ipynb")
HERE = stage.Links({PLACE, PurePosixPath("data/README.md")}, "owner/name", "v1")


def staged(tmp_path):
    path = notebook(tmp_path, *SAMPLE)
    made = stage.staged(json.loads(path.read_text()), PLACE, read_chapter(path), HERE)
    return {cell["id"]: cell for cell in made["cells"]}


def test_a_staged_notebook_has_facts_and_no_installation(tmp_path):
    cells = staged(tmp_path)
    assert "install" not in cells
    assert "about 1 h 15 min to read · about 35 min of exercises" in cells["title"]["source"]
    assert (
        "https://github.com/owner/name/blob/v1/notebooks/03_topic.ipynb" in cells["title"]["source"]
    )


def test_figures_get_a_place_and_words(tmp_path):
    cells = staged(tmp_path)
    assert 'id="figure-03_wide_map"' in cells["place-03_wide_map"]["source"]
    assert cells["draw"]["metadata"]["mystnb"]["image"]["alt"] == "Figure: wide map"


def test_code_of_a_summary_is_folded(tmp_path):
    cells = (*SAMPLE, ("code", "summary-bullets", "sq.say(1)"))
    path = notebook(tmp_path, *cells)
    made = stage.staged(json.loads(path.read_text()), PLACE, read_chapter(path), HERE)
    assert made["cells"][-1]["metadata"]["tags"] == ["hide-input"]


def test_links_lead_to_pages_or_to_the_repository(tmp_path):
    source = staged(tmp_path)["two"]["source"]
    assert "[the card](../data/README.md)" in source
    assert "[code](https://github.com/owner/name/blob/v1/setup.py)" in source


def test_places_in_files_of_the_repository_stay():
    there = HERE.rewrite("[b](../setup.py#L3)", PLACE)
    assert there == "[b](https://github.com/owner/name/blob/v1/setup.py#L3)"


def test_addresses_and_anchors_stay():
    text = "[a](https://x.org/y) [b](#place) [c](03_topic.ipynb#two)"
    assert HERE.rewrite(text, PLACE) == text


def test_a_prediction_becomes_a_box():
    text = "Before.\n\n> **Prediction.** It rises\n> and falls.\n\nAfter."
    made = stage.boxes(text)
    assert ":::{admonition} Prediction\n:class: prediction\nIt rises\nand falls.\n:::" in made
    assert made.startswith("Before.") and made.endswith("After.")


def test_code_in_text_is_left_alone():
    text = "```\n> **Prediction.** [x](../a.py)\n```"
    assert stage.prose(text, "x", PLACE, HERE) == text


def test_the_live_parts_have_their_cells():
    cells = {
        c.number: {
            cell["id"]: cell
            for cell in json.loads((ROOT / f"notebooks/{c.stem}.ipynb").read_text())["cells"]
        }
        for c in CHAPTERS
        if c.number in ("02", "17")
    }
    assert stage.EXPLORER[0] in cells["02"] and stage.DEMO[0] in cells["17"]
    for name, (old, _) in stage.REPLACED.items():
        assert old in "".join(cells["02"][name]["source"])


def test_the_page_of_results_describes_its_tables_as_the_readme_does():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    page = pages.results(readme)
    order = re.search(r"The first table has [^\n]*? The second has [^.]+\.", page)[0]
    assert order.removeprefix("The first table") in readme
    titles = re.findall(r"(?m)^\*\*([^*]+)\*\*", page)
    assert titles[1:] == ["Five comparisons", "In few bytes"]
    assert "(95 % interval)" in page.split("**Five comparisons**")[1].split("**In few bytes**")[0]


def test_a_file_that_did_not_change_is_not_written(tmp_path):
    stage.write_if_changed(tmp_path / "a" / "b", "x")
    before = (tmp_path / "a" / "b").stat().st_mtime_ns
    stage.write_if_changed(tmp_path / "a" / "b", "x")
    assert (tmp_path / "a" / "b").stat().st_mtime_ns == before


def test_the_whole_series_can_be_staged(tmp_path):
    written = build.stage(ROOT, tmp_path)
    assert {tmp_path / "index.md", tmp_path / "glossary.md"} <= written
    assert (tmp_path / "notebooks" / f"{CHAPTERS[0].stem}.ipynb").is_file()
    assert all(path.is_file() for path in written)
    live = next(figure for found in CHAPTERS for figure in found.figures if figure.png)
    assert (tmp_path / "extra" / "figures" / f"{live.name}.png").read_bytes() == live.png


# --- links of the finished pages ------------------------------------------------------------------


@pytest.fixture
def site(tmp_path):
    """Two faultless pages, and a function that spoils one."""
    (tmp_path / "sub").mkdir()
    (tmp_path / "a.css").write_text("p { background: url(a.png) } q { src: url(data:x) }")
    (tmp_path / "a.png").write_bytes(b"")
    first = (
        '<link rel="stylesheet" href="a.css"><h1 id="top-1">A</h1><a href="sub/b.html#two">b</a>'
    )
    (tmp_path / "index.html").write_text(
        first + '<a href="https://x.org">x</a><a href="#top-1">t</a>'
    )
    (tmp_path / "sub/b.html").write_text(
        '<h2 id="two">B</h2><a href="../index.html">a</a><img src="../a.png">'
    )

    def spoil(text: str) -> list[str]:
        with (tmp_path / "sub/b.html").open("a") as file:
            file.write(text)
        return links.problems(tmp_path)

    return spoil


def test_faultless_pages_have_no_problem(site):
    assert site("") == []


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ('<a href="../gone.html">x</a>', "../gone.html does not exist"),
        ('<a href="../index.html#gone">x</a>', "../index.html#gone: the page has no such place"),
        ('<a href="#gone">x</a>', "#gone: the page has no such place"),
        ('<a href="/index.html">x</a>', "/index.html is a path from the root"),
        ('<a href="../">x</a>', "../ is a folder"),
        ('<a href="../../../etc/passwd">x</a>', "../../../etc/passwd does not exist"),
        ('<img src="gone.png">', "gone.png does not exist"),
        ('<script src="https://cdn.example/x.js"></script>', "loads https://cdn.example/x.js from"),
        ('<link rel="stylesheet" href="//cdn.example/x.css">', "loads //cdn.example/x.css from"),
        ('<p style="background: url(https://x.org/a.png)">', "loads https://x.org/a.png from"),
    ],
)  # fmt: skip
def test_a_planted_mistake_is_found(site, text, problem):
    (found,) = site(text)
    assert found.startswith(f"sub/b.html: {problem}")


@pytest.mark.parametrize("host", ["github.com", "colab.research.google.com/github"])
def test_a_link_to_a_file_that_the_repository_lacks_is_found(site, tmp_path, host):
    site("")
    repository, tag = build.address()
    start = f"https://{host}/{repository}/blob/{tag}/"
    lines = (
        f'<a href="{start}squeeze_utils/studies/headline.py#L3">good</a>',
        f'<a href="{start}LICENSE">good</a><a href="{start}data/runs">a folder</a>',
        f'<a href="{start}docs/gone%20away.md#place">bad</a>',
        f'<a href="https://{host}/somebody/else/blob/v1/gone.py">not ours</a>',
    )
    (tmp_path / "index.html").write_text("\n".join(lines))
    (found,) = links.problems(tmp_path, build.published())
    assert found == (
        f"index.html: {start}docs/gone%20away.md#place: there is no docs/gone away.md here"
    )


def test_every_link_to_the_repository_leads_to_a_file(tmp_path):
    build.stage(ROOT, tmp_path)
    starts = "|".join(map(re.escape, build.published()))
    texts = [path.read_text() for kind in ("*.md", "*.ipynb") for path in tmp_path.rglob(kind)]
    found = {path for text in texts for path in re.findall(rf"(?:{starts})([^\s)#\"\\]+)", text)}
    assert len(found) > 20
    assert not {path for path in found if not (ROOT / path).exists()}


def test_style_sheets_are_looked_at(site, tmp_path):
    (tmp_path / "a.css").write_text("@import 'https://x.org/a.css'; p { src: url(gone.woff2) }")
    assert site("") == [
        "a.css: loads https://x.org/a.css from elsewhere",
        "a.css: gone.woff2 does not exist",
    ]


def test_an_empty_folder_is_no_site(tmp_path):
    assert links.problems(tmp_path) == [f"{tmp_path} holds no page"]


# --- versions -------------------------------------------------------------------------------------


def test_the_tools_are_pinned():
    lines = (ROOT / "requirements-site.txt").read_text().splitlines()
    assert all("==" in line for line in lines if line and not line.startswith("#"))
    assert "torch" not in [line.partition("==")[0] for line in lines]


def test_the_address_is_read_without_the_package():
    import squeeze_utils

    assert build.address() == (squeeze_utils.REPOSITORY, f"v{squeeze_utils.__version__}")


def test_questions_come_from_the_map_where_it_has_them():
    assert CHAPTERS[0].question == "How would you know that making a network smaller cost nothing?"
    alone = read_chapter(ROOT / "notebooks" / f"{CHAPTERS[0].stem}.ipynb")
    assert alone.question and alone.question != CHAPTERS[0].question
