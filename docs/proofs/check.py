"""Check every proof from nothing, and write the page that shows the statements.

    python docs/proofs/check.py            make proofs: compile, and say what each theorem rests on
    python docs/proofs/check.py --page     write docs/api/statements.md from the sources

Nothing is written beside the sources: they are compiled in a folder of their own.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parent / "api" / "statements.md"
# As in _CoqProject, which is for editors.
OPTIONS = ["-Q", ".", "tokentree", "-arg", "-w -notation-overridden,-ambiguous-paths"]
READING = """\
## How to read a statement

- `\\sum_x f x` is a sum over a finite type: the leaves, the datasets, the parts. `realFieldType` is any
  ordered field, such as the rationals or the reals; `realType` is the reals.
- `Variables` are arbitrary. `Hypothesis` is assumed in the section around it, so it is a premise of the
  theorems there that use it, until `End`. `Let` and `Definition` are abbreviations.
- `[/\\ A, B & C]` is "A and B and C", `A -> B` is "if A then B", `<->` is "exactly when". `x%:R` is the
  whole number $x$ in the field, `x ^+ k` and `x ^- k` are $x^k$ and $x^{-k}$, `#|part|` is the number of
  parts, `~~ b` is "not b". `A = B` between two comparisons says that they hold together.
- Division is total there: $x / 0 = 0$. A leaf that no dataset has adds nothing to a sum, as in the library.
  Where a division by zero could matter, the statement has a hypothesis against it.
- The paper's letters and the library's names are kept: `overlap` is $S_{it}$, `response` is $R_{it}$,
  `dgamma` is $\\gamma_i'$, `joint` is $q$, `total_size` is $T$."""
INSTALL = "apt-get install coq libcoq-mathcomp libcoq-mathcomp-analysis"

# With these mathcomp-analysis makes the reals; nothing else may be assumed.
STANDARD = {
    "propositional_extensionality",
    "functional_extensionality_dep",
    "constructive_indefinite_description",
}
FORBIDDEN = re.compile(
    r"\b(Admitted|admit|give_up|Axioms?|Parameters?|Conjectures?|bypass_check\w*|"
    r"Unset\s+(?:Guard|Positivity|Universe)\s+Checking)\b"
)
STATED = re.compile(r"(?:Theorem|Corollary)\s+([\w']+)")
# Not what makes a type finite, which says nothing.
SHOWN = re.compile(
    r"(?:Theorem|Corollary|Fixpoint|Record|Inductive|Notation|Implicit|Variables?|Hypothes[ie]s|Section|End)\b"
    r"|Definition\b(?!\s+\w+Mixin)|Let\b.*:="
)
SCOPES = re.compile(r"^Section (\w+)\.\n(?:(?:Variable|Hypothes|Implicit).*\n)*End \1\.\n", re.MULTILINE)
ENDS = re.compile(r"^(?:End \w+\.\n)+(?=```\n(?:\n## |\Z))", re.MULTILINE)
EMPTY = re.compile(r"^```coq\n```\n\n?", re.MULTILINE)


def sources() -> list[Path]:
    """In the order of _CoqProject, which is that of docs/theory.md; then those it does not list."""
    listed = re.findall(r"^\w+\.v$", (HERE / "_CoqProject").read_text(encoding="utf-8"), re.MULTILINE)
    rest = {path.name for path in HERE.glob("*.v")} - set(listed)
    return [HERE / name for name in [*listed, *sorted(rest)]]


def parts(text: str) -> Iterator[str]:
    """Comments, and sentences with the comments inside them."""
    start = at = depth = 0
    quoted = False
    while at < len(text):
        two = text[at : at + 2]
        if two == "(*" and not quoted:
            depth += 1
            at += 2
        elif two == "*)" and depth:
            depth -= 1
            at += 2
            if not depth and text[start:at].lstrip().startswith("(*"):
                yield text[start:at].strip()
                start = at
        else:
            at += 1
            if depth:
                continue
            quoted ^= two[0] == '"'
            if two[0] == "." and not quoted and not two[1:].strip():
                yield text[start:at].strip()
                start = at


def without_comments(text: str) -> str:
    """What Coq reads, in the same lines."""
    out, depth = [], 0
    for piece in re.split(r"(\(\*|\*\))", text):
        if piece == "(*":
            depth += 1
        elif piece == "*)" and depth:
            depth -= 1
        else:
            out.append("\n" * piece.count("\n") if depth else piece)
    return "".join(out)


def statements(path: Path) -> Iterator[tuple[str, str]]:
    """Prose and shown sentences in turn, without proofs and lemmas."""
    prose = made = ""
    in_proof = False
    for part in parts(path.read_text(encoding="utf-8")):
        if part.startswith("(*"):
            if not in_proof and part.startswith("(**"):
                prose = "\n".join(line.strip() for line in part[3:-2].strip().splitlines())
        elif part in {"Qed.", "Defined."}:
            in_proof = False
        elif part == "Proof.":
            in_proof = True
        elif in_proof and made:
            # A definition made in a proof: its first step says what it is.
            yield prose, f"{made}\nProof. {part} ... Defined."
            prose = made = ""
        elif not in_proof:
            if part.startswith("From ") and prose:
                yield prose, ""  # what the file is about
            if part.startswith("Definition") and ":=" not in part:
                made = part
                continue
            if SHOWN.match(part.replace("\n", " ")):
                yield prose, part
            prose = ""


def theorems() -> list[tuple[str, str]]:
    """File and name of each."""
    return [
        (path.stem, found[1])
        for path in sources()
        for _, part in statements(path)
        if (found := STATED.match(part))
    ]


def markdown(prose: str) -> str:
    """Coq's comments as Markdown: [code], and signs that Markdown would read as its own."""
    pieces = re.split(r"(?<![\w\]])\[((?:[^\[\]\n]|\[[^\[\]\n]*\])*)\]", prose)
    pieces[1::2] = [f"`{code}`" for code in pieces[1::2]]
    pieces[::2] = [
        re.sub(
            r"^([-+]|\d+\.)(?= )", r"\\\1", re.sub(r"([\\*$`|~]|<(?=\w))", r"\\\1", text), flags=re.MULTILINE
        )
        for text in pieces[::2]
    ]
    return "".join(pieces)


def page() -> str:
    """The whole of docs/api/statements.md: each statement after its prose and what it speaks of."""
    out = [
        "# The checked statements",
        "`docs/proofs/check.py --page` writes this page from the sources, without proofs and lemmas.\n"
        "[Machine-checked proofs](../proofs.md) has the axioms, and what is not checked.",
        READING,
    ]
    for path in sources():
        if path.stem == "FieldTactic":
            continue  # a tool of the proofs
        out.append(f"## {path.stem}")
        pending: list[str] = []
        for prose, part in statements(path):
            name = STATED.match(part)
            # What comes before a theorem stands under its heading: that is what its statement speaks of.
            if name:
                out.append(f"### `{name[1]}`")
            if prose:
                pending.append(markdown(prose))
            pending.append(
                f"```coq\n{part}\n```" if part else f"Source: [`{path.name}`](../proofs/{path.name})."
            )
            if name or not part:
                out += pending
                pending = []
        out += pending
    # One block of what stands together, without sections that are empty now.
    joined = "\n\n".join(out).replace("\n```\n\n```coq\n", "\n") + "\n"
    return EMPTY.sub("", ENDS.sub("", SCOPES.sub("", joined)))


def forbidden() -> list[str]:
    """Places that assume instead of proving."""
    return [
        f"{path.name}:{number}: {found[0]}"
        for path in sources()
        for number, line in enumerate(without_comments(path.read_text(encoding="utf-8")).splitlines(), 1)
        for found in FORBIDDEN.finditer(line)
    ]


def assumptions(place: str, names: list[tuple[str, str]]) -> list[set[str]]:
    """The axioms under each theorem, by Print Assumptions."""
    query = Path(tempfile.mkdtemp(dir=place)) / "query.v"
    files = sorted({file for file, _ in names})
    query.write_text(
        f"From tokentree Require {' '.join(files)}.\n"
        + "".join(f"Print Assumptions tokentree.{file}.{name}.\n" for file, name in names),
        encoding="utf-8",
    )
    done = subprocess.run(["coqc", *OPTIONS[:3], query], cwd=place, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stdout + done.stderr)
    answers = re.split(r"^(Closed under the global context|Axioms:)\n", done.stdout, flags=re.MULTILINE)
    assert len(answers) == 2 * len(names) + 1, done.stdout
    return [
        set(re.findall(r"^([^\s:]+)", listed, re.MULTILINE)) if head == "Axioms:" else set()
        for head, listed in zip(answers[1::2], answers[2::2], strict=True)
    ]


def check() -> str:
    """An empty text when all is well."""
    if not shutil.which("coqc"):
        return f"No coqc here, so nothing was checked. On Debian and Ubuntu: {INSTALL}"
    if assumed := forbidden():
        return "\n".join(["Assumed, not proved:", *assumed])
    names = theorems()
    with tempfile.TemporaryDirectory() as place:
        for path in sources():
            shutil.copy(path, place)
        files = [path.name for path in sources()]
        subprocess.run(["coq_makefile", *OPTIONS, *files, "-o", "all.mk"], cwd=place, check=True)
        # Not as a part of the make that called this.
        apart = {name: value for name, value in os.environ.items() if not name.startswith("MAKE")}
        if subprocess.run(["make", "-f", "all.mk", "-j2"], cwd=place, env=apart).returncode:
            return "A file does not compile."
        with ThreadPoolExecutor(2) as pool:
            halves = list(pool.map(lambda some: assumptions(place, some), (names[::2], names[1::2])))
    under: dict[tuple[str, str], set[str]] = {}
    for some, found in zip((names[::2], names[1::2]), halves, strict=True):
        under |= dict(zip(some, found, strict=True))
    beyond = []
    last = ""
    for file, name in names:
        axioms = {axiom.rpartition(".")[2] for axiom in under[file, name]}
        if file != last:
            print(f"\n{file}")
            last = file
        said = "closed under the global context"
        if axioms <= STANDARD and axioms:
            said = "standard axioms of the reals: " + ", ".join(sorted(axioms))
        elif axioms:
            said = "OTHER AXIOMS: " + ", ".join(sorted(axioms - STANDARD))
            beyond.append(f"{file}.{name}")
        print(f"  {name}: {said}")
    closed = sum(not axioms for axioms in under.values())
    print(
        f"\n{len(names)} theorems in {len({file for file, _ in names})} files are checked: "
        f"{closed} closed under the global context, {len(names) - closed - len(beyond)} with the standard "
        f"axioms of the reals, {len(beyond)} with others."
    )
    return f"Other axioms under: {', '.join(beyond)}" if beyond else ""


if __name__ == "__main__":
    if sys.argv[1:] == ["--page"]:
        PAGE.write_text(page(), encoding="utf-8")
    else:
        sys.exit(check() or 0)
