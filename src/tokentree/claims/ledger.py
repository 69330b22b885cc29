"""The finding on a claim, a verdict with grounds, figures and witness, and the ledger of all findings."""

import json
import math
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from html import escape
from importlib.metadata import version
from typing import TYPE_CHECKING, Any, overload

from .._lib.archives import replacing
from .._lib.display import pairs, table
from .._lib.frames import frame
from .notation import as_tex

if TYPE_CHECKING:
    import pandas


class Verdict(StrEnum):
    """What was found about a claim."""

    HOLDS = "holds"
    IN_A_LIMIT = "holds in a limit"
    UNDER_A_CONDITION = "holds under a condition"
    FAILS = "fails"
    UNDECIDED = "undecided"


Figure = float | int | str | bool

BASES = ("proof", "exact computation", "cases tried")
"""How grounds begin."""


@dataclass(frozen=True, repr=False)
class Finding:
    """One claim and what was found.

    Attributes
    ----------
    id : str
        Short name, for `Ledger.__getitem__` and ``tokentree verify --claim``.
    claim : str
        The claim in one sentence.
    where : str
        Where the paper makes it.
    verdict : Verdict
    reason : str
        Why, in one or two sentences.
    grounds : str
        "proof", "exact computation" or "on the cases tried", with what was computed.
    figures : dict
        Named figures; lengths and rates in bits per block.
    witness : str
        A Python program that asserts the finding. For any verdict other than "holds" it is plain Python,
        without this library, and small enough to check by hand.
    short : str
        The reason in a few words, for a ledger that fits on one screen.
    charitable : str
        What is true of the claim on a charitable reading, where that differs from its letter.
    theorems : tuple of str
        Theorems of ``docs/proofs/``, checked by Coq, on which the finding or part of its proof rests, each as
        "File.theorem". Anything beyond them is proved in prose, or not at all.
    """

    id: str
    claim: str
    where: str
    verdict: Verdict
    reason: str
    grounds: str
    figures: dict[str, Figure]
    witness: str
    short: str = ""
    charitable: str = ""
    theorems: tuple[str, ...] = ()

    @property
    def basis(self) -> str:
        """The main basis of the verdict: "proof", "exact computation" or "cases tried", else ""."""
        starts = (basis for basis in BASES if self.grounds.startswith((basis, f"on the {basis}")))
        return next(starts, "")

    @property
    def anchor(self) -> str:
        """Anchor of its section on the ledger's page, as common Markdown renderers form it."""
        # Lower case, punctuation dropped, spaces to hyphens.
        return "".join(c for c in self.id.lower().replace(" ", "-") if c.isalnum() or c in "-_")

    def __repr__(self) -> str:
        return f"Finding({self.id!r}: {self.verdict}{self.short and '; ' + self.short})"

    def _repr_html_(self) -> str:
        names = ("claim", "where", "verdict", "reason", "charitable", "grounds")
        said = {name: getattr(self, name) for name in names if getattr(self, name)}
        if "charitable" in said:
            said["read charitably"] = said.pop("charitable")
        if self.theorems:
            said["machine-checked"] = ", ".join(self.theorems)
        about = pairs(said, f"Finding: {self.id}")
        figures = pairs(self.figures, "figures") if self.figures else ""
        witness = self.witness
        folded = (
            f"<details><summary>witness</summary><pre>{escape(witness)}</pre></details>" if witness else ""
        )
        return f"<div>{about}{figures}{folded}</div>"


@dataclass(frozen=True, repr=False)
class Ledger(Sequence[Finding]):
    """The findings of one run of `verify`, in the order of the paper.

    Examples
    --------
    >>> finding = Finding("one", "1 = 1.", "nowhere", Verdict.HOLDS, "It is.", "proof", {}, "assert 1 == 1")
    >>> ledger = Ledger((finding,), seed=0)
    >>> ledger.decided, ledger["one"].verdict.value
    (True, 'holds')
    """

    findings: tuple[Finding, ...]
    seed: int
    environment: dict[str, str] = field(
        default_factory=lambda: {"tokentree": version("tokentree"), "python": platform.python_version()}
    )

    @property
    def decided(self) -> bool:
        """Whether every claim has a verdict other than "undecided"."""
        return all(finding.verdict is not Verdict.UNDECIDED for finding in self.findings)

    def __len__(self) -> int:
        return len(self.findings)

    @overload
    def __getitem__(self, key: int | str) -> Finding: ...

    @overload
    def __getitem__(self, key: slice) -> tuple[Finding, ...]: ...

    def __getitem__(self, key: int | str | slice) -> Finding | tuple[Finding, ...]:
        if isinstance(key, str):
            for finding in self.findings:
                if finding.id == key:
                    return finding
            raise KeyError(f"{key!r}: must be one of {', '.join(finding.id for finding in self.findings)}")
        return self.findings[key]

    def __repr__(self) -> str:
        counts = [(sum(f.verdict is verdict for f in self), verdict) for verdict in Verdict]
        return f"Ledger({', '.join(f'{n} {verdict}' for n, verdict in counts if n)}; seed={self.seed})"

    def _repr_html_(self) -> str:
        header = ["id", "claim", "where", "verdict", "basis", "short"]

        def row(i: int) -> list[object]:
            return [getattr(self.findings[i], name) for name in header]

        return table(header, len(self), row, repr(self), limit=100)

    def to_frame(self) -> "pandas.DataFrame":
        """The findings as a pandas table, one row each, without their figures, witnesses and theorems.

        Returns
        -------
        pandas.DataFrame
            Index id; columns claim, where, verdict, basis, short, reason, charitable and grounds, all of them
            text.

        Raises
        ------
        ImportError
            If pandas is not installed.

        Examples
        --------
        >>> finding = Finding("one", "1 = 1.", "nowhere", Verdict.HOLDS, "It is.", "proof", {}, "assert True")
        >>> Ledger((finding,), seed=0).to_frame().loc["one", "verdict"]
        'holds'
        """
        names = ("id", "claim", "where", "verdict", "basis", "short", "reason", "charitable", "grounds")
        columns = {name: [str(getattr(finding, name)) for finding in self] for name in names}
        return frame(columns, "id")

    def to_dict(self) -> dict[str, Any]:
        """Plain data: seed, environment, and the findings' attributes by name."""
        return asdict(self)

    def to_markdown(self) -> str:
        """The ledger as a page of documentation: a table of verdicts, then each finding with its witness.

        Returns
        -------
        str
            Markdown. Formulas are TeX between dollar signs, and figures have six digits.
        """
        lines = ["| claim | verdict | rests on | in short |", "| --- | --- | --- | --- |"]
        lines += [
            f"| [{f.id}](#{f.anchor}) | {f.verdict} | {f.basis} | {cell(as_tex(f.short))} |" for f in self
        ]
        for finding in self:
            lines += ["", f"## {finding.id}", "", f"**{as_tex(finding.claim)}** ({finding.where})", ""]
            lines += [f"Verdict: **{finding.verdict}**. {as_tex(finding.reason)}", ""]
            if finding.charitable:
                lines += [f"Read charitably: {as_tex(finding.charitable)}", ""]
            lines += [f"Grounds: {as_tex(finding.grounds)}."]
            if finding.theorems:
                lines += ["", f"Machine-checked: {', '.join(f'`{name}`' for name in finding.theorems)}."]
            if finding.figures:
                lines += ["", "| figure | value |", "| --- | --- |"]
                lines += [f"| {cell(name)} | {shown(x)} |" for name, x in finding.figures.items()]
            if finding.witness:
                lines += ["", "```python", finding.witness.rstrip(), "```"]
        return "\n".join(lines) + "\n"

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write `to_dict` to a file as JSON. An existing file is replaced only once all data are on disk."""
        with replacing(path) as (file,):
            file.write(as_json(self))


def as_json(ledger: Ledger) -> bytes:
    """The file that `Ledger.to_json` writes."""
    plain = ledger.to_dict()
    for finding in plain["findings"]:
        # JSON has no infinity.
        finding["figures"] = {
            name: str(figure) if isinstance(figure, float) and not math.isfinite(figure) else figure
            for name, figure in finding["figures"].items()
        }
    return f"{json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)}\n".encode()


def shown(figure: Figure) -> str:
    """A figure for readers, to six digits."""
    return f"{figure:.6g}" if isinstance(figure, float) else str(figure)


def cell(text: str) -> str:
    """Text for the cell of a table."""
    return text.replace("|", r"\|")
