"""Run the tests with the newest dependencies, and name the releases that fail them.

    python .ci/newest.py CONSTRAINTS [option of pytest ...]

Warnings are shown, not raised. If a test fails, dependencies go back to their pinned releases one by one, the
direct ones first, until all pass: each that turns failures into passes is named.
"""

import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name


def newer(constraints: Path) -> dict[str, tuple[str, str]]:
    """Pinned and installed version of each package where they differ; direct dependencies come first."""
    pinned = {}
    for line in constraints.read_text(encoding="utf-8").splitlines():
        requirement = Requirement(line) if line and not line.startswith("#") else None
        if requirement and (requirement.marker is None or requirement.marker.evaluate()):
            pinned[canonicalize_name(requirement.name)] = str(requirement.specifier).removeprefix("==")
    # A build's local label, as in 2.13.0+cpu, is no other release.
    there = {canonicalize_name(d.name): d.version.partition("+")[0] for d in metadata.distributions()}
    direct = {canonicalize_name(Requirement(line).name) for line in metadata.requires("tokentree") or ()}
    return {
        name: (pinned[name], there[name])
        for name in sorted(
            pinned.keys() & there.keys() - {"pip"}, key=lambda name: (name not in direct, name)
        )
        if pinned[name] != there[name]
    }


def main(constraints: str, *options: str) -> int:
    """Exit code: 0 when the newest releases are the pinned ones, or pass."""
    changed = newer(Path(constraints))
    if not changed:
        print("The newest release of every dependency is the pinned one: `make test` has tried them.")
        return 0
    for name, (old, new) in changed.items():
        print(f"{name} {new} (pinned: {old})")
    with TemporaryDirectory() as cache:

        def failures(*more: str) -> set[str]:
            command = [sys.executable, "-m", "pytest", "-W", "default", "-o", f"cache_dir={cache}"]
            code = subprocess.call([*command, *options, *more])
            path = Path(cache, "v", "cache", "lastfailed")
            failed = set(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else set()
            if code not in (0, 1) and not failed:
                sys.exit(code)
            return failed

        failed = failures()
        if not failed:
            return 0
        for name, (old, new) in changed.items():
            back = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", f"{name}=={old}"]
            if subprocess.call(back):
                continue
            left = failures("--last-failed")
            for test in sorted(failed - left):
                print(f"{name} {new} fails {test}, and {old} passes it")
            failed = left
            if not failed:
                return 1
    print("With the pinned releases these fail too:", *sorted(failed), sep="\n  ")
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
