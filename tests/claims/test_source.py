"""The map of the source, and what other pages say of verdicts: nothing left out, nothing worded twice."""

import re
from pathlib import Path

import pytest

from tokentree.claims import BY_ID, SOURCE, Finding, Ledger, Verdict, as_map, in_section
from tokentree.claims.notation import as_tex

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "ledger.md").read_text(encoding="utf-8")
ROWS = {
    id: (anchor, verdict, short)
    for id, anchor, verdict, short in re.findall(
        r"^\| \[([^\]]+)\]\(#([^)]+)\) \| (.*?) \| .*? \| (.*) \|$", PAGE, re.MULTILINE
    )
}
CLAIMS = dict(re.findall(r"^## (\S+)\n\n\*\*(.*?)\*\* \(", PAGE, re.MULTILINE))


def test_every_claim_is_on_the_map_and_the_map_has_no_other():
    named = [id for statements in SOURCE.values() for each in statements for id in each.claims]
    assert {*named} == {*BY_ID}
    assert all(each.claims for statements in SOURCE.values() for each in statements)


def test_the_page_is_the_map_of_the_ledger():
    assert ROWS.keys() == BY_ID.keys()
    findings = tuple(
        Finding(id, CLAIMS[id], "", Verdict(verdict), "", "proof", {}, "")
        for id, (_, verdict, _) in ROWS.items()
    )
    page = (ROOT / "docs" / "paper-map.md").read_text(encoding="utf-8")
    assert page.partition("\n## ")[2] == as_map(Ledger(findings, seed=0)).partition("## ")[2]


def test_the_readme_words_claims_and_verdicts_as_the_ledger_does():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    counts = {verdict: sum(row[1] == verdict for row in ROWS.values()) for verdict in Verdict}
    said = (
        f"Of {len(ROWS)} claims {counts[Verdict.HOLDS]} hold, {counts[Verdict.UNDER_A_CONDITION]} hold under "
        f"a condition, {counts[Verdict.IN_A_LIMIT]} hold in a limit, and {counts[Verdict.FAILS]} fail."
    )
    assert said in " ".join(text.split())
    anchors = {anchor: id for id, (anchor, _, _) in ROWS.items()}
    shown = re.findall(r"^\| \[(.*)\]\(docs/ledger\.md#([^)]+)\) \| (.*) \|$", text, re.MULTILINE)
    assert len(shown) > 10
    for claim, anchor, found in shown:
        id = anchors[anchor]
        assert as_tex(claim.replace("\\|", "|")) == CLAIMS[id].rstrip(".")
        assert as_tex(found) == f"{ROWS[id][1]}: {ROWS[id][2]}"


def test_sections_are_found_by_number_and_by_words():
    assert in_section("4.2") == ("section-4.2/smaller-moves-more", "section-4.2/example")
    assert {*in_section("4.2")} < {*in_section("4")}
    assert in_section("Limitations") == ("limitations/threshold",)
    assert in_section("hooke") == in_section("4.3") == ("equation-3/as-printed", "equation-3/reversed")
    for wrong in ("", "9", "4.9"):
        with pytest.raises(ValueError, match="must be one of '1 Introduction', "):
            in_section(wrong)
