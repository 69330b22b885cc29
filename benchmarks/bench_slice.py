"""The whole path from text to verdict, each part beside its peer, in one run.

    python benchmarks/bench_slice.py

A row's bar is how many times faster than the peer it must be. The machine should have nothing else to do.
"""

import resource
import subprocess
import sys
import time

import bench_huffman
import bench_tree


def ledger() -> str:
    """Run `tokentree verify` as a user does, and report its time and its peak memory."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-m", "tokentree", "verify"], check=True, stdout=subprocess.DEVNULL)
    elapsed = time.perf_counter() - start
    # The largest of all children so far, and there was only this one. Linux counts in KiB.
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    return f"tokentree verify: {elapsed:.1f} s (bar 30), peak memory {peak:.2f} GiB (bar 2)"


def main() -> None:
    print(ledger(), end="\n\n")
    print(bench_huffman.table([bench_huffman.compare(case) for case in bench_huffman.cases()]), end="\n\n")
    bench_tree.main()


if __name__ == "__main__":
    main()
