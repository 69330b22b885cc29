"""The runs that come with the library: what was trained, and what the law says of them."""

import itertools

import numpy as np
import pytest

from tokentree.training import MixingLaw, TrainingRuns, own_runs


@pytest.fixture(scope="module")
def runs():
    return own_runs()


@pytest.fixture(scope="module")
def by_size(runs):
    return [runs.subset(runs.parameters == size) for size in (406, 1576)]


def test_two_sizes_learned_the_same_mixtures_of_five_texts(runs, by_size):
    assert runs.names == ("topics", "sources", "encodings", "names", "entities")
    assert runs.tasks == ()
    assert runs.measured.all()
    assert len({*runs.labels}) == runs.n_runs == 220
    assert [each.n_runs for each in by_size] == [110, 110]
    np.testing.assert_array_equal(by_size[0].sizes, by_size[1].sizes)
    np.testing.assert_allclose(runs.sizes.sum(axis=1), 1, atol=1e-5)
    assert set(runs.tokens) == {250_000}


def test_no_loss_is_above_that_of_guessing_and_more_parameters_help(by_size):
    small, large = (each.rates for each in by_size)
    own = by_size[0].weights > 0.05
    assert (small[own] < np.log(16)).all()
    assert ((small * by_size[0].weights).sum(axis=1) > (large * by_size[1].weights).sum(axis=1)).all()


def test_every_pair_of_runs_obeys_the_law(runs):
    found = runs.monotone()
    assert (found.pairs, found.violated) == (2 * 110 * 109 // 2, 0)
    assert found.worst < -1e-3
    # A sharper question than pairs: four small models would have done better with another's weights.
    gaps = runs.gaps()
    assert np.count_nonzero(gaps) == 4
    assert gaps.max() < 2e-3


def test_losses_of_other_texts_would_not_obey(by_size):
    for each in by_size:
        turned = TrainingRuns(each.sizes, np.roll(each.rates, 1, axis=1)).monotone()
        assert turned.violated > turned.pairs / 2


@pytest.mark.parametrize(("size", "furthest", "mean"), [(0, 0.11, 0.03), (1, 0.05, 0.001)])
def test_inverse_proportion(by_size, size, furthest, mean):
    ratios = [by_size[size].balance(i, j) for i, j in itertools.combinations(range(5), 2)]
    np.testing.assert_allclose(ratios, 1, atol=furthest)
    assert np.mean(ratios) == pytest.approx(1, abs=mean)


@pytest.mark.parametrize(("size", "r2"), [(0, 0.97), (1, 0.98)])
def test_the_law_fitted_to_half_predicts_the_rest(by_size, size, r2):
    law = MixingLaw.fit(by_size[size].subset(slice(0, None, 2)), 20, "shared", smoothing=1e-3, starts=1)
    assert law.score(by_size[size].subset(slice(1, None, 2))).r2.min() > r2
