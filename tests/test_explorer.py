"""The explorer: its mixture by another definition, and its page's numbers against the library's.

The page's model runs in V8 without a browser, and the page itself in headless Chromium where there is one.
"""

import json
import math
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from fractions import Fraction
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, strategies as st
from py_mini_racer import MiniRacer

from tokentree.explorer import explore, explorer_mixture, write_explorer
from tokentree.pareto import sign_map
from tokentree.springs import FisherSprings
from tokentree.theorem import elasticity, published_derivatives, response_curve

TEMPLATE = Path(__file__).parent.parent / "src/tokentree/explorer.html"
START = {"k": 100, "l": 0.25, "alpha": 2.5, "overlap": 0.25, "depth": 8, "form": "published"}
FORMS = ("published", "three-dataset")


def steps(least: int, most: int) -> st.SearchStrategy[float]:
    """Values of a slider that goes up by a twentieth of a decade, as the page rounds them."""
    return st.integers(least, most).map(lambda step: float(f"{10 ** (step / 20):.1e}"))


on_sliders = st.fixed_dictionaries(
    {
        "k": steps(0, 80),
        "l": steps(-40, 20),
        "alpha": st.integers(11, 50).map(lambda step: step / 10),
        "overlap": st.integers(0, 20).map(lambda step: step / 20),
        "depth": st.integers(2, 12),
        "form": st.sampled_from(FORMS),
    }
)


# The mixture


def by_definition(alpha: float, digits: int) -> tuple[list[int], list[list[int]]]:
    """Counts of a part's own leaves, and of each part's common leaves, with the net's digits from Lucas."""
    n = 2**digits
    counts = [math.floor(2**20 * ((j + 0.5) / n) ** (-1 / alpha) + 0.5) for j in range(n)]

    def reversed_digits(j: int) -> int:
        return int(format(j, f"0{digits}b")[::-1], 2) if digits else 0

    def pascal(j: int) -> int:
        """Digits of j times Pascal's triangle mod 2: C(c, r) is odd where r's digits are among c's."""
        return sum((sum(j >> c & 1 for c in range(digits) if r & c == r) % 2) << r for r in range(digits))

    orders = [lambda j: j, reversed_digits, lambda j: reversed_digits(pascal(j))]
    return counts, [[counts[order(j)] for j in range(n)] for order in orders]


@given(st.floats(1.05, 20), st.integers(0, 20), st.integers(2, 7), st.sampled_from(FORMS))
def test_mixture_is_the_one_defined(alpha, twentieths, depth, form):
    overlap = Fraction(twentieths, 20)
    mixture = explorer_mixture(7, Fraction(1, 3), alpha=alpha, overlap=overlap, depth=depth, form=form)
    counts, common = by_definition(alpha, depth - 2)
    total = sum(counts)
    parts = []
    for i in range(3):
        blocks = [[Fraction(0)] * len(counts) for _ in range(4)]
        blocks[0] = [overlap * c / total for c in common[i]]
        blocks[1 + i] = [(1 - overlap) * c / total for c in counts]
        parts.append([mass for block in blocks for mass in block])
    if form == "published":
        parts[0] = [sum(column) / 3 for column in zip(*parts, strict=True)]
    for row, values, whole in zip(parts, mixture.rows.values, mixture.rows.totals, strict=True):
        assert [Fraction(int(value), whole) for value in values] == row
    assert mixture.exact_sizes == (7, 1, Fraction(1, 3))
    assert mixture.names == ("pretrain", "align", "perturb")
    assert mixture.depth == depth


@pytest.mark.parametrize("digits", range(8))
def test_common_leaves_are_a_net(digits):
    """Every box of volume 1/M whose sides are dyadic holds one leaf: ranks of masses give its coordinates."""
    n = 2**digits
    shown = explorer_mixture(1, 1, alpha=3.0, overlap=1, depth=digits + 2, form="three-dataset")
    rows = shown.rows.values[:, :n]
    ranks = np.argsort(np.argsort(-rows, axis=1, kind="stable"), axis=1)
    for first in range(digits + 1):
        for second in range(digits + 1 - first):
            cut = [first, second, digits - first - second]
            boxes = {tuple(int(r) >> (digits - c) for r, c in zip(x, cut, strict=True)) for x in ranks.T}
            assert len(boxes) == n


@given(st.floats(1.05, 50), st.floats(1, 1e9), st.floats(1e-3, 1e3), st.integers(2, 9))
def test_without_overlap_it_is_the_published_closed_form(alpha, k, l, depth):
    found = elasticity(explorer_mixture(k, l, alpha=alpha, overlap=0, depth=depth))
    closed = published_derivatives(3, k, l)
    assert found.dgamma_align == pytest.approx(closed.dgamma_align, rel=1e-13)
    # 1 - 2 l cancels in the closed form's own rounding of l.
    assert found.dgamma_pretrain == pytest.approx(closed.dgamma_pretrain, rel=1e-12)
    assert found.holds == (l < 0.5)


@pytest.mark.parametrize("alpha", [2.5, 4, 10])
@pytest.mark.parametrize("form", FORMS)
def test_many_leaves_approach_the_limit(form, alpha):
    """Each two levels of depth come nearer; three times nearer from 16 common leaves to 1024."""
    limit = sign_map(20, 0.3, alpha, form=form)
    wanted = np.array([limit.excess_pretrain, limit.excess_align])
    shown = [
        explorer_mixture(20, 0.3, alpha=alpha, overlap=1, depth=depth, form=form) for depth in range(4, 13, 2)
    ]
    found = [elasticity(mixture, base=math.e) for mixture in shown]
    excess = 21.3 * np.array([[each.dgamma_pretrain, each.dgamma_align] for each in found])
    off = np.abs(excess / wanted - 1)
    assert (np.diff(off, axis=0) < 0).all()
    assert (off[-1] < off[1] / 3).all()


@pytest.mark.parametrize("depth", [2, 3])
def test_equal_distributions_do_not_pull(depth):
    """One or two common leaves are too few for the parts to differ."""
    mixture = explorer_mixture(9, 0.5, alpha=2.5, overlap=1, depth=depth)
    assert not mixture.response().any()


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"k": 0}, ValueError, "k = 0: must be > 0"),
        ({"l": -1.0}, ValueError, r"l = -1: must be > 0"),
        ({"k": math.inf}, ValueError, "k = inf: must be finite"),
        ({"alpha": 1.0}, ValueError, "alpha = 1.0: must be finite and > 1"),
        ({"overlap": 1.5}, ValueError, "overlap = 1.5: must lie between 0 and 1"),
        ({"overlap": -1}, ValueError, "overlap = -1: must lie between 0 and 1"),
        ({"overlap": "half"}, TypeError, "overlap = 'half': must be an int, a float or a Fraction"),
        ({"depth": 1}, ValueError, "depth = 1: must be an integer >= 2"),
        ({"depth": 13}, ValueError, "depth = 13: must be at most 12"),
        ({"depth": 2.5}, TypeError, "depth = 2.5: must be an integer >= 2"),
        ({"form": "other"}, ValueError, "form = 'other': must be 'published' or 'three-dataset'"),
    ],
)
@pytest.mark.parametrize("call", [explorer_mixture, explore])
def test_errors_name_the_argument(call, change, error, said, unchecked):
    with pytest.raises(error, match=said):
        call(**START | change)


# The page's numbers


@pytest.fixture(scope="module")
def engine() -> MiniRacer:
    engine = MiniRacer()
    engine.eval(re.search(r'<script id="model">(.*?)</script>', explore().page, re.DOTALL)[1])
    # JSON has neither infinity nor nan.
    engine.eval(
        "const plain = value => JSON.parse(JSON.stringify(value, (_, v) =>"
        " typeof v === 'number' && !Number.isFinite(v) ? String(v) : v));"
    )
    return engine


def from_library(settings: dict[str, Any]) -> dict[str, Any]:
    """What the page shows, by the library."""
    mixture = explorer_mixture(**settings)
    found, springs = elasticity(mixture), FisherSprings(mixture)
    return {
        "sizes": mixture.sizes,
        "leaves": mixture.leaf_counts,
        "rates": mixture.rates(),
        "tokens": mixture.rates(per="token"),
        "normalized": mixture.normalized_rates(),
        "derivatives": [found.dgamma_pretrain, found.dgamma_align, found.dgamma_perturb],
        "overlaps": mixture.overlap()[:, 2],
        "extensions": springs.extensions,
        "pulls": springs.stiffness * springs.extensions,
        "ratio": found.ratio,
        "holds": found.holds,
    }


def assert_same(page: dict[str, Any], library: dict[str, Any]) -> None:
    """Equal to a relative 1e-9."""
    for name, wanted in library.items():
        # A normalised rate is a difference of two numbers of up to 12 bits, and may be near zero.
        absolute = 1e-14 if name == "normalized" else 0
        given = np.asarray(page[name]).astype(np.float64)
        np.testing.assert_allclose(given, wanted, rtol=1e-9, atol=absolute, err_msg=name)


@given(on_sliders)
@example(START)
# Where gamma_p' is exactly zero, the distributions are equal, and supports are disjoint.
@example(START | {"k": 10000, "l": 0.5, "overlap": 0, "depth": 12})
@example(START | {"overlap": 1, "depth": 2})
@example(START | {"overlap": 1, "depth": 3, "form": "three-dataset"})
@example(START | {"overlap": 0, "form": "three-dataset", "k": 10000, "alpha": 1.1})
# Terms of gamma_p' cancel to a thousandth.
@example(START | {"k": 10000, "l": 0.5, "overlap": 0.95, "depth": 12, "alpha": 1.1})
def test_numbers_are_the_library_s(engine, settings):
    assert_same(engine.eval(f"plain(measure({json.dumps(settings)}))"), from_library(settings))


@given(on_sliders)
def test_curves_are_the_library_s(engine, settings):
    l = [0.01, 0.5, 3.0]
    curve = response_curve(explorer_mixture(**settings), l)
    start, *found = engine.eval(f"plain(curve({json.dumps(settings)}, {[0, *l]}))")
    assert_same(start, {"rates": curve.start})
    for point, rates, decided in zip(found, curve.rates, curve.elasticities, strict=True):
        assert_same(point, {"rates": rates, "holds": decided.holds})


# The page


def test_defaults_are_the_page_s_own():
    assert explore().page == TEMPLATE.read_text(encoding="utf-8")


def test_start_is_written_into_the_page():
    page = explore(k=137, l=Fraction(1, 3), overlap=1, form="three-dataset").page
    start = json.loads(re.search(r'id="start">(.*?)</script>', page)[1])
    assert start == START | {"k": 137, "l": 1 / 3, "overlap": 1, "form": "three-dataset"}


def test_page_asks_for_nothing_from_outside():
    page = explore().page
    assert "default-src 'none'" in page
    assert not re.search(r"""https?:|\bsrc=|\bhref=|url\(|@import|\bimport\b""", page)


def test_notebook_shows_the_page_in_a_frame():
    found = {}

    class Frame(HTMLParser):
        def handle_starttag(self, tag, attrs):
            found[tag] = dict(attrs)

    explorer = explore(k=50, height=640)
    Frame().feed(explorer._repr_html_())
    assert found.keys() == {"iframe"}
    assert found["iframe"]["srcdoc"] == explorer.page
    assert found["iframe"]["sandbox"] == "allow-scripts"
    assert "height:640px" in found["iframe"]["style"]
    assert repr(explorer).startswith("Explorer(")


def test_page_is_saved(tmp_path):
    write_explorer(tmp_path / "plain.html")
    write_explorer(str(tmp_path / "other.html"), explore(k=50))
    assert (tmp_path / "plain.html").read_text(encoding="utf-8") == explore().page
    assert (tmp_path / "other.html").read_text(encoding="utf-8") == explore(k=50).page
    with pytest.raises(OSError, match="nowhere"):
        write_explorer(tmp_path / "nowhere" / "page.html")


@pytest.mark.parametrize("height", [0, 1.5])
def test_height_is_a_number_of_pixels(height, unchecked):
    with pytest.raises((TypeError, ValueError), match="height"):
        explore(height=height)


# The page in a browser


class Browser:
    """Headless Chromium by the WebDriver protocol, of which a few calls are enough."""

    def __init__(self, driver: str, profile: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen([driver, f"--port={port}"], **quiet)
        self.session = f"http://127.0.0.1:{port}"
        switches = [
            "--headless",
            "--disable-gpu",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            f"--user-data-dir={profile}",
            # Chromium has no sandbox for the superuser.
            *(["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []),
        ]
        wanted = {
            "goog:chromeOptions": {"args": switches},
            "goog:loggingPrefs": {"browser": "ALL"},
        }
        try:
            while True:
                try:
                    self.call("GET", "/status")
                    break
                except OSError:
                    assert self.process.poll() is None, f"{driver} ended at once"
                    time.sleep(0.05)
            opened = self.call("POST", "/session", {"capabilities": {"alwaysMatch": wanted}})
            self.session += f"/session/{opened['sessionId']}"
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise

    def call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.session + path, data, method=method)
        with urllib.request.urlopen(request, timeout=120) as answer:
            return json.load(answer)["value"]

    def open(self, path: Path) -> None:
        self.call("POST", "/url", {"url": path.as_uri()})

    def script(self, text: str) -> Any:
        return self.call("POST", "/execute/sync", {"script": text, "args": []})

    def find(self, selector: str) -> dict[str, str]:
        return self.call("POST", "/element", {"using": "css selector", "value": selector})

    def do(self, selector: str, action: str, **how: Any) -> None:
        (element,) = self.find(selector).values()
        self.call("POST", f"/element/{element}/{action}", how)

    def enter_frame(self) -> None:
        self.call("POST", "/frame", {"id": self.find("iframe")})

    def width(self, pixels: int) -> None:
        screen = {"width": pixels, "height": 800, "deviceScaleFactor": 1, "mobile": False}
        self.call(
            "POST", "/goog/cdp/execute", {"cmd": "Emulation.setDeviceMetricsOverride", "params": screen}
        )

    def numbers(self) -> dict[str, Any]:
        """Every number that the page shows, to the last digit, from its `data` elements."""
        flat = self.script(
            "return Object.fromEntries([...document.querySelectorAll('data')].map(e => [e.id, e.value]))"
        )
        found: dict[str, Any] = {"ratio": float(flat.pop("ratio")), "holds": flat.pop("holds") == "true"}
        for name in dict.fromkeys(key.rpartition("-")[0] for key in flat):
            found[name] = [float(flat[f"{name}-{role}"]) for role in "pat"]
        return found

    def close(self) -> None:
        try:
            self.call("DELETE", "")
        finally:
            self.process.terminate()
            self.process.wait()


@pytest.fixture(scope="module")
def browser(tmp_path_factory) -> Iterator[Browser]:
    driver = shutil.which("chromedriver")
    if driver is None:
        pytest.skip("no chromedriver here: on Debian, apt-get install chromium chromium-driver")
    browser = Browser(driver, tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


LEFT, RIGHT = "\ue012", "\ue014"


def test_sliders_move_the_numbers_in_a_browser(browser, tmp_path):
    page = tmp_path / "explorer.html"
    write_explorer(page)
    browser.open(page)
    browser.script("window.errors = []; window.onerror = text => errors.push(text)")
    settings = dict(START)
    before = browser.numbers()
    assert_same(before, from_library(settings))

    moves = {
        "k": (RIGHT, 110),
        "l": (LEFT, 0.22),
        "alpha": (RIGHT, 2.6),
        "overlap": (LEFT, 0.2),
        "depth": (RIGHT, 9),
    }
    for name, (key, value) in moves.items():
        browser.do(f"#{name}", "value", text=key)
        settings[name] = value
        after = browser.numbers()
        assert after["rates"] != before["rates"], name
        assert_same(after, from_library(settings))
        assert browser.script(f"return document.getElementById('{name}-value').textContent") == str(value)
        before = after
    browser.do("[value=three-dataset]", "click")
    settings["form"] = "three-dataset"
    after = browser.numbers()
    assert after["holds"] is False
    assert_same(after, from_library(settings))

    # What is read is what is meant: six digits.
    text = browser.script("return document.getElementById('rates-a').textContent")
    assert text == f"{after['rates'][1]:.6g}"
    assert browser.script("return errors") == []
    assert browser.call("POST", "/se/log", {"type": "browser"}) == []
    assert browser.script("return performance.getEntriesByType('resource').length") == 0


def test_start_between_steps_is_kept_in_a_browser(browser, tmp_path):
    start = START | {"k": 137, "l": 1 / 3, "overlap": 0.123}
    write_explorer(tmp_path / "explorer.html", explore(**start))
    browser.open(tmp_path / "explorer.html")
    assert_same(browser.numbers(), from_library(start))
    browser.do("#k", "value", text=RIGHT)
    assert_same(browser.numbers(), from_library(start | {"k": 160}))


def test_notebook_frame_works_in_a_browser(browser, tmp_path):
    start = START | {"k": 1000, "overlap": 0}
    page = tmp_path / "cell.html"
    page.write_text(
        f"<!doctype html><meta charset='utf-8'>{explore(**start)._repr_html_()}", encoding="utf-8"
    )
    browser.open(page)
    browser.enter_frame()
    assert_same(browser.numbers(), from_library(start))
    browser.do("#l", "value", text=RIGHT)
    assert_same(browser.numbers(), from_library(start | {"l": 0.28}))


@pytest.mark.parametrize("form", FORMS)
def test_springs_are_drawn_to_scale(browser, tmp_path, form):
    """Ends of springs and arrows, read from the picture, have the mixture's lengths, angles and pulls."""
    start = START | {"k": 4, "l": 1.5, "form": form}
    write_explorer(tmp_path / "explorer.html", explore(**start))
    browser.open(tmp_path / "explorer.html")
    paths = browser.script(
        "return [...document.querySelectorAll('#springs .wire')].map(e => e.getAttribute('d'))"
    )
    anchors = np.array([path.rpartition("L")[2].split() for path in paths[:3]], float)
    mixture = explorer_mixture(**start)
    inner = -mixture.total_size * mixture.response(base=math.e)
    scale = anchors[2] @ anchors[2] / inner[2, 2]
    np.testing.assert_allclose(anchors @ anchors.T, scale * inner, rtol=1e-9, atol=1e-9 * scale)

    heads = browser.script(
        "return [...document.querySelectorAll('#springs path:not(.wire)[class]')]"
        ".filter(e => e.getAttribute('fill')).map(e => e.getAttribute('d'))"
    )
    tips = np.array([head[1:].partition("L")[0].split() for head in heads], float)
    pulls = mixture.sizes[:, None] * anchors
    np.testing.assert_allclose(tips, pulls * (tips[2, 0] / pulls[2, 0]), rtol=1e-9)
    assert np.abs(tips.sum(axis=0)).max() < 1e-9 * np.abs(tips).max()


@pytest.mark.parametrize("form", FORMS)
def test_curves_are_drawn_to_scale(browser, tmp_path, form):
    """Points read off the picture by its ticks are those of `response_curve`, to half a pixel."""
    start = START | {"k": 30, "l": 0.4, "form": form}
    write_explorer(tmp_path / "explorer.html", explore(**start))
    browser.open(tmp_path / "explorer.html")
    panels = browser.script(
        """
        const numbers = (g, anchor, axis) => [...g.querySelectorAll(`text.soft[text-anchor=${anchor}]`)]
          .map(e => [+e.getAttribute(axis), +e.textContent.replace('−', '-')]);
        return [...document.querySelectorAll('#curves svg > g')].map(g => ({
          title: g.querySelector('text').textContent,
          up: numbers(g, 'end', 'y'),
          across: numbers(g, 'middle', 'x'),
          path: g.querySelector('.wire').getAttribute('d'),
          now: [...g.querySelectorAll('circle')].map(e => [+e.getAttribute('cx'), +e.getAttribute('cy')])}))
        """
    )
    assert len(panels) == 3
    (x0, l0), *_, (x1, l1) = panels[2]["across"]
    for i, panel in enumerate(panels):
        points = np.array([point.split() for point in panel["path"][1:].split("L")], float)
        l = l0 + (points[:, 0] - x0) * (l1 - l0) / (x1 - x0)
        (y0, v0), *_, (y1, v1) = panel["up"]
        power = "⁰¹²³⁴⁵⁶⁷⁸⁹"
        raised = re.search(r"10⁻([⁰¹²³⁴⁵⁶⁷⁸⁹]+)", panel["title"])
        unit = 10.0 ** -int("".join(str(power.index(c)) for c in raised[1])) if raised else 1.0
        pixel = unit * (v1 - v0) / (y1 - y0)
        # A tick's letters stand 4 pixels below it.
        values = unit * v0 + (points[:, 1] - (y0 - 4)) * pixel
        curve = response_curve(explorer_mixture(**start), l[l > 1e-9])
        # A rate that starts from infinity is drawn from the next point on.
        begun = curve.start[i : i + 1][np.isfinite(curve.start[i : i + 1])]
        rates = np.append(begun, curve.rates[:, i]) - (curve.start[i] if i < 2 else 0)
        assert np.abs(values - rates).max() < abs(pixel) / 2
        assert len(panel["now"]) == (i == 1)
        for x, y in panel["now"]:  # D_a's mark, the only round one
            assert l0 + (x - x0) * (l1 - l0) / (x1 - x0) == pytest.approx(0.4, rel=1e-9)
            now = explorer_mixture(**start).rates()[1] - curve.start[1]
            assert unit * v0 + (y - (y0 - 4)) * pixel == pytest.approx(now, abs=abs(pixel) / 2)


@pytest.mark.parametrize("pixels", [320, 700, 1280])
def test_page_fits_its_window(browser, tmp_path, pixels):
    write_explorer(tmp_path / "explorer.html")
    browser.width(pixels)
    browser.open(tmp_path / "explorer.html")
    assert browser.script("return document.documentElement.scrollWidth") <= pixels
    # No letter is cut off at the right of a drawing.
    over = browser.script(
        "return [...document.querySelectorAll('svg text')].filter(e => e.getBoundingClientRect().right >"
        " e.ownerSVGElement.getBoundingClientRect().right + 1).map(e => e.textContent)"
    )
    assert over == []
