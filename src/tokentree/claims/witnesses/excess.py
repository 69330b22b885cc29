from fractions import Fraction


def excess(rows, sizes, i, t=2):
    """1 - S_it, which has the sign of d gamma_i / d n_t; rows are counts."""
    p = [[Fraction(count, sum(row)) for count in row] for row in rows]
    q = [sum(n * mass for n, mass in zip(sizes, leaf)) / sum(sizes) for leaf in zip(*p)]
    return 1 - sum(a * b / c for a, b, c in zip(p[i], p[t], q) if c)
