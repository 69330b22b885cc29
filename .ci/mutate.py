"""Mutation testing: change one expression of a wing at a time, and see whether its tests notice.

    python .ci/mutate.py information [how many mutants to draw, 0 for all [revision]]

With a revision, only lines that changed since are tried.

pytest collects a module's tests once. Every mutant then runs in a fork, as new code for the functions that
are there already, on the tests that reach its line, quickest first. What outlives them all is printed.
"""

import ast
import difflib
import gc
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

import coverage
import pytest
from mutants import mutants, mutated

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "tokentree"
CORE = {
    "lib": (["_lib"], ["_lib", "trees/test_tree.py", "mixtures/test_mixture.py"]),
    "information": (["information.py"], ["test_information.py"]),
    "trees": (
        ["trees"],
        ["trees", "mixtures/test_unexpanded.py", "models", "_lib"],
    ),
    "codes": (["codes"], ["codes"]),
    "adapters": (["adapters"], ["adapters", "models", "_lib/test_log_masses.py"]),
    "mixtures": (["mixtures"], ["mixtures", "theorem/test_elasticity.py", "codes/test_arithmetic.py"]),
    "theorem": (["theorem"], ["theorem", "test_notebook_reprs.py"]),
    "pareto": (["pareto"], ["pareto"]),
    "springs": (["springs"], ["springs"]),
    "alignment": (["alignment"], ["alignment"]),
    "models": (["models"], ["models", "_lib/test_log_masses.py"]),
    "training": (["training"], ["training", "mixtures/test_shares.py"]),
    "claims": (["claims"], ["claims/test_claims.py"]),
    "cli": (["cli"], ["cli", "_lib/test_archives.py"]),
}
"""Wings, or files of one (``trees/tree.py``), with the tests that are to notice."""


def plant(tree: ast.Module, module: ModuleType, inside: bool) -> None:
    """Give the functions and names of a module, which others hold already, what the changed source says."""
    path = str(module.__file__)
    there = [f for f in gc.get_objects() if isinstance(f, FunctionType) and f.__code__.co_filename == path]
    space = {name: getattr(module, name) for name in ("__name__", "__package__", "__file__")}
    exec(compile(tree, path, "exec", dont_inherit=True), space)
    made = [f for f in gc.get_objects() if isinstance(f, FunctionType) and f.__globals__ is space]
    new = {(f.__code__.co_qualname, f.__code__.co_firstlineno): f for f in made}
    for f in there:
        if twin := new.get((f.__code__.co_qualname, f.__code__.co_firstlineno)):
            f.__code__, f.__defaults__ = twin.__code__, twin.__defaults__
            f.__kwdefaults__ = twin.__kwdefaults__
    for name, value in space.items():
        if not (inside or name.startswith("__") or callable(value) or isinstance(value, ModuleType)):
            old = getattr(module, name)
            for other in [m for m in sys.modules.values() if vars(m).get(name) is old]:
                setattr(other, name, value)


def fork(work: Callable[[], Any]) -> bool:
    """Whether the work ends well in a process of its own."""
    if not (child := os.fork()):
        try:
            work()
            os._exit(0)
        finally:
            os._exit(1)
    return os.waitpid(child, 0)[1] == 0


class Screen:
    """A pytest plugin that runs the tests on every mutant, in place of running them once."""

    def __init__(self, every: list[tuple[str, int]]) -> None:
        self.every = every
        self.left: list[tuple[str, int]] = []

    def pytest_collection(self) -> None:
        """Do not look for the simplest example that fails, nor keep any."""
        from hypothesis import Phase, settings  # after pytest, which rewrites its plugins

        profile, phases = settings.get_profile("quick"), (Phase.explicit, Phase.generate)
        settings.register_profile("mutation", profile, phases=phases, database=None, derandomize=True)
        settings.load_profile("mutation")

    @pytest.hookimpl(tryfirst=True)
    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Run the tests as they are, and then on every mutant."""
        session.config.pluginmanager.unregister(name="terminalreporter")
        with tempfile.TemporaryFile(buffering=0) as file:
            assert fork(lambda: pickle.dump(self.baseline(session), file)), "the tests fail as they are"
            file.seek(0)
            seconds, reached = pickle.load(file)
        modules = {m.__file__: m for m in sys.modules.values() if getattr(m, "__file__", None)}
        for path, number in self.every:
            tree, lines, inside = mutated(path, number)
            nodes = set().union(*(reached.get((path, line), ()) for line in lines)) if inside else seconds
            chosen = [item for item in session.items if item.nodeid in nodes]
            chosen.sort(key=lambda item: seconds[item.nodeid])

            def run(tree=tree, path=path, inside=inside, chosen=chosen) -> None:
                signal.alarm(60 + int(20 * sum(seconds[item.nodeid] for item in chosen)))
                plant(tree, modules[path], inside)
                for item, after in zip(chosen, [*chosen[1:], None], strict=True):
                    item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
                    assert not session.testsfailed

            if fork(run):
                self.left.append((path, number))
        return True

    def baseline(self, session: pytest.Session) -> tuple[dict[str, float], dict[tuple[str, int], list[str]]]:
        """Seconds of each test, and the tests that reach each line."""
        seconds, files = {}, {path for path, _ in self.every}
        tracer = coverage.Coverage(data_file=None, config_file=False, include=sorted(files))
        tracer.start()
        for item, after in zip(session.items, [*session.items[1:], None], strict=True):
            tracer.switch_context(item.nodeid)
            start = time.process_time()
            item.config.hook.pytest_runtest_protocol(item=item, nextitem=after)
            seconds[item.nodeid] = time.process_time() - start
        tracer.stop()
        assert not session.testsfailed
        found = {path: tracer.get_data().contexts_by_lineno(path) for path in files}
        return seconds, {(path, line): tests for path in files for line, tests in found[path].items()}


def changed(path: str, revision: str) -> set[int]:
    """Lines of a file that are not those of an earlier revision."""
    command = ["git", "diff", "--unified=0", revision, "--", path]
    hunks = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    found = re.findall(r"^@@ .* \+(\d+)(?:,(\d+))? @@", hunks, re.MULTILINE)
    return {int(start) + i for start, count in found for i in range(int(count or 1))}


def main(module: str, sample: str = "", since: str = "") -> None:
    """Print the mutants of a wing, or of one file of it, that its tests do not notice, and the score."""
    os.chdir(ROOT)
    wing, _, file = module.partition("/")
    places, tests = CORE[wing]
    found = (PACKAGE / module if file else PACKAGE / place for place in places)
    files = [path for place in found for path in ([place] if place.is_file() else sorted(place.glob("*.py")))]
    options = ["-q", "--tb=no", "-p", "no:cacheprovider", "-m", "not slow"]
    options += [*map(str, files), *(f"tests/{test}" for test in tests)]
    sources = {str(path): ast.parse(path.read_text(encoding="utf-8")) for path in files}
    tried = {path: changed(path, since) if since else None for path in sources}
    every = [
        (path, n)
        for path, tree in sources.items()
        for n, (lines, *_) in enumerate(mutants(tree))
        if tried[path] is None or not tried[path].isdisjoint(lines)
    ]
    screen = Screen(random.Random(0).sample(every, min(len(every), int(sample or 0) or len(every))))
    pytest.main(options, plugins=[screen])
    for path, number in sorted(screen.left):
        tree, lines, _ = mutated(path, number)
        change = difflib.ndiff(*(ast.unparse(t).splitlines() for t in (sources[path], tree)))
        print(f"{path}:{lines.start}", *(line for line in change if line[0] in "-+"), sep="\n    ")
    n, k = len(screen.every), len(screen.left)
    print(f"{module}: {len(every)} mutants, {n} tried, {k} left: {1 - k / n:.1%}")


if __name__ == "__main__":
    main(*sys.argv[1:])
