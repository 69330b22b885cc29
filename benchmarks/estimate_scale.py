"""What counting 10^13 tokens would take, by the formulas of docs/benchmarks.md: the rows of its table.

K and beta of Heaps' law are those of the sources of Python's standard library.
"""

from math import ceil, log

TOKENS, WORKERS, ARITY = 10**13, 1024, 4
BLOCK, WIDE, LEAF, MEMORY, NETWORK = 12e-9, 180e-9, 100e-9, 18, 10

CASES = {
    "24 bits": (TOKENS * 32 / 24, 2**24, 19, 0.53, BLOCK),
    "32 bits": (TOKENS * 32 / 32, 2**32, 9.4, 0.66, WIDE),
    "48 bits": (TOKENS * 32 / 48, 2**48, 4.5, 0.79, WIDE),
    "1 token": (TOKENS, 5e4, 0.19, 0.83, BLOCK),
    "2 tokens": (TOKENS / 2, 5e4**2, 2.1, 0.78, WIDE),
    "3 tokens": (TOKENS / 3, 5e4**3, 3.2, 0.82, WIDE),
}


def cost(n: float, bound: float, scale: float, beta: float, block: float) -> list[float]:
    """Distinct blocks; core-hours; minutes of counting, of merging; GB of the result, of the network."""

    def distinct(blocks: float) -> float:
        return min(blocks, bound, scale * float(blocks**beta))

    sent = [distinct(n * ARITY**j / WORKERS) for j in range(ceil(log(WORKERS, ARITY)))]
    hours, merging = block * n / 3600, LEAF * ARITY * sum(sent) / 60
    network = NETWORK * sum(WORKERS / ARITY**j * leaves for j, leaves in enumerate(sent))
    leaves = distinct(n)
    return [leaves, hours, 60 * hours / WORKERS, merging, MEMORY * leaves / 1e9, network / 1e9]


def shown(value: float) -> str:
    return f"{value:,.0f}" if 10 <= value < 1e6 else f"{value:.2g}".replace("e+", "e").replace("e0", "e")


if __name__ == "__main__":
    for name, case in CASES.items():
        print(f"| {name} | {' | '.join(map(shown, cost(*case)))} |")
