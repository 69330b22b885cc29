"""Theorem 4.2: its signs, each decided with a proof, in closed form, and as functions of sizes and depth."""

from .depth import DepthCurve, curve_of as curve_of, depth_curve
from .forms import (
    PublishedDerivatives,
    overlap_limit,
    published_change,
    published_derivatives,
    published_form,
    three_dataset_form,
)
from .response import ResponseCurve, perturbations as perturbations, response_curve
from .signs import Elasticity, Responding, elasticity, responding as responding

__all__ = ["DepthCurve", "Elasticity", "PublishedDerivatives", "ResponseCurve", "depth_curve", "elasticity"]
__all__ += ["published_change", "published_derivatives", "published_form", "response_curve"]
__all__ += ["Responding", "overlap_limit", "three_dataset_form"]
__dir__ = __all__.copy
