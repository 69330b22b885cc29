"""The documentation site: ``python -m sphinx -W -n docs docs/_build/html``, or ``make docs``."""

import ast
import functools
import re
import shutil
import sys
from importlib.metadata import version as installed
from pathlib import Path
from typing import Any

from docutils import nodes
from furo.navigation import get_navigation_tree
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util.nodes import make_refnode

from tokentree.claims.notation import as_tex
from tokentree.explorer import explore, write_explorer

DOCS = Path(__file__).parent

# Code blocks are linked name by name, which imports what they import; these take half a minute and chatter.
for heavy in ("torch", "transformers"):
    sys.modules[heavy] = None  # type: ignore[assignment]

project = "tokentree"
author = "the tokentree authors"
project_copyright = author
release = version = installed("tokentree")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "numpydoc",
    "sphinx_codeautolink",
    "sphinx_copybutton",
    # MathJax beside the pages, so that formulas show without a network.
    "sphinx-mathjax-offline",
]
# contents.md is read as the end of index.md.
exclude_patterns = ["_build", "contents.md"]
# Without a network, the names that we use are looked up in our own short inventories.
intersphinx_mapping = {
    name: (url, (None, f"inventories/{name}.inv"))
    for name, url in {
        "matplotlib": "https://matplotlib.org/stable/",
        "networkx": "https://networkx.org/documentation/stable/",
        "numpy": "https://numpy.org/doc/stable/",
        "pandas": "https://pandas.pydata.org/docs/",
        "python": "https://docs.python.org/3/",
        "scipy": "https://docs.scipy.org/doc/scipy/",
        "sympy": "https://docs.sympy.org/latest/",
    }.items()
}
intersphinx_timeout = 5

# Names in single backticks link where there is something to link to, and are code everywhere.
default_role = "py:obj"
nitpick_ignore_regex = [
    ("py:obj", ".*"),
    # Private types, as those in the files of a wing, and those of other libraries, which a build without a
    # network need not find.
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
html_css_files = ["tokentree.css"]
html_js_files = ["search.js"]
html_favicon = "_static/favicon.svg"
html_show_sourcelink = False
html_domain_indices = False
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


# Pages that the sidebar shows when the one above them is open.
BELOW = {"api": "api/*", "contributing": "changelog", "ledger": "paper-map"}


def read_source(app: Sphinx, page: str, source: list[str]) -> None:
    """Pages are written for GitHub, where the README is the home page and notebooks stand beside the docs."""
    text = source[0]
    if page == "index":
        text = (DOCS.parent / "README.md").read_text(encoding="utf-8")
        app.env.note_dependency("../README.md")
        # On GitHub and on an index formulas are plain; here they are set.
        row = r"^\| \[(.*)\]\((docs/ledger\.md#\S+)\) \| (.*) \|$|^The slopes are (.*\n)+?$"
        text = re.sub(row, set_formulas, text, flags=re.MULTILINE)
        # The sidebar says where to read on.
        text = re.sub(r"## Where to read on\n(.*\n)+?(?=Apache)", "", text)
        text = text.replace("](docs/", "](").replace("](notebooks/", "](tutorials/")
        text = re.sub(r"\]\((CHANGELOG|CONTRIBUTING)\.md\)", lambda m: f"]({m[1].lower()}.md)", text)
        text = text.replace("](CITATION", "](../CITATION")
        text += (DOCS / "contents.md").read_text(encoding="utf-8")
    elif page in BELOW:
        text += f"\n```{{toctree}}\n:hidden:\n:glob:\n\n{BELOW[page]}\n```\n"
    if page == "ledger":
        # Figures and witnesses are half of it; here the file is there to be downloaded.
        text = re.sub(r"\n\| figure \|.*\n(?:\|.*\n)+|\n```python\n(?:.*\n)*?```\n", "\n", text)
        whole = "Figures and witnesses are in {download}`the whole ledger <ledger.md>`."
        text = text.replace('\n\n"Machine', f' {whole}\n\n"Machine', 1)
    # From notebooks/ to docs/ on GitHub, and back.
    text = re.sub(r"\]\((\.\./)*\.\./notebooks/", lambda m: f"]({m[1] or ''}tutorials/", text)
    source[0] = text.replace("](../docs/", "](../")


def set_formulas(found: re.Match[str]) -> str:
    """A row of the README's table, or a paragraph of it, with its formulas as TeX."""
    if found[2] is None:
        return as_tex(found[0])
    claim, verdict = (as_tex(part.replace(r"\|", "|")) for part in (found[1], found[3]))
    return f"| [{claim}]({found[2]}) | {verdict} |"


@functools.cache
def documented(env: BuildEnvironment) -> dict[str, tuple[str, str]]:
    """Page and anchor of each name: whole, without the package, or a member by its class."""
    found: dict[str, tuple[str, str]] = {}
    members: dict[str, set[tuple[str, str]]] = {}
    objects = env.domains.python_domain.objects
    for name, entry in sorted(objects.items(), key=lambda item: -item[0].count(".")):
        place = entry.docname, entry.node_id
        parts = name.split(".")
        shortest = 2 if entry.objtype in {"attribute", "method", "module", "property"} else 1
        for i in range(len(parts) - shortest + 1):
            found[".".join(parts[i:])] = place
        if shortest == 2:
            members.setdefault(parts[-1], set()).add(place)
    # `mixture.rates` is a member of some class; which one is clear if only one has it.
    return found | {f".{name}": places.pop() for name, places in members.items() if len(places) == 1}


class LinkNames(SphinxPostTransform):
    """Names of the library in prose lead to the API reference, in pages, docstrings and notebooks alike."""

    default_priority = 11  # after references are resolved

    def run(self, **kwargs: Any) -> None:
        """Called by Sphinx."""
        places = documented(self.env)
        for literal in list(self.document.findall(nodes.literal)):
            name = re.fullmatch(r"([A-Za-z_][\w.]*)(\(.*\))?", literal.astext())
            above = literal.parent
            if not name or isinstance(above, nodes.title | nodes.reference | pending_xref):
                continue
            owner, dot, member = name[1].rpartition(".")
            place = places.get(name[1]) or (owner.islower() and places.get(dot + member)) or None
            if place:
                page, anchor = place
                link = make_refnode(self.app.builder, self.env.docname, page, anchor, [literal.deepcopy()])
                literal.replace_self(link)


def fold_contents(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: object) -> None:
    """In the sidebar, pages of a page show only where the reader is among them."""
    contents = context["toctree"](collapse=True, titles_only=True, maxdepth=-1, includehidden=True)
    context["furo_navigation_tree"] = get_navigation_tree(contents)


def write_explorer_page(app: Sphinx, exception: Exception | None) -> None:
    """The page that explorer.md has in a frame."""
    if exception is None and app.builder.format == "html":
        write_explorer(app.outdir / "_static" / "explorer.html", explore())


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
    app.connect("html-page-context", fold_contents, priority=900)
    app.connect("build-finished", write_explorer_page)
    app.add_post_transform(LinkNames)
    # After numpydoc, which would take the escapes for its own text.
    app.connect("autodoc-process-docstring", escape_bars, priority=900)
    app.connect("autodoc-process-signature", shorten_signature)
