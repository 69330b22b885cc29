from excess import Fraction, excess

# Published form with a second alignment set of the same distribution: sizes 10 and 1.
rows, sizes = [[1, 1, 1], [0, 1, 0], [0, 1, 0], [0, 0, 1]], [10**6, 10, 1, Fraction(1, 1000)]
moves = [excess(rows, sizes, i, 3) for i in range(4)]
assert moves[1] == moves[2] == 1
assert sizes[1] * moves[1] == 10 * sizes[2] * moves[2]
assert sum(n * move for n, move in zip(sizes, moves)) == 0 > moves[0]
# With one alignment set, and the other sizes fixed, its change is 1 / T for every size.
for n_a in 1, 10, 1000:
    assert excess(rows[:2] + rows[3:], [10**6, n_a, Fraction(1, 1000)], 1) == 1
