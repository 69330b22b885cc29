"""Check every annotated shape and type in the package while the tests run; what test modules share."""

import os
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import pytest
from beartype import BeartypeConf, beartype
from hypothesis import settings
from jaxtyping import install_import_hook

# Tests run in several processes already, and small products of matrices only wait for more threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# An int is welcome where a float is asked for, as PEP 484 has it.
typechecker = beartype(conf=BeartypeConf(is_pep484_tower=True))
install_import_hook("tokentree", "conftest.typechecker")

# The work is numerical and the machines are small: time is measured in benchmarks/, never asserted here.
settings.register_profile("quick", deadline=None, print_blob=True, max_examples=20)
settings.register_profile("ci", deadline=None, print_blob=True, max_examples=100)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


@pytest.fixture(scope="session")
def decide() -> Any:
    """The finding of a claim, decided once, on what docs/ledger.md was written from."""
    from tokentree.claims import Evidence

    evidence = Evidence(seed=0)
    return cache(lambda claim: claim(evidence))


@pytest.fixture(scope="session")
def ledger(decide: Any) -> Any:
    """All findings."""
    from tokentree.claims import CLAIMS, Ledger

    return Ledger(tuple(map(decide, CLAIMS)), seed=0)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Send all tests that ask for findings to one process, so that claims are decided in one only."""
    for item in items:
        if "decide" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.xdist_group("ledger"))


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    """Close what tests and doctests draw, for Matplotlib warns of twenty open figures."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
