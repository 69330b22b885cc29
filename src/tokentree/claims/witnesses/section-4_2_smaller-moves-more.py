from excess import Fraction, excess

rows, sizes = [[1, 0, 0], [0, 1, 0], [0, 0, 1], [2, 1, 1]], [2, 1, 1, Fraction(1, 1000)]
moves = [abs(excess(rows, sizes, i)) for i in range(4)]
assert moves[3] == 0 and moves[0] == moves[1] == 1  # the smallest stays; sizes 2 and 1 change alike
# Two datasets, the second growing: the smaller changes more, in inverse proportion.
for n in (1000, 1), (1, 1000), (3, 2):
    one, two = (excess([[3, 1], [1, 4]], n, i, 1) for i in range(2))
    assert n[0] * one == -n[1] * two != 0 and (abs(one) < abs(two)) == (n[0] > n[1])
