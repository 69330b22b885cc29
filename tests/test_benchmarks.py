"""The benchmarks run from end to end, at small sizes."""

import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parent.parent / "benchmarks"
PEERS = ("bitarray", "constriction", "dahuffman", "dit", "marisa_trie", "powerlaw", "pygtrie")


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
