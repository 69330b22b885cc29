"""The package as a whole: its version, its type marker, and what importing it costs."""

import os
import re
import subprocess
import sys
from importlib import metadata, resources
from pathlib import Path

import pytest

import tokentree

ROOT = Path(__file__).parent.parent
WORKFLOWS = sorted((ROOT / ".github/workflows").glob("*.yml"))


def test_version_is_the_installed_one():
    assert tokentree.__version__ == metadata.version("tokentree")


def test_types_are_published():
    assert resources.files(tokentree).joinpath("py.typed").is_file()


def test_public_names_exist_once():
    assert all(hasattr(tokentree, name) for name in tokentree.__all__)
    assert len(set(tokentree.__all__)) == len(tokentree.__all__)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("LlamaCpp", ": it is in tokentree.adapters"),
        ("plot_rates", ": it is in tokentree.plotting"),
        ("PowerLaw", ": it is in tokentree.alignment and tokentree.training"),
        ("read_modle", ""),
        ("nothing", ""),
        # What only looks for protocols imports nothing.
        ("__wrapped__", ""),
    ],
)
def test_a_name_that_only_a_wing_has_is_found_there(name, said):
    with pytest.raises(AttributeError) as caught:
        getattr(tokentree, name)
    assert str(caught.value) == f"tokentree has no {name}{said}"
    assert caught.value.name == name
    assert not hasattr(tokentree, name)


def test_a_wing_that_cannot_be_imported_is_passed_over(monkeypatch):
    monkeypatch.setitem(sys.modules, "tokentree.plotting", None)
    with pytest.raises(AttributeError, match=r"^tokentree has no plot_rates$"):
        _ = tokentree.plot_rates
    with pytest.raises(AttributeError, match=r"it is in tokentree\.adapters$"):
        _ = tokentree.LlamaCpp


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("LlamaCpp", "tokentree has no LlamaCpp: it is in tokentree.adapters"),
        ("read_modle", "cannot import name 'read_modle' from 'tokentree'"),
        ("_lib", ""),
    ],
)
def test_importing_a_name_that_only_a_wing_has_says_so_too(name, said):
    # In a new process: jaxtyping's hook calls the module's functions for whoever calls them.
    code = f"from tokentree import {name}"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert said in found.stderr
    assert bool(said) == bool(found.returncode)


def test_looking_for_protocols_loads_no_wing():
    code = (
        "import sys, tokentree; hasattr(tokentree, '__wrapped__'); sys.exit('tokentree.trees' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("wing", sorted(set(dir(tokentree)) - set(tokentree.__all__)))
def test_completion_shows_what_is_exported(wing):
    module = getattr(tokentree, wing)
    assert dir(module) == sorted(module.__all__)


@pytest.mark.parametrize("module", ["matplotlib", "rich", "scipy.special", "sympy", "torch"])
def test_importing_the_package_leaves_heavy_modules_alone(module):
    code = f"import sys, tokentree; sys.exit({module!r} in sys.modules)"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_workflows_call_what_there_is(path):
    """Nobody runs them here, so what they lean on is looked at."""
    text = path.read_text(encoding="utf-8")
    made = re.findall(r"run: make (\S+)", text)
    run = re.findall(r"run: (\.ci/\S+)", text)
    assert made or run
    targets = re.findall(r"^([a-z-]+):.*## ", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    assert set(made) <= set(targets)
    assert all(os.access(ROOT / each, os.X_OK) for each in run)
    # By major version, or by the branch that their own documentation names.
    assert all(re.search(r"@(v\d+|release/v1)$", each) for each in re.findall(r"uses: (\S+)", text))
    # A job that may speak for the project waits for its environment, and no other one may.
    for job in re.split(r"^  (?=\w+:\n)", text.partition("jobs:\n")[2], flags=re.MULTILINE)[1:]:
        assert ("id-token: write" in job) == ("environment:" in job)


def test_versions_agree():
    cited = re.findall(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.MULTILINE)
    assert cited == [tokentree.__version__]
    assert f"## [{tokentree.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


def test_docs_install_from_the_clone_until_there_is_a_release():
    log = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    released = re.search(r"^## \[[^]]+\] - \d{4}-", log, re.MULTILINE)
    pages = [ROOT / "README.md", *ROOT.glob("docs/**/*.md")]
    named = [
        page.name for page in pages if re.search(r"pip install '?tokentree", page.read_text(encoding="utf-8"))
    ]
    assert bool(named) == bool(released), named


@pytest.mark.parametrize("asked", ["--version", "--help", "measure --help", "verify --help"])
def test_help_and_version_import_nothing_heavy(asked):
    """NumPy takes twice as long as they do."""
    code = (
        "import sys\n"
        "from tokentree.cli import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit as end:\n"
        "    heavy = {'numpy', 'scipy', 'jaxtyping', 'matplotlib', 'rich', 'sympy', 'importlib.metadata'}\n"
        "    sys.exit(end.code or ', '.join(heavy & set(sys.modules)) or 0)\n"
        "sys.exit('it went on')"
    )
    shown = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *asked.split()],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (shown.returncode, shown.stderr) == (0, "")
    assert "tokentree" in shown.stdout
