"""The table of a transformer's responses: what it must obey, and the half that can be made again at once."""

import hashlib
import itertools
import math
import re
import runpy
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from tokentree import Mixture, elasticity
from tokentree.claims import class_trees, trained_transformer
from tokentree.claims.evidence import CLASSES, CLASSES_DEPTH, CLASSES_LENGTH
from tokentree.trees import leaf_distributions, merge

ROOT = Path(__file__).parents[2]
ROWS = trained_transformer()
FOUND = [row for row in ROWS if row.found]


def matrix(row, source):
    """The symmetric response that a row has the upper half of."""
    pairs = itertools.combinations_with_replacement("pat", 2)
    pp, pa, pt, aa, at, tt = (getattr(row, f"{source}_{''.join(pair)}") for pair in pairs)
    return np.array([[pp, pa, pt], [pa, aa, at], [pt, at, tt]])


@pytest.fixture(scope="module")
def texts():
    """The trees, if this Python's text is that of the table."""
    header = (resources.files("tokentree.claims") / "trained_transformer.csv").read_text().splitlines()[0]
    found = class_trees()
    counts = leaf_distributions(list(found.values()), weights=True)
    if hashlib.sha256(counts.tobytes()).hexdigest()[:16] != re.search(r"counts (\w+)", header)[1]:
        pytest.skip("another Python has another text")
    return found


def test_every_mixture_has_its_row():
    names = ("sources", "topics", "encodings")
    apart = {
        (*each, k, l)
        for each in itertools.permutations(names)
        for k in (3, 10, 100)
        for l in (0.05, 0.2, 0.5)
    }
    rows = [row for row in ROWS if row.form == "apart"]
    assert {(row.pretrain, row.align, row.perturb, row.k, row.l) for row in rows} == apart
    assert len(rows) == len(apart)
    overlapping = {
        ("all", *each, k, part)
        for each in itertools.permutations(names, 2)
        for k in (10, 100)
        for part in (0.5, 1.5)
    }
    rows = [row for row in ROWS if row.form == "overlapping"]
    found = {(row.pretrain, row.align, row.perturb, row.k, round(row.l / row.limit, 9)) for row in rows}
    assert found == overlapping
    assert len(rows) == len(overlapping)
    assert len(ROWS) == len(apart) + len(overlapping)


def test_only_a_minimum_has_a_response():
    assert {row.status for row in ROWS} <= {"minimum", "saddle", "not converged"}
    for row in ROWS:
        assert np.isfinite(matrix(row, "predicted")).all() == row.found
        assert row.found == (row.residual <= 1e-11 and row.status != "saddle")
        assert np.isfinite(matrix(row, "tree")).all()
        if not row.found:
            assert not row.holds("predicted")
            assert not row.holds("retrained")


def test_the_token_tree_codes_each_mixture_in_less():
    for row in ROWS:
        gaps = np.array(
            [
                getattr(row, f"rate_{role}") - getattr(row, f"tree_rate_{role}")
                for role in ("pretrain", "align", "perturb")
            ]
        )
        assert gaps @ [row.k, 1, row.l] > 0


@pytest.mark.parametrize("source", ["predicted", "tree"])
def test_responses_are_negative_semidefinite(source):
    for row in FOUND:
        found = matrix(row, source)
        assert np.linalg.eigvalsh(found).max() < 1e-9 * np.abs(found).max()


def test_the_balance_lacks_what_weight_decay_takes():
    for row in FOUND:
        scale = row.l * abs(row.predicted_tt)
        assert row.defect == pytest.approx(row.balance_regularizers + row.balance_residual, abs=1e-8 * scale)
        assert abs(row.balance_residual) < 1e-8 * scale
        assert np.array([row.k, 1, row.l]) @ matrix(row, "tree") == pytest.approx(0, abs=1e-9)


def test_training_again_finds_what_was_predicted():
    again = [row for row in FOUND if not math.isnan(row.retrained_tt)]
    assert len(again) > 0.9 * len(FOUND)
    for row in again:
        predicted, found = row.to_perturb("predicted"), row.to_perturb("retrained")
        assert found == pytest.approx(predicted, rel=1e-3)
        assert row.signs("retrained") == row.signs("predicted")


def test_the_inequality_decides_the_signs_of_the_token_tree():
    for row in ROWS:
        assert row.inequality("tree") == row.holds("tree")


def test_token_trees_are_those_of_this_python(texts):
    everything = merge(list(texts.values()))
    for row in ROWS:
        trees = [
            everything if name == "all" else texts[name] for name in (row.pretrain, row.align, row.perturb)
        ]
        mixture = Mixture.from_trees(trees, [row.k, 1, row.l])
        rates = row.tree_rate_pretrain, row.tree_rate_align, row.tree_rate_perturb
        assert rates == pytest.approx(mixture.rates(math.e), rel=1e-9)
        assert matrix(row, "tree") == pytest.approx(mixture.response(math.e), rel=1e-8, abs=1e-12)
        exact = elasticity(mixture)
        assert exact.certified
        assert (row.signs("tree"), row.holds("tree")) == (exact.signs, exact.holds)
        assert row.ratio("tree") == pytest.approx(exact.ratio, rel=1e-7)
        assert row.cosine("tree") == pytest.approx(exact.cosine, rel=1e-7)
        if row.form == "overlapping":
            p, a, t = leaf_distributions(trees)
            overlap_align, overlap_perturb = (a * t / p).sum(), (t * t / p).sum()
            assert row.limit == pytest.approx((1 - overlap_align) / (overlap_perturb - 1), rel=1e-9)


def test_classes_of_characters_are_apart():
    assert len(set(b"".join(CLASSES))) == sum(map(len, CLASSES))
    for tree in class_trees().values():
        assert (tree.alphabet_size, tree.depth) == (len(CLASSES) + 1, CLASSES_DEPTH)
        assert tree.total_weight == CLASSES_LENGTH - CLASSES_DEPTH + 1


@pytest.mark.slow
def test_the_script_makes_such_rows(texts):
    pytest.importorskip("torch")
    script = runpy.run_path(str(ROOT / "notebooks" / "trained_transformer.py"))
    case = next(script["cases"](texts))[0]
    _, row = script["measure"](case, script["losses_of"](case.trees), script["Transformer"]())
    assert row.status == "minimum"
    assert row.to_perturb("retrained") == pytest.approx(row.to_perturb("predicted"), rel=1e-4)
