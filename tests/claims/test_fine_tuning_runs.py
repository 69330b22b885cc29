"""The table of fine-tuned transformers, and what it must be whatever it says."""

import math
from collections import defaultdict

import pytest

from tokentree.alignment import NEGATIVE, POSITIVE
from tokentree.claims.experiments import FineTuned, fine_tuned

PAIRS = ("1-2", "1-3", "2-3")


@pytest.fixture(scope="module")
def rows() -> list[FineTuned]:
    return fine_tuned()


@pytest.fixture(scope="module")
def means(rows: list[FineTuned]) -> dict[tuple[object, ...], float]:
    """By setting, case, examples and measure."""
    return {
        (row[:7] if row.method != "tree" else (*row[:4], *row[5:7]), *row[7:10]): row.mean for row in rows
    }


def test_every_row_is_given_once(rows: list[FineTuned], means: dict[tuple[object, ...], float]) -> None:
    assert len(means) == len(rows)


def test_settings(rows: list[FineTuned]) -> None:
    assert {row.experiment for row in rows} == {"resistance", "rebound", "factors"}
    assert {row.positive for row in rows} == {"sources", "encodings", "topics"}
    assert {(row.method, row.optimizer) for row in rows} == {
        ("SFT", "SGD"),
        ("SFT", "Adam"),
        ("DPO", "Adam"),
        ("tree", "counts"),
        ("tree", "fixed steps"),
    }
    trained = [row for row in rows if row.method != "tree"]
    assert len({row.width for row in trained}) == len({row.pretrained for row in trained}) == 3


def test_the_papers_sizes_are_there(means: dict[tuple[object, ...], float]) -> None:
    curves = defaultdict(set)
    for setting, case, examples, measure in means:
        if setting[0] == "rebound" and measure == "score" and case != "0":
            curves[setting].add((int(case), examples))
    assert curves
    for points in curves.values():
        assert points == {(n, m) for n in POSITIVE for m in NEGATIVE}


def test_seeds_and_errors(rows: list[FineTuned]) -> None:
    most = max(row.seeds for row in rows)
    assert most >= 3
    for row in rows:
        assert 0 <= row.seeds <= most
        assert math.isfinite(row.error) == (row.seeds > 1)
        assert math.isfinite(row.mean) == (row.seeds > 0)
        assert not row.error < 0
        # Only whether a level is reached may differ between seeds.
        if row.method != "tree" and not row.measure.startswith(("needed", "fraction")):
            assert row.seeds == most


def test_gaps_add_up(rows: list[FineTuned]) -> None:
    """The entropies are estimated from more windows than the losses: so they add up within the noise."""
    gaps = {(*row[:4], *row[5:8], row.measure): row for row in rows if row.measure.endswith("_gap")}
    losses = {key[:-1]: row for key, row in gaps.items() if key[-1] == "loss_gap"}
    assert {key[-1] for key in losses} == set(PAIRS)
    for key, loss in losses.items():
        entropy, excess = gaps[(*key, "entropy_gap")], gaps[(*key, "excess_gap")]
        errors = [0.0 if math.isnan(row.error) else row.error for row in (loss, entropy, excess)]
        scale = 1e-3 * (abs(entropy.mean) + abs(excess.mean))
        assert abs(loss.mean - entropy.mean - excess.mean) <= 5 * sum(errors) + scale


def test_scores_are_shares(rows: list[FineTuned]) -> None:
    assert all(0 <= row.mean <= 1 for row in rows if row.measure in ("share", "score"))


def test_distances_are_not_negative(rows: list[FineTuned]) -> None:
    distances = [row for row in rows if row.measure.startswith("kl_") and "-" not in row.case]
    assert distances
    assert all(row.mean >= 0 for row in distances)


def test_first_drop_is_read_off_the_curve(means: dict[tuple[object, ...], float]) -> None:
    """But for rounding to four figures."""
    for setting, case, examples, measure in list(means):
        before, after = (setting, case, 0, "score"), (setting, case, 100, "score")
        if measure == "first_drop_score" and examples == 100 and after in means:
            found = means[setting, case, examples, measure]
            assert found == pytest.approx(means[before] - means[after], abs=2e-4)
