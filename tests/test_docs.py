"""The documentation runs: every block of code, every witness, every link."""

import ast
import importlib
import json
import platform
import re
import runpy
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

import tokentree
from tokentree import Ledger
from tokentree.claims import CLAIMS
from tokentree.cli import main

ROOT = Path(__file__).parent.parent
PAGES = sorted(
    page.relative_to(ROOT).as_posix()
    for page in [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        *ROOT.glob("docs/*.md"),
        *ROOT.glob("docs/how-to/*.md"),
        *ROOT.glob("docs/api/*.md"),
    ]
)

FENCE = re.compile(r"^( *)```([^\n`]*)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.+)$", re.MULTILINE)


def blocks(page: str) -> Iterator[tuple[str, int, str]]:
    """Language, first line and text of each block; text right after another block is its output."""
    text = (ROOT / page).read_text(encoding="utf-8")
    end, before = 0, ""
    for fence in FENCE.finditer(text):
        shown = fence[2] == "text" and not text[end : fence.start()].strip()
        language = f"output of {before}" if shown else fence[2]
        yield language, text.count("\n", 0, fence.start(3)), dedent(fence[3])
        end, before = fence.end(), fence[2]


def prose(page: Path) -> str:
    return FENCE.sub("", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them."""
    kept = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(prose(page)))
    return {heading.replace(" ", "-") for heading in kept}


LONG = {
    "docs/command-line.md",  # verify, and the gallery
    "docs/how-to/my-own-training-runs.md",  # laws fitted and chosen
    "docs/how-to/my-own-property-test.md",  # a hundred examples of each property, and shrinking
}

by_page = pytest.mark.parametrize(
    "page", [pytest.param(page, marks=[pytest.mark.slow] if page in LONG else []) for page in PAGES]
)


@by_page
def test_python_blocks_run(
    page: str,
    tmp_path: Path,
    unchecked: None,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    namespace: dict[str, Any] = {"__name__": "__main__"}
    for language, line, block in blocks(page):
        if language == "python":
            # As many empty lines first as stand above the block, so that a traceback points into the page.
            exec(compile("\n" * line + block, str(ROOT / page), "exec"), namespace)
            printed = capsys.readouterr().out
        elif language == "output of python":
            assert block == printed


# Of make's commands only that they are there: to make an environment, or to run the tests, from within the
# tests would not do.
SHELL = f"""
set -eu
PATH={shlex.quote(str(Path(sys.executable).parent))}:$PATH
make() {{ command make --dry-run --directory={shlex.quote(str(ROOT))} "$@"; }}
"""


@by_page
def test_shell_blocks_run(page: str, tmp_path: Path) -> None:
    """And show what they print; with another Python, but for the figures."""
    library = Path(sysconfig.get_path("stdlib"))
    for name, source in {"pretrain": "typing", "align": "pydoc_data/topics", "perturb": "argparse"}.items():
        shutil.copy(library / f"{source}.py", tmp_path / f"{name}.txt")
    for language, _, block in blocks(page):
        if language in {"sh", "console"}:
            program = SHELL + re.sub(r"^\$ ", "", block, flags=re.MULTILINE)
            done = subprocess.run(["sh", "-c", program], cwd=tmp_path, capture_output=True, text=True)
            assert done.returncode == 0, done.stderr
            output = done.stdout
        elif language == "output of console":
            shown, found = " ".join(block.split()), " ".join(output.split())
            if f"Python {platform.python_version()}" not in (ROOT / page).read_text(encoding="utf-8"):
                shown, found = (
                    re.sub(r"[-+]?\d[\d,]*(\.\d+)?(e[-+]\d+)?", "0", each) for each in (shown, found)
                )
            assert shown == found


@pytest.mark.parametrize("program", sorted((ROOT / "docs/figures").glob("*.py")), ids=lambda path: path.stem)
def test_programs_of_figures_draw_them(
    program: Path, tmp_path: Path, unchecked: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    runpy.run_path(str(program))
    assert (tmp_path / f"{program.stem}.png").stat().st_size > 10_000


def test_estimates_of_scale_are_those_of_the_program() -> None:
    program = [sys.executable, ROOT / "benchmarks/estimate_scale.py"]
    rows = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    assert len(rows.splitlines()) == 6
    assert rows in (ROOT / "docs/benchmarks.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES)
def test_no_block_is_left_out(page: str) -> None:
    """Every fence is found, and what is neither a program nor a command is marked as text."""
    text = (ROOT / page).read_text(encoding="utf-8")
    languages = [language for language, *_ in blocks(page)]
    assert len(re.findall(r"^\s*(?:```|~~~)", text, re.MULTILINE)) == 2 * len(languages)
    assert not re.search(r"^\s*>>> ", text, re.MULTILINE)
    known = {"python", "coq", "console", "sh", "text"}
    known |= {f"output of {language}" for language in ("python", "console", "text")}
    assert {language for language in languages if not language.startswith("{")} <= known


@pytest.mark.parametrize("page", PAGES)
def test_make_has_the_targets_named(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert set(re.findall(r"`make ([a-z-]+)", (ROOT / page).read_text(encoding="utf-8"))) <= targets


@pytest.mark.parametrize("page", PAGES)
def test_every_image_is_described(page: str) -> None:
    """By a sentence, for those who do not see it."""
    for described in re.findall(r"!\[([^\]]*)\]\(", prose(ROOT / page)):
        assert len(described.split()) >= 5


@pytest.mark.parametrize("page", PAGES)
def test_links_between_pages_resolve(page: str) -> None:
    source = ROOT / page
    for target in LINK.findall(prose(source)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        linked = source.parent / path if path else source
        assert linked.exists(), target
        assert not anchor or anchor in anchors(linked), target


def test_contents_list_every_page() -> None:
    contents = (ROOT / "docs/contents.md").read_text(encoding="utf-8")
    listed = re.findall(r"^[\w/-]+$", contents, re.MULTILINE)
    docs = ROOT / "docs"
    pages = {page.relative_to(docs).with_suffix("").as_posix() for page in docs.rglob("*.[mr][ds]*")}
    written = {page for page in pages if not page.startswith(("_build/", "tutorials/"))}
    conf = ast.parse((docs / "conf.py").read_text(encoding="utf-8"))
    [below] = [
        ast.literal_eval(each.value)
        for each in conf.body
        if isinstance(each, ast.Assign) and ast.unparse(each.targets[0]) == "BELOW"
    ]
    written = {page for page in written if not any(Path(page).match(each) for each in below.values())}
    assert {*below} <= written
    notebooks = {f"tutorials/{path.stem}" for path in (ROOT / "notebooks").glob("*.ipynb")}
    assert sorted(listed) == sorted(written - {"index", "contents"} | notebooks)
    assert len(listed) <= 30


def test_floors_are_those_that_lint_keeps() -> None:
    """In the table and in the figure."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    floors = [re.findall(r"tokentree\.(\w+)", layer) for layer in layers]
    kept = [(len(floors) - i, wing) for i, floor in enumerate(floors) for wing in floor if wing != "__main__"]
    page = (ROOT / "docs/architecture.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| (\d) \| `(\w+)` \|", page, re.MULTILINE)
    assert [(int(floor), wing) for floor, wing in listed] == kept
    figure = (ROOT / "docs/figures/floors.svg").read_text(encoding="utf-8")
    drawn = re.findall(r'<text x="\d+" y="(\d+)">(\w+)</text>', figure)
    heights = sorted({int(y) for y, _ in drawn}, reverse=True)
    assert [(heights.index(int(y)) + 1, wing) for y, wing in drawn] == kept


def test_statements_are_those_of_the_proofs() -> None:
    """After a change of docs/proofs: python3 docs/proofs/check.py --page."""
    page = runpy.run_path(str(ROOT / "docs/proofs/check.py"))["page"]()
    assert page == (ROOT / "docs/api/statements.md").read_text(encoding="utf-8")


def test_the_readme_names_every_notebook() -> None:
    links = LINK.findall((ROOT / "README.md").read_text(encoding="utf-8"))
    named = {link for link in links if link.endswith(".ipynb")}
    assert named == {f"notebooks/{path.name}" for path in (ROOT / "notebooks").glob("*.ipynb")}


def test_readme_counts_the_verdicts() -> None:
    page = (ROOT / "docs/ledger.md").read_text(encoding="utf-8")
    n = Counter(re.findall(r"^Verdict: \*\*(.*?)\*\*", page, re.MULTILINE))
    counted = (
        f"Of {n.total()} claims {n['holds']} hold, {n['holds under a condition']} hold under a condition, "
        f"{n['holds in a limit']} hold in a limit, and {n['fails']} fail."
    )
    assert counted in (ROOT / "README.md").read_text(encoding="utf-8")


# The reference

PUBLIC = (
    *(
        "",
        "adapters",
        "alignment",
        "claims",
        "codes",
        "explorer",
        "information",
        "mixtures",
        "models",
        "pareto",
    ),
    *("plotting", "springs", "strategies", "symbolic", "theorem", "training", "trees"),
)


def referenced() -> set[str]:
    """Full names of what the pages of the reference document."""
    names = set()
    for page in (ROOT / "docs/api").glob("*.rst"):
        module = ""
        for directive, name in re.findall(
            r"^\.\. (currentmodule|auto\w+|py:data|py:type):: ([\w.]+)$",
            page.read_text(encoding="utf-8"),
            re.MULTILINE,
        ):
            if directive == "currentmodule":
                module = name
            else:
                names.add(name if name.startswith("tokentree.") else f"{module}.{name}")
    return names


@pytest.mark.parametrize("name", PUBLIC)
def test_reference_has_every_public_name(name: str) -> None:
    module = importlib.import_module(f"tokentree.{name}".rstrip("."))
    # Where a module has no list, what is defined in it and not marked as private.
    public = getattr(module, "__all__", None) or [
        key
        for key, value in vars(module).items()
        if not key.startswith("_") and getattr(value, "__module__", None) == module.__name__
    ]
    assert public
    documented = referenced()
    for key in public:
        at_root = getattr(tokentree, key, None) is getattr(module, key)
        elsewhere = f"tokentree.{key}" in documented and at_root
        assert elsewhere or f"{module.__name__}.{key}" in documented, key


def test_the_list_of_names_is_complete() -> None:
    listed = re.findall(r"`(\w+)`", (ROOT / "docs/api.md").read_text(encoding="utf-8"))
    assert set(listed) - {"tokentree"} == {name.rpartition(".")[2] for name in referenced()}
    assert set(tokentree.__all__) <= set(listed)


def execute(program: str | ast.Module, name: str) -> None:
    exec(compile(program, f"<witness of {name}>", "exec"), {"__name__": "__main__"})


@pytest.mark.parametrize("claim", CLAIMS, ids=[claim.__name__ for claim in CLAIMS])
def test_witness_passes_and_can_fail(decide: Any, claim: Any) -> None:
    finding = decide(claim)
    assert finding.witness
    execute(finding.witness, finding.id)

    program = ast.parse(finding.witness)
    statements = [node for node in ast.walk(program) if isinstance(node, ast.Assert)]
    assert bool(statements) == bool(finding.witness)
    for statement in statements:
        stated, statement.test = statement.test, ast.UnaryOp(ast.Not(), statement.test)
        with pytest.raises(AssertionError):
            execute(ast.fix_missing_locations(program), finding.id)
        statement.test = stated


def keys(data: Any) -> set[str]:
    if isinstance(data, dict):
        return set(data).union(*map(keys, data.values()))
    return set().union(*map(keys, data)) if isinstance(data, list | tuple) else set()


def test_every_claim_and_json_key_is_documented(ledger: Ledger, tmp_path: Path) -> None:
    page = (ROOT / "docs/api/json.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([\w./-]+)`", page))
    written = (ROOT / "docs/ledger.md").read_text(encoding="utf-8")
    assert [finding.id for finding in ledger] == re.findall(r"^## (.*)$", written, re.MULTILINE)

    found = ledger.to_dict()
    for finding in found["findings"]:
        finding["figures"] = {}  # their names are sentences, each claim's own
    assert keys(found) <= documented

    library = Path(sysconfig.get_path("stdlib"))
    files = [str(library / name) for name in ("this.py", "keyword.py", "token.py")]
    main(["measure", *files, "--depth", "8", "--json", str(tmp_path / "m.json"), "--no-progress"])
    assert keys(json.loads((tmp_path / "m.json").read_text(encoding="utf-8"))) <= documented
