"""Check every annotated shape and type in the package while the tests run; what test modules share."""

import os
import pickle
import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import jaxtyping
import pytest
from beartype import BeartypeConf, beartype
from filelock import FileLock
from hypothesis import settings
from jaxtyping import install_import_hook

# Tests run in several processes already, and small products of matrices only wait for more threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Programs, which tests run as such.
collect_ignore_glob = ["src/tokentree/claims/witnesses/*"]

# An int is welcome where a float is asked for, as PEP 484 has it.
typechecker = beartype(conf=BeartypeConf(is_pep484_tower=True))
install_import_hook("tokentree", "conftest.typechecker")

# The work is numerical and the machines are small: time is measured in benchmarks/, never asserted here.
settings.register_profile("quick", deadline=None, print_blob=True, max_examples=20)
settings.register_profile("ci", deadline=None, print_blob=True, max_examples=100)
PROFILE = os.environ.get("HYPOTHESIS_PROFILE", "quick")
settings.load_profile(PROFILE)


@pytest.fixture(scope="session")
def decide(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The finding of a claim, on what docs/ledger.md was written from.

    Decided by the first process that asks, and left in a file for the others.
    """
    from tokentree.claims import Evidence

    evidence = Evidence(seed=0)
    place = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        place = place.parent

    @cache
    def finding(claim: Any) -> Any:
        path = place / f"{claim.__name__}.pickle"
        with FileLock(f"{path}.lock"):
            if not path.exists():
                path.write_bytes(pickle.dumps(claim(evidence)))
            return pickle.loads(path.read_bytes())

    return finding


@pytest.fixture(scope="session")
def ledger(decide: Any) -> Any:
    """All findings."""
    from tokentree.claims import CLAIMS, Ledger

    return Ledger(tuple(map(decide, CLAIMS)), seed=0)


LONG_CLAIMS = {
    *("theorem_3_4", "published", "published_overlapping", "three_datasets_condition"),
    *("assumption_3_2", "assumption_a_7", "elasticity_and_scale"),
}
"""Claims that take seconds to decide on all the evidence; others do on little of it."""


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave to the slow tests what takes the findings of long claims."""
    for item in items:
        asked = getattr(item, "fixturenames", ())
        claim = getattr(item, "callspec", None) and item.callspec.params.get("claim")
        if "ledger" in asked or ("decide" in asked and getattr(claim, "__name__", "") in LONG_CLAIMS):
            item.add_marker(pytest.mark.slow)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the hook, as users run: for errors that it would raise first, and for many thousand calls."""
    monkeypatch.setattr("jaxtyping.config.jaxtyping_disable", True)


CHECKED = 300
"""Calls of a test whose types are checked by the quick profile. Of loops and examples the rest are alike."""


@pytest.fixture(autouse=True)
def checked_at_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the hook after so many calls: to check one takes longer than most functions do."""
    if PROFILE != "quick":
        return
    left = CHECKED

    class Counted(type(jaxtyping.config)):  # type: ignore[misc]  # a private class
        @property
        def jaxtyping_disable(self) -> bool:
            nonlocal left
            left -= 1
            return left < 0 or vars(self)["jaxtyping_disable"]

        @jaxtyping_disable.setter
        def jaxtyping_disable(self, value: bool) -> None:
            vars(self)["jaxtyping_disable"] = value

    monkeypatch.setattr(jaxtyping.config, "__class__", Counted)


@pytest.fixture(autouse=True)
def closed_figures() -> Iterator[None]:
    """Close what tests and doctests draw, for Matplotlib warns of twenty open figures."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
