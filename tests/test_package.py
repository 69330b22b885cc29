"""The package as a whole: its version, its type marker, and what importing it costs."""

import subprocess
import sys
from importlib import metadata, resources

import pytest

import tokentree


def test_version_is_the_installed_one():
    assert tokentree.__version__ == metadata.version("tokentree")


def test_types_are_published():
    assert resources.files(tokentree).joinpath("py.typed").is_file()


def test_public_names_exist_once():
    assert all(hasattr(tokentree, name) for name in tokentree.__all__)
    assert len(set(tokentree.__all__)) == len(tokentree.__all__)


@pytest.mark.parametrize("module", ["matplotlib", "rich", "scipy.special", "sympy", "torch"])
def test_importing_the_package_leaves_heavy_modules_alone(module):
    code = f"import sys, tokentree; sys.exit({module!r} in sys.modules)"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)


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
