"""Theorem 4.2, in closed form and along the depth of trees."""

import itertools
import math
from collections.abc import Iterator
from fractions import Fraction

import mpmath
import numpy as np

import tokentree as tt

from .table import Exact, Row, flat, fractions, number, row


def theorem_rows() -> Iterator[Row]:
    yield from published_rows()
    yield from response_rows()
    yield from depth_rows()


def published_rows() -> Iterator[Row]:
    """The closed forms of disjoint parts."""
    ks = [1e-3, 1.0, 1e3, 1e6, 1e9, 1e12]
    ls = [1e-12, 1e-6, 0.25, 0.4999, 0.5, 0.50001, 3.0, 1e6]
    for parts in (3, 7):
        name = f"{parts} parts, k from 1e-3 to 1e12, l from 1e-12 to 1e6"
        k, l = np.array(list(itertools.product(ks, ls))).T
        found = tt.theorem.published_derivatives(parts, k, l, base=math.e)
        pretrain, align, ratio, scale, ratio_scale = [], [], [], [], []
        change, common, change_scale = [], [], []
        for a, b in zip(fractions(k), fractions(l), strict=True):
            margin = 1 - (parts - 1) * b
            total = a + 1 + b
            pretrain.append(-margin / ((a + parts * b) * total))
            scale.append((1 + (parts - 1) * b) / ((a + parts * b) * total))
            align.append(1 / total)
            ratio.append((1 + parts * b / a) / margin if margin else math.inf)
            ratio_scale.append(
                (1 + parts * b / a) * (1 + (parts - 1) * b) / margin**2 if margin else math.inf
            )
            common.append(mpmath.log1p(number(b / (a + 1))))
            part = mpmath.log1p(number(parts * b / a)) / parts
            change.append(common[-1] - part)
            # What a relative change of k or l does: the size of k, and of l, times the derivative.
            by_l = b / total - b / (a + parts * b)
            by_k = a / total - a / (a + 1) + b / (a + parts * b)
            change_scale.append(abs(by_l) + abs(by_k))
        yield row(
            "published_derivatives.dgamma_pretrain", name, "rational", found.dgamma_pretrain, pretrain, scale
        )
        yield row("published_derivatives.dgamma_align", name, "rational", found.dgamma_align, align)
        yield row("published_derivatives.ratio", name, "rational", found.ratio, ratio, ratio_scale)
        changes = tt.theorem.published_change(parts, k, l, base=math.e)
        yield row("published_change.pretrain", name, "60 digits", changes[0], change, change_scale)
        yield row("published_change.align", name, "60 digits", changes[1], common)


def response_rows() -> Iterator[Row]:
    for name, rows in (
        ("disjoint thirds, k = 1e12", np.eye(3, dtype=int)),
        ("Pareto parts, k = 1e12", (1000 * (1 + np.random.default_rng(6).pareto(1.2, (3, 200)))).astype(int)),
    ):
        form = tt.published_form(rows, k=10**12, l=1)
        points = [1e-9, 0.25, 0.4999]
        curve = tt.response_curve(form, points, base=math.e)
        exact = [Exact(form.rows.values.tolist(), [10**12, 1, Fraction(x)]) for x in points]
        yield row("response_curve.rates", name, "60 digits", curve.rates, [e.rates() for e in exact])
        derivatives = [[x.dgamma_pretrain, x.dgamma_align, x.dgamma_perturb] for x in curve.elasticities]
        yield row(
            "response_curve.dgamma",
            name,
            "60 digits",
            derivatives,
            [[r[2] for r in e.response()] for e in exact],
            [[r[2] for r in e.response_scale()] for e in exact],
        )
        before = Exact(form.rows.values[:2].tolist(), [10**12, 1])
        third = Exact(form.rows.values.tolist(), [1, 1, 1]).p[2]
        starts = [*before.rates()]
        lacking = any(a and not q for a, q in zip(third, before.q, strict=True))
        starts.append(mpmath.inf if lacking else before.against(third, before.lengths))
        yield row("response_curve.start", name, "60 digits", curve.start, starts)


def counted_trees(rng: np.random.Generator) -> list[tt.TokenTree]:
    return [
        tt.TokenTree.from_sequences((rng.random((4000, 8)) < bias).astype(int), depth=8)
        for bias in (0.5, 0.7, 0.4)
    ]


def depth_rows() -> Iterator[Row]:
    """Counted trees at every depth, and the bounds that meet where nothing is unexpanded."""
    trees = counted_trees(np.random.default_rng(7))
    sizes = [10**12, 1, 1]
    found = tt.depth_curve(trees, sizes=sizes, base=math.e)
    exact = [Exact(tt.leaf_distributions(trees, d, weights=True), sizes) for d in range(1, 9)]
    name = "three counted trees of depth 8, k = 1e12"
    yield row("depth_curve.rates", name, "60 digits", found.rates, [e.rates() for e in exact])
    normalized = [[r - mpmath.log(m) for r, m in zip(e.rates(), e.leaves, strict=True)] for e in exact]
    scale = [[r + mpmath.log(m) for r, m in zip(e.rates(), e.leaves, strict=True)] for e in exact]
    yield row("depth_curve.normalized_rates", name, "60 digits", found.normalized_rates, normalized, scale)
    response, scale = [e.response() for e in exact], [e.response_scale() for e in exact]
    yield row("depth_curve.response", name, "60 digits", found.response, response, scale)
    yield row("depth_curve.overlap", name, "60 digits", found.overlap, [e.gram(e.p) for e in exact])

    bounds = tt.unexpanded_bounds(trees, sizes, depth=8, base=math.e)
    last = exact[-1]
    for what, low, high, truth, size in (
        ("rates", bounds.rates_lower, bounds.rates_upper, last.rates(), None),
        ("overlap", bounds.overlap_lower, bounds.overlap_upper, last.gram(last.p), None),
        ("response", bounds.response_lower, bounds.response_upper, last.response(), last.response_scale()),
    ):
        truths = [float(x) for x in flat(truth)]
        assert (low.ravel() <= truths).all()
        assert (truths <= high.ravel()).all()
        label = f"unexpanded_bounds.{what}, both ends"
        size = size and [size, size]
        yield row(label, f"{name}, nothing unexpanded", "60 digits", [low, high], [truth, truth], size)
