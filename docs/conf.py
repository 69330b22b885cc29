"""The documentation site: ``python -m sphinx -W -n docs docs/_build/html``, or ``make docs``."""

import ast
import re
import shutil
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from sphinx.application import Sphinx

DOCS = Path(__file__).parent

project = "tokentree"
author = "the tokentree authors"
project_copyright = author
release = version = installed("tokentree")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_copybutton",
    # MathJax beside the pages, so that formulas show without a network.
    "sphinx-mathjax-offline",
]
# contents.md is read as the end of index.md.
exclude_patterns = ["_build", "contents.md"]
# Names in single backticks link where there is something to link to, and are code everywhere.
default_role = "py:obj"
nitpick_ignore_regex = [
    ("py:obj", ".*"),
    # Private types, as those in the files of a wing, and those of other libraries: the build fetches no
    # inventory and needs no network.
    ("py:class", r"(?!tokentree\.).*|tokentree\..*\b_\w+.*|tokentree\.\w+\.\w+\.\w+"),
]

smartquotes = False  # "--json" and "0, ..., n" stay as they are typed

myst_enable_extensions = ["amsmath", "dollarmath"]
myst_heading_anchors = 4
nb_execution_mode = "off"

autodoc_default_options = {"members": True, "member-order": "bysource"}
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
numpydoc_show_class_members = False
python_maximum_signature_line_length = 80

html_theme = "furo"
html_title = "tokentree"
html_static_path = ["_static"]
html_css_files = ["narrow.css"]
html_show_sourcelink = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True


def copy_notebooks(app: Sphinx) -> None:
    """Sphinx reads nothing outside its folder."""
    shutil.rmtree(DOCS / "tutorials", ignore_errors=True)
    shutil.copytree(
        DOCS.parent / "notebooks",
        DOCS / "tutorials",
        ignore=lambda folder, names: {name for name in names if not name.endswith(".ipynb")},
    )


def read_source(app: Sphinx, page: str, source: list[str]) -> None:
    """Pages are written for GitHub; here notebooks stand among them, and the front page has the contents."""
    # From notebooks/ to docs/ on GitHub, and back.
    text = re.sub(r"\]\((\.\./)*\.\./notebooks/", lambda m: f"]({m[1] or ''}tutorials/", source[0])
    text = text.replace("](../docs/", "](../")
    source[0] = text if page != "index" else f"{text}\n{(DOCS / 'contents.md').read_text(encoding='utf-8')}"


def escape_bars(app: Sphinx, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """In docstrings |D| is a size, not a substitution; code stays as it is."""
    in_example = False
    for i, line in enumerate(lines):
        in_example = line.lstrip().startswith(">>>") or (in_example and bool(line.strip()))
        if not in_example:
            lines[i] = re.sub(r"(`+).*?\1|\\?\|", lambda m: m[0] if m[1] else r"\|", line)


def shorten_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Leave types to the docstring where it has parameters; keep what is returned, with its shape."""
    if signature and re.search(r"\b_\w+:", signature):
        return "", None  # a class that is not made by its constructor
    if signature is None or "Parameters\n" not in (getattr(obj, "__doc__", None) or ""):
        return signature, returns
    function = ast.parse(f"def f{signature}: ...").body[0]
    assert isinstance(function, ast.FunctionDef)
    for argument in ast.walk(function.args):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return f"({ast.unparse(function.args)})", returns


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("builder-inited", copy_notebooks)
    app.connect("source-read", read_source)
    # After numpydoc, which would take the escapes for its own text.
    app.connect("autodoc-process-docstring", escape_bars, priority=900)
    app.connect("autodoc-process-signature", shorten_signature)
