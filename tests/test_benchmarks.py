"""The benchmarks run from end to end, at small sizes."""

import subprocess
import sys
from pathlib import Path

import pytest
from benchmarks.speed import FAMILIES, PARTS

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
PEERS = ("bitarray", "constriction", "dahuffman", "dit", "marisa_trie", "powerlaw", "pygtrie")


@pytest.mark.parametrize("name", FAMILIES)
def test_our_side_and_the_floors_run(name):
    family = FAMILIES[name]
    ours, *others = sides = family.make(100)
    assert family.floors <= set(others)
    for side in (ours, *family.floors):
        sides[side]()()


def test_a_table_alone(tmp_path, capsys):
    PARTS["exact"](True, tmp_path)
    title, *lines = capsys.readouterr().out.splitlines()
    assert title.startswith("### ")
    assert any(set(line) <= set("| -:") and "---" in line for line in lines)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is read from /proc")
def test_a_quick_run_compares_every_peer_and_draws_every_figure(tmp_path):
    for peer in PEERS:
        pytest.importorskip(peer)
    command = [sys.executable, "run.py", "--quick", "--figures", str(tmp_path)]
    printed = subprocess.run(command, cwd=BENCHMARKS, check=True, capture_output=True, text=True).stdout
    cells = {cell.strip() for line in printed.splitlines() for cell in line.split("|")}
    assert {peer.replace("marisa_trie", "marisa-trie") for peer in PEERS} <= cells
    assert {"scipy.stats", "Counter of prefixes", "gzip -9", "xz -9", "np.argsort", "P @ P.T"} <= cells
    for name in ("huffman", "trees", "measures", "response", "verdict", "coding"):
        assert (tmp_path / f"bench-{name}.png").stat().st_size > 10_000
