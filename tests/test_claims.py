"""The ledger: every verdict, and that nothing but the evidence decides it."""

import json

import numpy as np
import pytest

from tokentree import TokenTree, Verdict, align, claims, elasticity, published_form, verify
from tokentree.claims import evidence as evidence_module
from tokentree.claims import section3, section4

EXPECTED = {
    "source-coding": Verdict.HOLDS,
    "theorem-3.4": Verdict.FAILS,
    "theorem-3.4/within-a-bit": Verdict.HOLDS,
    "mixture-formula": Verdict.HOLDS,
    "rate-as-printed": Verdict.FAILS,
    "gibbs-duhem": Verdict.HOLDS,
    "theorem-4.2/published": Verdict.UNDER_A_CONDITION,
    "theorem-4.2/published-overlapping": Verdict.UNDER_A_CONDITION,
    "theorem-4.2/ratio": Verdict.IN_A_LIMIT,
    "theorem-4.2/three-datasets": Verdict.FAILS,
    "theorem-4.2/three-datasets-condition": Verdict.UNDER_A_CONDITION,
    "theorem-4.2/huffman": Verdict.HOLDS,
    "section-4.2/example": Verdict.IN_A_LIMIT,
}


@pytest.fixture(scope="module")
def evidence():
    return claims.Evidence(seed=3)


@pytest.fixture(scope="module")
def ledger():
    return verify(seed=3)


def test_every_verdict_is_reached_and_is_the_expected_one(ledger):
    assert {finding.id: finding.verdict for finding in ledger} == EXPECTED
    assert ledger.decided


@pytest.mark.parametrize("claim", EXPECTED)
def test_witness_runs_and_asserts(ledger, claim):
    witness = ledger[claim].witness
    assert "assert" in witness
    exec(compile(witness, claim, "exec"), {})


def test_the_whole_grid_is_certified(ledger):
    figures = ledger["theorem-4.2/published"].figures
    cases = figures["cases: k = 10 to 10^9, l = 0.001 to 0.6"]
    assert cases == 2 * 9 * 8
    assert figures["signs certified"] == figures["signs as l < 1/2 says"] == cases
    # k = 10^9 leaves gamma_p' nine digits below the rates: the closed form must still be met.
    assert figures["largest relative difference from the closed form"] < 1e-12


def test_section_4_1_form_gives_both_ways_to_fail(ledger):
    figures = ledger["theorem-4.2/three-datasets"].figures
    assert figures["Pareto overlapping, k = 1000000: signs of gamma_1', gamma_2'"] == "+ -"
    for corpus in ("text", "Pareto"):
        assert figures[f"{corpus} disjoint, k = 10: signs of gamma_1', gamma_2'"] == "+ +"


def test_ledger_reads_like_a_sequence_and_by_name(ledger):
    assert len(ledger) == len(EXPECTED)
    assert ledger[0] is ledger["source-coding"]
    assert ledger[1:3] == ledger.findings[1:3]
    with pytest.raises(KeyError, match="source-coding"):
        ledger["no-such-claim"]


def test_json_says_everything(ledger, tmp_path):
    ledger.to_json(tmp_path / "ledger.json")
    plain = json.loads((tmp_path / "ledger.json").read_text(encoding="utf-8"))
    assert plain["seed"] == 3
    assert plain["environment"]["tokentree"]
    assert [finding["id"] for finding in plain["findings"]] == list(EXPECTED)
    assert plain["findings"][0].keys() == {
        *("id", "claim", "where", "verdict", "reason", "grounds", "figures", "witness"),
    }


def test_same_seed_same_findings_and_another_seed_another_corpus(ledger, evidence):
    again = section4.published_overlapping(evidence)
    assert again == ledger["theorem-4.2/published-overlapping"]
    other = claims.pareto_corpus(np.random.default_rng(4))
    assert not np.array_equal(other.counts, evidence.corpora[1].counts)


def test_an_undecided_verdict_is_reported_as_such(ledger, monkeypatch):
    undecided = [finding for finding in ledger if finding.verdict is Verdict.UNDECIDED]
    assert not undecided
    finding = ledger[0]
    doubtful = claims.Finding(**{**vars(finding), "verdict": Verdict.UNDECIDED})
    assert not claims.Ledger((finding, doubtful), seed=0).decided


@pytest.mark.parametrize(("section", "claim"), [(section4, "published"), (section3, "mixture_formula")])
def test_wrong_mathematics_would_be_caught(evidence, monkeypatch, section, claim):
    # A response of the wrong sign, and a merge that loses a response, must not pass as holding.
    def mirrored(*args, **kwargs):
        found = elasticity(*args, **kwargs)
        return type(found)(**{**vars(found), "holds": not found.holds})

    def lossy(trees, *args, **kwargs):
        counts = align(trees, *args, **kwargs)
        counts[0, 0] += 1
        return counts

    monkeypatch.setattr(section4, "elasticity", mirrored)
    monkeypatch.setattr(section3, "align", lossy)
    assert getattr(section, claim)(evidence).verdict is Verdict.FAILS


def test_text_is_read_as_one_response_a_dataset(evidence):
    text = evidence.corpora[0]
    topics = b"".join(path.read_bytes() for path in claims.library_text()["topics"])
    assert text.trees[1] == TokenTree.from_bytes(topics, block=evidence_module.TEXT_DEPTH)
    assert text.trees[1].total_weight == 8 * len(topics) // evidence_module.TEXT_DEPTH + 1


def test_disjoint_corpora_share_no_leaf(evidence):
    for corpus in evidence.corpora:
        rows = corpus.disjoint
        assert (np.count_nonzero(rows, axis=0) <= 1).all()
        for row, tree in zip(rows, corpus.trees, strict=True):
            assert sorted(row[row > 0]) == sorted(tree.leaves().weight[tree.leaves().weight > 0])
        assert elasticity(published_form(rows, 10, 0.25)).holds


def test_missing_library_is_one_clear_line(monkeypatch, tmp_path):
    monkeypatch.setattr(evidence_module.sysconfig, "get_path", lambda name: str(tmp_path))
    with pytest.raises(FileNotFoundError, match="no sources under"):
        claims.library_text()


def test_bad_seed():
    with pytest.raises(ValueError, match="seed = -1"):
        verify(seed=-1)
