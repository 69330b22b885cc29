"""Every parameter that takes an array of numbers: what is taken for one, and what is refused where it stands.

The table has all of them. A parameter takes an array if its annotation says so; `test_the_table_is_whole`
fails for one that is not there.
"""

import heapq
import importlib
import inspect
import typing
from collections import UserList
from fractions import Fraction
from typing import Annotated, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import example, given, strategies as st

import tokentree
from tokentree import (
    BlockCodec,
    FisherSprings,
    HuffmanCode,
    MixingLaw,
    Mixture,
    ParetoMass,
    SpringChain,
    TokenTree,
    TrainingRuns,
    adapters,
    arithmetic_decode,
    arithmetic_encode,
    cross_entropy,
    depth_curve,
    elasticity,
    entropy,
    fit_tail,
    huffman_lengths,
    kl_divergence,
    model_rates,
    pareto_limit,
    plotting,
    published_form,
    rebound_by_depth,
    rebound_by_pretraining,
    response_curve,
    sign_map,
    simulate_rebound,
    three_dataset_form,
    unexpanded_bounds,
)
from tokentree._lib import checks, results
from tokentree.codes import ArithmeticModel, PrefixCode, shannon_fano_elias_codewords, shannon_lengths
from tokentree.information import jensen_shannon_divergence, renyi_divergence, renyi_entropy
from tokentree.models import NGramModel
from tokentree.pareto import pareto_convergence
from tokentree.theorem import overlap_limit, published_change, published_derivatives
from tokentree.training import TrainedMixture, fluctuation_response, ids_loss

THIRDS = [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
HALVES = [[0.5, 0.5], [0.25, 0.75]]
MIXTURE = published_form(THIRDS, k=9, l=1)
TREES = [TokenTree.from_leaves({leaf: 1}, depth=2) for leaf in ("01", "10", "00")]
CODE = HuffmanCode([1, 2, 2])
CODEC = BlockCodec(TokenTree.from_sequences(["01", "1"]), 2)
CHAIN = SpringChain([1.0, 3.0])
SPRINGS = FisherSprings(MIXTURE)
FIT = fit_tail([1.0, 2.0, 4.0, 8.0], threshold=1)
CODED = arithmetic_encode([0.5, 0.5], [0, 1, 1])
SHARES = [[0.5, 0.25, 0.25], [0.25, 0.5, 0.25], [0.25, 0.25, 0.5]]
RUNS = TrainingRuns(SHARES, [[1, 2, 2], [2, 1, 2], [2, 2, 1.5]])
LAW = MixingLaw.fit(RUNS, 2, "shared", smoothing=1e-2, starts=1)
JOINT = MixingLaw.fit(
    TrainingRuns(SHARES * 3, SHARES * 3, parameters=[1, 2, 4] * 3, tokens=[1, 1, 1, 1, 1, 2, 2, 2, 2]),
    n_leaves=2,
    scales="own",
    smoothing=1e-2,
    starts=1,
)
BEST = LAW.best_sizes("D1", lower=0.1)
LINE = torch.nn.Linear(1, 1)
LOSSES = [lambda line, at=at: (line.weight - at) ** 2 for at in range(3)]
DRAWN = [[1, 0, 2], [0, 1, 1], [2, 2, 0]] * 3
TRAINED = TrainedMixture(LINE, LOSSES, [1, 1, 1])


class Door(NamedTuple):
    """A parameter: a call with it alone left open, a value that it takes, and how integers are read."""

    call: typing.Callable[[typing.Any], typing.Any]
    value: typing.Any
    integers: str


# How integers are read. "exact": of any size. "counts": below 2**63. "floats": as the same number in float64.
# "whole": as integers that lie in some range. "free": as integers that may be of any size.
DOORS = {
    "BlockCodec.encode sequence": Door(CODEC.encode, [0, 1, 1], "whole"),
    "BlockCodec.code_length sequence": Door(CODEC.code_length, [0, 1, 1], "whole"),
    "BlockCodec.decode bits": Door(CODEC.decode, CODEC.encode([0, 1, 1]).tolist(), "whole"),
    "FisherSprings.energy node": Door(SPRINGS.energy, [0.5, 0.25, 0.25], "floats"),
    "FisherSprings.flow start": Door(lambda x: SPRINGS.flow(x, 1.0), [0.5, 0.25, 0.25], "floats"),
    "FisherSprings.flow tau": Door(lambda x: SPRINGS.flow([0.5, 0.25, 0.25], x), [0, 1], "floats"),
    "FisherSprings.equivalent_size tau": Door(SPRINGS.equivalent_size, [0, 1], "floats"),
    "FisherSprings.equivalent_time size": Door(SPRINGS.equivalent_time, [0, 1], "floats"),
    "ArithmeticModel.__init__ p": Door(lambda x: ArithmeticModel(x).p, [0.5, 0.25, 0.25], "floats"),
    "PrefixCode.__init__ lengths": Door(PrefixCode, [1, 3, 3], "whole"),
    "PrefixCode.expected_length p": Door(CODE.expected_length, [0.5, 0.25, 0.25], "floats"),
    "PrefixCode.redundancy p": Door(CODE.redundancy, [0.5, 0.25, 0.25], "floats"),
    "PrefixCode.efficiency p": Door(CODE.efficiency, [0.5, 0.25, 0.25], "floats"),
    "PrefixCode.encode symbols": Door(CODE.encode, [0, 2, 1], "whole"),
    "PrefixCode.decode bits": Door(CODE.decode, [0, 1, 1], "whole"),
    "TokenTree.leaves prefix": Door(TREES[0].leaves, [0, 1], "whole"),
    "shannon_lengths weights": Door(shannon_lengths, [3, 1, 2], "exact"),
    "shannon_fano_elias_codewords weights": Door(shannon_fano_elias_codewords, [3, 1, 2], "exact"),
    "HuffmanCode.from_weights weights": Door(HuffmanCode.from_weights, [3, 1, 2], "exact"),
    "Mixture.__init__ distributions": Door(lambda x: Mixture(x, [1, 1]), [[2, 1, 1], [0, 1, 1]], "exact"),
    "Mixture.__init__ sizes": Door(lambda x: Mixture(THIRDS, x), [1, 2, 3], "exact"),
    "Mixture.from_trees sizes": Door(lambda x: Mixture.from_trees(TREES, x), [1, 2, 3], "exact"),
    "Mixture.with_sizes sizes": Door(MIXTURE.with_sizes, [1, 2, 3], "exact"),
    "Mixture.best_sizes available": Door(
        lambda x: MIXTURE.best_sizes({"pretrain": 1, "align": 2}, available=x), [0.5, 0.75, 1], "floats"
    ),
    "Mixture.best_sizes prior": Door(
        lambda x: MIXTURE.best_sizes({"pretrain": 1, "align": 2}, prior=x, pull=1.0), [1, 2, 3], "floats"
    ),
    "Mixture.best_sizes lower": Door(
        lambda x: MIXTURE.best_sizes({"pretrain": 1, "align": 2}, lower=x), [0.25, 0, 0.5], "floats"
    ),
    "Mixture.best_sizes upper": Door(
        lambda x: MIXTURE.best_sizes({"pretrain": 1, "align": 2}, upper=x), [0.5, 1, 1], "floats"
    ),
    "MixingLaw.best_sizes available": Door(
        lambda x: LAW.best_sizes("D1", available=x), [0.5, 0.75, 1], "floats"
    ),
    "MixingLaw.best_sizes prior": Door(
        lambda x: LAW.best_sizes("D1", prior=x, pull=1.0), [1, 2, 3], "floats"
    ),
    "MixingLaw.mixture sizes": Door(lambda x: LAW.mixture(x).weights, [1, 2, 3], "floats"),
    "MixingLaw.predict sizes": Door(LAW.predict, [1, 0, 3], "floats"),
    "MixingLaw.predict parameters": Door(
        lambda x: JOINT.predict([[1, 2, 3], [3, 1, 1]], parameters=x, tokens=2), [1, 4], "floats"
    ),
    "MixingLaw.predict tokens": Door(
        lambda x: JOINT.predict([[1, 2, 3], [3, 1, 1]], parameters=2, tokens=x), [1, 4], "floats"
    ),
    "MixingLaw.response sizes": Door(LAW.response, [1, 0, 3], "floats"),
    "NGramModel.fit sequences": Door(lambda x: NGramModel.fit(x, 1)([()]), [[0, 1], [1, 1]], "whole"),
    "ParetoMass.fit masses": Door(ParetoMass.fit, [1, 1, 2, 5, 9], "counts"),
    "ParetoMass.laplace s": Door(ParetoMass(2.5).laplace, [0, 1], "floats"),
    "SpringChain.__init__ stiffness": Door(lambda x: SpringChain(x).stiffness, [1, 3], "floats"),
    "SpringChain.extensions force": Door(CHAIN.extensions, [0, 3], "floats"),
    "SpringChain.force total_extension": Door(CHAIN.force, [0, 3], "floats"),
    "SpringChain.energy force": Door(CHAIN.energy, [0, 3], "floats"),
    "SpringChain.under_load force": Door(CHAIN.under_load, [0, 3], "floats"),
    "SpringChain.under_load natural_lengths": Door(lambda x: CHAIN.under_load(1, x), [0, 3], "floats"),
    "SpringChain.between_walls distance": Door(CHAIN.between_walls, [0, 3], "floats"),
    "SpringChain.between_walls natural_lengths": Door(lambda x: CHAIN.between_walls(1, x), [0, 3], "floats"),
    "SpringChain.between_walls pull": Door(lambda x: CHAIN.between_walls(1, pull=x), [[0], [2]], "floats"),
    "SpringChain.frequencies masses": Door(CHAIN.frequencies, [1, 3], "floats"),
    "SpringChain.simulate times": Door(CHAIN.simulate, [0, 3], "floats"),
    "SpringChain.simulate masses": Door(lambda x: CHAIN.simulate([0, 1], masses=x), [1, 3], "floats"),
    "SpringChain.simulate load": Door(lambda x: CHAIN.simulate([0, 1], load=x), [0, 3], "floats"),
    "SpringChain.simulate displacement": Door(
        lambda x: CHAIN.simulate([0, 1], displacement=x), [0, 3], "floats"
    ),
    "SpringChain.simulate velocity": Door(lambda x: CHAIN.simulate([0, 1], velocity=x), [0, 3], "floats"),
    "TailFit.survival x": Door(FIT.survival, [1, 3], "counts"),
    "TokenTree.from_sequences sequences": Door(TokenTree.from_sequences, [[0, 1], [1, 1]], "whole"),
    "TokenTree.from_sequences weights": Door(
        lambda x: TokenTree.from_sequences(["0", "1"], x), [3, 1], "counts"
    ),
    "TokenTree.weight prefix": Door(TREES[0].weight, [0, 1], "whole"),
    "TokenTree.log_weight prefix": Door(TREES[0].log_weight, [0, 1], "whole"),
    "TrainedMixture.__init__ sizes": Door(
        lambda x: TrainedMixture(LINE, LOSSES, x).sizes, [1, 3, 2], "floats"
    ),
    "TrainedMixture.with_sizes sizes": Door(lambda x: TRAINED.with_sizes(x).sizes, [1, 3, 2], "floats"),
    "TrainingRuns.__init__ sizes": Door(lambda x: TrainingRuns(x, SHARES).sizes, [[1, 0, 2]] * 3, "floats"),
    "TrainingRuns.__init__ rates": Door(lambda x: TrainingRuns(SHARES, x).rates, [[1, 0, 2]] * 3, "floats"),
    "TrainingRuns.__init__ errors": Door(
        lambda x: TrainingRuns(SHARES, SHARES, errors=x).errors, [[1, 0, 2]] * 3, "floats"
    ),
    "TrainingRuns.__init__ parameters": Door(
        lambda x: TrainingRuns(SHARES, SHARES, parameters=x).parameters, [1, 3, 2], "floats"
    ),
    "TrainingRuns.__init__ tokens": Door(
        lambda x: TrainingRuns(SHARES, SHARES, tokens=x).tokens, [1, 3, 2], "floats"
    ),
    "TrainingRuns.subset rows": Door(lambda x: RUNS.subset(x).rates, [2, 0], "whole"),
    "arithmetic_decode p": Door(lambda x: arithmetic_decode(x, CODED, 3), [0.5, 0.5], "floats"),
    "arithmetic_decode bits": Door(lambda x: arithmetic_decode([0.5, 0.5], x, 3), CODED.tolist(), "whole"),
    "arithmetic_encode p": Door(lambda x: arithmetic_encode(x, [0, 1, 1]), [0.5, 0.5], "floats"),
    "arithmetic_encode symbols": Door(lambda x: arithmetic_encode([0.5, 0.5], x), [0, 1, 1], "whole"),
    "fluctuation_response losses": Door(lambda x: fluctuation_response(x, 0.5).response, DRAWN, "floats"),
    "fluctuation_response sizes": Door(
        lambda x: fluctuation_response(DRAWN, 0.5, x).balance, [1, 0, 2], "floats"
    ),
    "cross_entropy p": Door(lambda x: cross_entropy(x, HALVES), HALVES, "floats"),
    "cross_entropy q": Door(lambda x: cross_entropy(HALVES, x), HALVES, "floats"),
    "depth_curve depths": Door(lambda x: depth_curve(TREES, x), [1, 2], "free"),
    "depth_curve sizes": Door(lambda x: depth_curve(TREES, sizes=x), [1, 2, 3], "exact"),
    "entropy p": Door(entropy, HALVES, "floats"),
    "fit_tail masses": Door(fit_tail, [1, 1, 2, 5, 9], "counts"),
    "huffman_lengths weights": Door(huffman_lengths, [3, 1, 2], "exact"),
    "kl_divergence p": Door(lambda x: kl_divergence(x, HALVES), HALVES, "floats"),
    "kl_divergence q": Door(lambda x: kl_divergence(HALVES, x), HALVES, "floats"),
    "model_rates depths": Door(lambda x: model_rates(TREES[0], TREES[0], x), [1, 2], "free"),
    "pareto_convergence alphas": Door(lambda x: pareto_convergence(x, [5, 1], [9], [1]), [3, 4], "floats"),
    "pareto_convergence sizes": Door(lambda x: pareto_convergence(3, x, [9], [1]), [5, 1], "floats"),
    "pareto_convergence n_leaves": Door(lambda x: pareto_convergence(3, [5, 1], x, [1]), [8, 9], "free"),
    "pareto_convergence seeds": Door(lambda x: pareto_convergence(3, [5, 1], [9], x), [1, 2], "free"),
    "pareto_limit alphas": Door(lambda x: pareto_limit(x, [5, 1]), [3, 4], "floats"),
    "pareto_limit sizes": Door(lambda x: pareto_limit(3, x), [5, 1], "floats"),
    "published_change k": Door(lambda x: published_change(3, x, 1), [1, 9], "floats"),
    "published_change l": Door(lambda x: published_change(3, 1, x), [1, 9], "floats"),
    "published_derivatives k": Door(lambda x: published_derivatives(3, x, 1), [1, 9], "floats"),
    "published_derivatives l": Door(lambda x: published_derivatives(3, 1, x), [1, 9], "floats"),
    "jensen_shannon_divergence distributions": Door(
        jensen_shannon_divergence, [[0.5, 0.5], [0.25, 0.75]], "floats"
    ),
    "jensen_shannon_divergence weights": Door(
        lambda x: jensen_shannon_divergence([[0.5, 0.5], [0.25, 0.75]], x), [2, 1], "floats"
    ),
    "renyi_divergence p": Door(lambda x: renyi_divergence(x, [0.5, 0.5], 2), [0.25, 0.75], "floats"),
    "renyi_divergence q": Door(lambda x: renyi_divergence([0.5, 0.5], x, 2), [0.25, 0.75], "floats"),
    "renyi_entropy p": Door(lambda x: renyi_entropy(x, 2), [0.25, 0.75], "floats"),
    "overlap_limit parts": Door(overlap_limit, [[2, 1], [1, 1], [1, 2]], "exact"),
    "published_form parts": Door(lambda x: published_form(x, 9, 1), [[2, 1], [1, 1], [1, 2]], "exact"),
    "rebound_by_depth depths": Door(lambda x: rebound_by_depth(TREES, depths=x), [1, 2], "floats"),
    "rebound_by_depth positive": Door(lambda x: rebound_by_depth(TREES, positive=x), [1, 2], "floats"),
    "rebound_by_depth negative": Door(lambda x: rebound_by_depth(TREES, negative=x), [1, 2], "floats"),
    "ids_loss batch": Door(lambda x: ids_loss(x).ids, [[0, 1, 1], [2, 0, 1]], "whole"),
    "rebound_by_pretraining sizes": Door(
        lambda x: rebound_by_pretraining(MIXTURE, sizes=x), [1, 2], "floats"
    ),
    "rebound_by_pretraining positive": Door(
        lambda x: rebound_by_pretraining(MIXTURE, positive=x), [1, 2], "floats"
    ),
    "rebound_by_pretraining negative": Door(
        lambda x: rebound_by_pretraining(MIXTURE, negative=x), [1, 2], "floats"
    ),
    "response_curve l": Door(lambda x: response_curve(MIXTURE, x), [1, 2], "floats"),
    "sign_map k": Door(lambda x: sign_map(x, 1), [1, 9], "floats"),
    "sign_map l": Door(lambda x: sign_map(9, x), [1, 2], "floats"),
    "sign_map alpha": Door(lambda x: sign_map(9, 1, x), [2, 3], "floats"),
    "sign_map shared": Door(lambda x: sign_map(9, 1, shared=x), [0.5, 1], "floats"),
    "sign_map merged": Door(lambda x: sign_map(9, 1, merged=x), [1, 2], "counts"),
    "simulate_rebound positive": Door(lambda x: simulate_rebound(MIXTURE, positive=x), [1, 2], "floats"),
    "simulate_rebound negative": Door(lambda x: simulate_rebound(MIXTURE, negative=x), [1, 2], "floats"),
    "three_dataset_form distributions": Door(lambda x: three_dataset_form(x, 9, 1), THIRDS, "exact"),
    "unexpanded_bounds sizes": Door(lambda x: unexpanded_bounds(TREES, x), [1, 2, 3], "exact"),
    "animate_springs sizes": Door(lambda x: plotting.animate_springs(MIXTURE, 2, x), [1, 2], "floats"),
    "plot_best_sizes low": Door(
        lambda x: plotting.plot_best_sizes(BEST, low=x, high=[1, 1, 1]), [0, 0.25, 0], "floats"
    ),
    "plot_best_sizes high": Door(
        lambda x: plotting.plot_best_sizes(BEST, low=[0, 0, 0], high=x), [1, 1, 1], "floats"
    ),
    "plot_law_response sizes": Door(lambda x: plotting.plot_law_response(LAW, x), [1, 2, 3], "floats"),
    "plot_code_lengths p": Door(plotting.plot_code_lengths, [0.5, 0.25, 0.25], "floats"),
    "plot_extension_gap extensions": Door(lambda x: plotting.plot_extension_gap(MIXTURE, x), [1, 2], "free"),
    "plot_invariant sizes": Door(lambda x: plotting.plot_invariant(MIXTURE, 2, x), [2, 3], "floats"),
    "plot_rates l": Door(lambda x: plotting.plot_rates(MIXTURE, x), [1, 2], "floats"),
    "plot_ratio parts": Door(lambda x: plotting.plot_ratio(x, 9, 1), THIRDS, "exact"),
    "plot_ratio k": Door(lambda x: plotting.plot_ratio(THIRDS, x, 1), [1, 9], "exact"),
    "plot_ratio l": Door(lambda x: plotting.plot_ratio(THIRDS, 9, x), [1, 2], "exact"),
    "plot_survival masses": Door(plotting.plot_survival, [1, 2, 5], "counts"),
}

each = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)

WIDE = pytest.mark.skipif(np.finfo(np.longdouble).bits == 64, reason="long double is double here")


def is_array(annotation):
    if typing.get_origin(annotation) in (Annotated, np.ndarray):
        return True
    return any(map(is_array, typing.get_args(annotation)))


WINGS = [
    importlib.import_module(f"tokentree.{wing}") for wing in dir(tokentree) if wing not in tokentree.__all__
]


def public_functions():
    for module in WINGS:
        for name in module.__all__:
            thing = getattr(module, name)
            if not inspect.isclass(thing):
                yield name, thing
                continue
            for method, raw in vars(thing).items():
                function = getattr(raw, "__func__", raw)
                if method in ("__init__", "__call__") or not method.startswith("_"):
                    yield f"{name}.{method}", function


def test_the_table_is_whole():
    found = {
        f"{name} {parameter}"
        for name, function in public_functions()
        if inspect.isfunction(function)
        for parameter, described in inspect.signature(function).parameters.items()
        if is_array(described.annotation)
    }
    assert found == DOORS.keys()


def seen(result):
    """What a call gave, in a form that can be compared."""
    if hasattr(result, "get_lines"):
        dots = [np.ma.getdata(each.get_offsets()) for each in result.collections]
        return [*dots, *(line.get_xydata() for line in result.get_lines())]
    if hasattr(result, "to_jshtml"):
        # Matplotlib warns of an animation that nobody has drawn.
        result._draw_was_started = True
        return list(result.new_frame_seq())
    return result


def same(one, other):
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    return results.same(one, other)


class Tensor:
    """An array of another library, which says only how NumPy may read it."""

    def __init__(self, value):
        self._held = np.array(value)

    @property
    def ndim(self):
        return self._held.ndim

    def __iter__(self):
        return map(Tensor, self._held)

    def __array__(self, dtype=None, copy=None):
        return self._held


# What is taken

MAKES = {
    "array": np.array,
    "tuple": tuple,
    "sequence": UserList,
    "tensor": Tensor,
    "values": lambda value: dict(enumerate(value)).values(),
    "iterator": iter,
    "masked array without a mask": np.ma.array,
    "masked array with nothing masked": lambda value: np.ma.array(value, mask=False),
    "objects": lambda value: np.array(value, object),
    "arrays": lambda value: [np.array(row) for row in value],
    "tensors": lambda value: [Tensor(row) for row in value],
}


@each
def test_whatever_lists_numbers_in_order_is_taken(door):
    expected = seen(door.call(door.value))
    # Pictures take long.
    for name in ("tensor", "iterator") if isinstance(expected, list) else MAKES:
        assert same(seen(door.call(MAKES[name](door.value))), expected), name


@each
def test_series_and_frames_are_taken(door):
    pandas = pytest.importorskip("pandas")
    make = pandas.DataFrame if isinstance(door.value[0], list | tuple) else pandas.Series
    assert same(seen(door.call(make(door.value))), seen(door.call(door.value)))


# What is refused


@each
def test_masked_entries_are_refused_where_they_stand(door):
    array = np.array(door.value)
    mask = np.zeros(array.shape, bool)
    mask.flat[1] = True
    place = r"\[1\]" if array.ndim == 1 else r"\[0, 1\]" if array.shape[1] > 1 else r"\[1, 0\]"
    masked = np.ma.array(array, mask=mask)
    with pytest.raises(ValueError, match=rf"{place} is masked: .*\.filled\(.*\.compressed\(\)"):
        door.call(masked)
    with pytest.raises(ValueError, match=r"\] is masked: "):
        door.call(list(masked))


LARGE = 2**63 + 1


@each
def test_integers_beyond_int64_are_exact_or_refused_as_they_are(door):
    if door.integers == "free":
        return
    array = np.array(door.value, object)
    array.flat[1] = LARGE
    given = array.tolist()
    if door.integers == "exact":
        exact = np.vectorize(Fraction, otypes=[object])(array).tolist()
        assert same(seen(door.call(given)), seen(door.call(exact)))
        return
    rule = {
        "counts": r"integers must be below 2\*\*63; to use masses, pass floats",
        "floats": "float64 has no such integer; round it with float",
    }
    for form in (given, array, np.full(array.shape, LARGE, np.uint64)):
        with pytest.raises(ValueError, match=f"{LARGE}: {rule.get(door.integers, '')}"):
            door.call(form)


@each
def test_booleans_are_no_numbers(door):
    if door.integers in ("whole", "free"):
        return
    array = np.array(door.value, object)
    array.flat[1] = True
    with pytest.raises(TypeError, match=r"\] = True: must be an int, a float or a Fraction$"):
        door.call(array.tolist())


@WIDE
@each
def test_long_doubles_are_not_rounded(door):
    if door.integers not in ("counts", "floats"):
        return
    with pytest.raises(TypeError, match=r"has dtype float\d+: must be real numbers that fit"):
        door.call(np.array(door.value).astype(np.longdouble))


@WIDE
def test_sizes_keep_every_digit_of_long_doubles():
    third = np.longdouble(1) / 3
    for sizes in ([third, 1], np.array([third, 1])):
        assert Mixture([[1], [1]], sizes).exact_sizes == (Fraction(*third.as_integer_ratio()), 1)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({3: 1, 1: 2}, r"^weights is a dict: must be a sequence; pass its \.values\(\)$"),
        ({3, 1}, "^weights is a set, which has no order: must be a sequence$"),
        (frozenset([3, 1]), "^weights is a frozenset, which has no order"),
    ],
)
def test_what_has_no_order_is_refused(value, message):
    with pytest.raises(TypeError, match=message):
        huffman_lengths(value)


# Exactly


NEAR = [n + i for n in (0, 2**53, 2**62, 2**63, 2**64, 2**200) for i in range(-2, 3) if n + i >= 0]
WHOLE = st.sampled_from(NEAR) | st.integers(0, 2**200)


def least_cost(weights):
    """Cost of Huffman's code, as a heap of Python's integers gives it."""
    heap, cost = list(weights), 0
    heapq.heapify(heap)
    while len(heap) > 1:
        merged = heapq.heappop(heap) + heapq.heappop(heap)
        heapq.heappush(heap, merged)
        cost += merged
    return cost


@given(st.lists(WHOLE, min_size=1, max_size=30))
@example([2**62 - 2, 2**63 - 2, 2**63])
@example([2**53, 2**53 + 1, 2**54 + 1])
def test_codes_of_integers_cost_what_the_heap_says(weights):
    lengths = huffman_lengths(weights).tolist()
    assert sum(w * l for w, l in zip(weights, lengths, strict=True)) == least_cost(weights)
    assert lengths == huffman_lengths(np.array(weights, object)).tolist()
    if max(weights) < 2**64:
        assert lengths == huffman_lengths(np.array(weights, np.uint64)).tolist()
        assert (
            lengths == huffman_lengths([np.uint64(w) if w > 2**62 else np.int64(w) for w in weights]).tolist()
        )


def test_the_published_example():
    assert huffman_lengths([2**62 - 2, 2**63 - 2, 2**63]).tolist() == [2, 2, 1]


@given(st.lists(WHOLE, min_size=1, max_size=4))
def test_counts_of_trees_are_exact_or_refused(weights):
    responses = ["00", "01", "10", "11"][: len(weights)]
    if 0 < sum(weights) < 2**63:
        tree = TokenTree.from_sequences(responses, weights)
        assert type(tree.total_weight) is int
        assert [tree.weight(response) for response in responses] == weights
        assert tree.total_weight == sum(weights)
    else:
        rule = r"below 2\*\*63" if sum(weights) else "must be finite and > 0"
        with pytest.raises(ValueError, match=rule):
            TokenTree.from_sequences(responses, weights)


def test_a_count_that_float64_loses_is_kept():
    tree = TokenTree.from_sequences(["0", "1"], [2**62, 1])
    assert (tree.total_weight, tree.weight("1")) == (2**62 + 1, 1)
    with pytest.raises(
        ValueError, match=rf"^weights\[0\] = {2**63}: integers must be below 2\*\*63; to use mas"
    ):
        TokenTree.from_sequences(["0", "1"], [2**63, 1])
    assert TokenTree.from_sequences(["0", "1"], [2.0**63, 1]).total_weight == 2.0**63


@given(st.lists(st.integers(1, 2**63 - 1), min_size=5, max_size=9, unique=True))
def test_integers_in_lists_are_fitted_as_integers(masses):
    fit = fit_tail(masses)
    assert fit.discrete
    assert fit.values.tolist() == sorted(masses)
    with pytest.raises(ValueError, match=rf"^masses\[1\] = {LARGE}: integers must be below"):
        fit_tail([masses[0], LARGE, *masses[1:]])


@given(WHOLE, st.floats(0, 2.0**200, allow_subnormal=False))
def test_an_integer_beside_floats_is_one_of_them_or_refused(whole, beside):
    if float(whole) == whole:
        assert checks.exact_array("x", [whole, beside]).tolist() == [whole, beside]
    else:
        with pytest.raises(ValueError, match=rf"^x\[1, 0\] = {whole}: float64 has no such integer; round it"):
            checks.exact_array("x", [[beside, 0], [whole, 1]])


def test_one_large_entry_of_nested_lists_is_enough():
    rows = [[1, 2], [3, 2**64 + 1]]
    assert checks.exact_array("x", rows).tolist() == rows
    with pytest.raises(ValueError, match=rf"^x\[1, 1\] = {2**64 + 1}: integers must be below"):
        checks.real_array("x", rows)
    with pytest.raises(ValueError, match=rf"^x\[0, 1\] = -{2**64 + 1}: must not be below -2\*\*63"):
        checks.real_array("x", [[1, -(2**64) - 1]])


@given(st.integers(-(2**63), 2**63 - 1))
@example(2**53 + 1)
def test_arrays_of_integers_are_floats_or_refused(whole):
    # By themselves, as floats; and beside a row of floats, with which NumPy would stack them.
    if float(whole) == whole:
        assert checks.float_array("x", np.array([0, whole])).tolist() == [0, whole]
        assert checks.exact_array("x", [np.array([whole]), np.array([0.5])]).tolist() == [[whole], [0.5]]
    else:
        with pytest.raises(ValueError, match=rf"^x\[1\] = {whole}: float64 has no such integer"):
            checks.float_array("x", np.array([0, whole]))
        with pytest.raises(ValueError, match=rf"^x\[0, 0\] = {whole}: float64 has no such integer"):
            checks.exact_array("x", [np.array([whole]), np.array([0.5])])


@pytest.mark.parametrize("whole", [10**400, 10**400 + 1])
def test_integers_beyond_float64_are_refused_beside_floats(whole):
    with pytest.raises(ValueError, match=r"^k\[1\] = 10+1?: float64 has no such integer"):
        published_derivatives(3, [0.5, whole], 1)


# Rows of mixtures


@st.composite
def rows(draw):
    """Rows of one sort each, and the masses that they stand for."""
    size = draw(st.integers(1, 4))

    def row(entries):
        return draw(st.lists(entries, min_size=size, max_size=size).filter(any))

    listed = []
    for sort in draw(st.lists(st.sampled_from("iufFb"), min_size=1, max_size=4)):
        if sort == "i":
            listed.append(np.array(row(st.integers(0, 2**62)), np.int64))
        elif sort == "u":
            listed.append(np.array(row(st.integers(0, 2**64 - 1)), np.uint64))
        elif sort == "b":
            listed.append(row(WHOLE))
        elif sort == "F":
            listed.append(row(st.fractions(0, 9, max_denominator=99)))
        else:
            counts = row(st.integers(0, 8))
            listed.append([2.0**-e for e in range(1, size)] + [2.0 ** -(size - 1)] if sum(counts) else counts)
    return listed


@given(rows())
def test_rows_are_read_one_by_one(rows):
    mixture = Mixture(rows, [1] * len(rows))
    floats = [isinstance(row, list) and isinstance(row[0], float) for row in rows]
    for given_row, p, values, is_float in zip(
        rows, mixture.distributions.tolist(), mixture.rows.values.tolist(), floats, strict=True
    ):
        entries = [Fraction(entry) for entry in np.array(given_row, object).tolist()]
        exact = [entry / sum(entries) for entry in entries]
        if is_float:
            assert p == given_row
        else:
            assert all(abs(mass - float(e)) <= 4 * 2.0**-53 * mass for mass, e in zip(p, exact, strict=True))
        if not any(floats):
            assert [Fraction(value, sum(values)) for value in values] == exact


def test_counts_beside_masses():
    mixture = Mixture([[2, 1, 1], [0.0, 0.5, 0.5]], [1, 1])
    assert mixture.distributions.tolist() == [[0.5, 0.25, 0.25], [0.0, 0.5, 0.5]]
    assert mixture == Mixture([[0.5, 0.25, 0.25], [0.0, 0.5, 0.5]], [1, 1])
    with pytest.raises(ValueError, match=r"^distributions\[0\] sums to 0: every row needs some data$"):
        Mixture([[0, 0], [0.5, 0.5]], [1, 1])
    with pytest.raises(ValueError, match=r"^distributions\[0\]\[1\] = -1: must be finite and >= 0$"):
        Mixture([[2, -1], [0.5, 0.5]], [1, 1])
    with pytest.raises(ValueError, match=r"^distributions.sum\(axis=-1\)\[1\] = 2.0: probabilities must sum"):
        Mixture([[2, 1], [1.0, 1.0]], [1, 1])


def test_unsigned_rows_beside_signed_ones():
    mixture = Mixture([np.array([2**64 - 1, 1], np.uint64), np.array([1, 2], np.int64)], [1, 1])
    assert mixture.rows.totals == [2**64, 3]


def test_verdicts_on_counts_of_any_size_are_those_of_fractions():
    big = [[2**70 + 1, 5, 0], [3, 2**65, 1], [0, 1, 2**63]]
    shares = [[Fraction(count, sum(row)) for count in row] for row in big]
    one, other = (elasticity(Mixture(rows, [2**66 + 1, 3, 1])) for rows in (big, shares))
    assert (one.signs, one.ratio) == (other.signs, other.ratio)
    assert one.certified


# Names and symbols


@pytest.mark.parametrize(
    "make",
    [np.array, tuple, iter, lambda names: dict.fromkeys(names).keys()],
    ids=["array", "tuple", "iterator", "keys"],
)
def test_names_in_any_sequence(make):
    names = ["web", "chat", "code"]
    assert Mixture(THIRDS, [1, 1, 1], names=make(names)).names == tuple(names)
    assert published_form(THIRDS, 1, 1, names=make(names)).names == tuple(names)
    assert depth_curve(TREES, names=make(names)).holds == depth_curve(TREES).holds
    assert SpringChain([1, 2, 3], names=make(names)).names == tuple(names)


def test_names_and_sizes_of_a_series():
    pandas = pytest.importorskip("pandas")
    sizes = pandas.Series({"web": 3, "chat": 1})
    mixture = Mixture([[1, 0], [1, 1]], sizes, names=sizes.index)
    assert repr(mixture) == "Mixture(2 datasets, 2 leaves: web 3, chat 1)"


@pytest.mark.parametrize("names", [{"a", "b"}, {"a": 1, "b": 2}])
def test_names_without_order_are_refused(names):
    with pytest.raises(TypeError, match=r"^names is a (set|dict)"):
        Mixture([[1], [1]], [1, 1], names=names)


def test_symbols_of_several_dtypes():
    responses = [
        np.array([0, 1], np.uint64),
        np.array([1, 1], np.int64),
        [np.uint64(1), 0],
        (True, np.int8(0)),
    ]
    tree = TokenTree.from_sequences(responses)
    assert tree == TokenTree.from_sequences(["01", "11", "10", "10"])
    with pytest.raises(ValueError, match=rf"^sequences\[1\]\[0\] = {2**64}: symbols must lie in 0\.\.1"):
        TokenTree.from_sequences([[0], [2**64]])
    with pytest.raises(ValueError, match=rf"^sequences\[1\]\[0\] = {LARGE}: symbols must lie"):
        TokenTree.from_sequences([np.array([0]), np.array([LARGE], np.uint64)])
    with pytest.raises(TypeError, match=r"^sequences\[1\]\[0\] = 0.0: must be an integer"):
        TokenTree.from_sequences([np.array([0]), np.array([0.0])])
    with pytest.raises(ValueError, match=r"^sequences\[1\]\[0\] is masked: "):
        TokenTree.from_sequences([[0], [np.ma.masked]])
    with pytest.raises(TypeError, match=r"^sequences\[0\]\[1\] = 'a': must be an integer; responses are seq"):
        TokenTree.from_sequences([[0, "a"]])
    with pytest.raises(TypeError, match=r"^sequences\[0\] is a set, which has no order"):
        TokenTree.from_sequences([{0, 1}])


def test_tensors_say_why_numpy_cannot_read_them():
    class Far:
        def __array__(self, dtype=None, copy=None):
            raise RuntimeError("move it to the CPU")

    with pytest.raises(TypeError, match=r"^p is a Far that NumPy does not read: move it to the CPU$"):
        entropy(Far())


def test_a_masked_answer_of_a_model_is_refused():
    def model(prefixes):
        return np.ma.array(np.log([[0.5, 0.5]] * len(prefixes)), mask=[[False, True]] * len(prefixes))

    with pytest.raises(adapters.ReadError, match=r"its answer\[0, 1\] is masked"):
        adapters.read_model(model, depth=2)


def test_what_holds_itself_is_refused():
    endless = []
    endless.append(endless)
    with pytest.raises(ValueError, match=r"^p is nested more than 32 deep"):
        entropy(endless)


def test_arrays_are_not_copied():
    for array in (np.array([0.5, 0.5]), np.array([1, 2]), np.ma.array([0.5, 0.5])):
        assert np.shares_memory(checks.exact_array("x", array), array)
