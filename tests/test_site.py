"""The site as it is read: built, its links followed, and its pages opened in headless Chromium."""

import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

import pytest

import test_explorer

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.slow

browser = test_explorer.browser


class Page(NamedTuple):
    """What a page links to, what can be linked to in it, and pictures that nothing is said of."""

    links: set[str]
    anchors: set[str]
    undescribed: set[str]


class Reader(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.page = Page(set(), set(), set())
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {key: value or "" for key, value in attrs}
        self.page.anchors.update(given[key] for key in ("id", "name") if key in given)
        self.page.links.update(given[key] for key in ("href", "src") if key in given)
        if tag == "img" and len(given.get("alt", "").split()) < 5:
            self.page.undescribed.add(given["src"])


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("furo", reason="the site needs the extra docs: pip install '.[docs]'")
    built = tmp_path_factory.mktemp("site")
    sphinx = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-n", "-q"]
    done = subprocess.run([*sphinx, ROOT / "docs", built], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return built


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[Path, Page]:
    found = [path for path in sorted(site.rglob("*.html")) if "_static" not in path.parts]
    assert len(found) > 40
    return {path: Reader(path.read_text(encoding="utf-8")).page for path in found}


def test_no_internal_link_is_dead(pages: dict[Path, Page]) -> None:
    dead = []
    for path, page in pages.items():
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            there = target.is_file()
            if there and parts.fragment and target in pages:
                there = unquote(parts.fragment) in pages[target].anchors
            if not there:
                dead.append((path.name, link))
    assert not dead


def test_every_picture_is_described(pages: dict[Path, Page]) -> None:
    assert not {path.name: page.undescribed for path, page in pages.items() if page.undescribed}


# Formulas are set and pictures are in, or never will be.
SETTLED = """
const done = arguments[0], waiting = [window.MathJax?.startup?.promise];
for (const image of document.images) {
  image.loading = "eager";
  waiting.push(image.decode().catch(() => null));
}
Promise.all(waiting).then(() => done(document.querySelectorAll("mjx-container").length));
"""

BROKEN = r"""
const found = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const {data, parentElement} = texts.currentNode;
  if (/\\[()\[\]]|\\[a-zA-Z]+\{|\$/.test(data) && !parentElement.closest("pre, code, script, style"))
    found.push("as typed: " + data.trim());
}
for (const formula of document.querySelectorAll(".math"))
  if (!formula.querySelector("mjx-container")) found.push("not set: " + formula.textContent);
for (const error of document.querySelectorAll('mjx-merror, mjx-container [style*="red"]'))
  found.push("not understood: " + error.textContent);
for (const image of document.images) if (!image.naturalWidth) found.push("not shown: " + image.src);
if (innerWidth > 1000) for (const block of document.querySelectorAll("div[class*=highlight] pre"))
  if (block.scrollWidth > block.clientWidth) found.push("too wide: " + block.textContent.slice(0, 60));
for (let box = document.querySelector("h1"); box; box = box.parentElement) {
  const scrolls = box === document.documentElement || getComputedStyle(box).overflowX !== "visible";
  if (scrolls && box.scrollWidth > box.clientWidth)
    found.push(`${box.tagName} ${box.className}: ${box.scrollWidth} pixels in ${box.clientWidth}`);
}
return found;
"""


@pytest.mark.parametrize("pixels", [375, 768, 1280])
def test_pages_show_whole_in_a_browser(
    pages: dict[Path, Page], browser: test_explorer.Browser, pixels: int
) -> None:
    """Formulas are set, pictures are there, and what is wide scrolls by itself, not with its page."""
    browser.width(pixels)
    broken, formulas = {}, 0
    for path in pages:
        browser.open(path)
        formulas += browser.call("POST", "/execute/async", {"script": SETTLED, "args": []})
        if found := browser.script(BROKEN):
            broken[path.name] = found
    assert not broken
    assert formulas > 1000
