"""The finished pages: does every link to the site or the project lead somewhere, is all here?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

# What a browser fetches by itself; a link that a reader may click is another matter.
_FETCHED = {
    ("script", "src"), ("img", "src"), ("iframe", "src"), ("source", "src"), ("link", "href"),
    ("img", "srcset"), ("video", "src"), ("audio", "src"), ("object", "data"),
}  # fmt: skip
_LINKS = {("a", "href"), *_FETCHED}
_NOT_FETCHED = {"canonical", "author", "license", "next", "prev", "index", "search", "help"}
_CSS_ADDRESS = re.compile(r"url\(\s*['\"]?([^'\")]+)|@import\s+['\"]([^'\"]+)")


@dataclass
class Page(HTMLParser):
    """The anchors of a page, what it links to, and what it loads."""

    ids: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loads: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note what a tag is, links to and loads."""
        values = {name: value for name, value in attrs if value is not None}
        self.ids |= {values[name] for name in ("id", "name") if name in values}
        self.loads += _css_addresses(values.get("style", ""))
        rel = set(values.get("rel", "").split())
        for name, value in values.items():
            if (tag, name) in _FETCHED and not rel & _NOT_FETCHED:
                self.loads.append(value)
            if (tag, name) in _LINKS:
                self.links.append(value)


def _css_addresses(text: str) -> list[str]:
    return [one or other for one, other in _CSS_ADDRESS.findall(text)]


def problems(site: Path, published: Mapping[str, Path] | None = None) -> list[str]:
    """Every broken link and everything that would be fetched from elsewhere, one line each.

    Args:
        site: the folder of the pages.
        published: folders of this computer that others find under an address, by this address. A
            link that begins with it has to lead to what the folder has.
    """
    pages = {path.resolve(): _read(path) for path in sorted(site.rglob("*.html"))}
    if not pages:
        return [f"{site} holds no page"]
    found = [
        f"{path.relative_to(site.resolve())}: {problem}"
        for path, page in pages.items()
        for problem in (
            *_problems_of(path, page, pages, site.resolve()),
            *_unpublished(page, published or {}),
        )
    ]
    for sheet in sorted(site.rglob("*.css")):
        for address in _css_addresses(sheet.read_text(encoding="utf-8")):
            if problem := _load_problem(address, sheet.resolve(), site.resolve()):
                found.append(f"{sheet.relative_to(site)}: {problem}")
    return found


def _read(path: Path) -> Page:
    page = Page()
    page.feed(path.read_text(encoding="utf-8"))
    return page


def _problems_of(path: Path, page: Page, pages: dict[Path, Page], site: Path) -> Iterator[str]:
    for address in dict.fromkeys(page.links):
        yield from _link_problem(address, path, pages, site)
    for address in dict.fromkeys(page.loads):
        if urlsplit(address).scheme in ("http", "https") or address.startswith("//"):
            yield f"loads {address} from elsewhere"


def _link_problem(address: str, path: Path, pages: dict[Path, Page], site: Path) -> Iterator[str]:
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return
    if parts.path.startswith("/"):
        yield f"{address} is a path from the root: it fails when the page is opened as a file"
        return
    target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
    if target.is_dir():
        yield f"{address} is a folder: it fails when the page is opened as a file"
    elif not target.is_relative_to(site) or not target.is_file():
        yield f"{address} does not exist"
    elif parts.fragment and target in pages and not _has(pages[target], parts.fragment):
        yield f"{address}: the page has no such place"


def _unpublished(page: Page, published: Mapping[str, Path]) -> Iterator[str]:
    """Links to what a published folder does not have."""
    for address in dict.fromkeys(page.links):
        for beginning, folder in published.items():
            if address.startswith(beginning):
                path = unquote(urlsplit(address.removeprefix(beginning)).path)
                if not (folder / path).exists():
                    yield f"{address}: there is no {path} here"


def _has(page: Page, fragment: str) -> bool:
    return unquote(fragment) in page.ids or fragment == "top"


def _load_problem(address: str, sheet: Path, site: Path) -> str:
    """What is wrong with an address in a style sheet; nothing if it is a file of the site."""
    parts = urlsplit(address)
    if parts.scheme == "data" or address.startswith("#"):
        return ""
    if parts.scheme or parts.netloc:
        return f"loads {address} from elsewhere"
    target = (sheet.parent / unquote(parts.path)).resolve()
    there = target.is_relative_to(site) and target.is_file()
    return "" if there else f"{address} does not exist"
