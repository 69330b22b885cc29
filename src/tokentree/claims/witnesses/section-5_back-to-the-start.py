from fractions import Fraction


def distance(p, q):
    return sum(abs(x - y) for x, y in zip(p, q)) / 2


def between(p, q, share):
    return [(1 - share) * x + share * y for x, y in zip(p, q)]


p_p, p_a = [Fraction(1, 4), Fraction(1, 2), Fraction(1, 4)], [0, 1, 0]
p_b = [Fraction(1, 4), 0, Fraction(3, 4)]
aligned = between(p_p, p_a, Fraction(1, 10))
shares = [Fraction(n, 1000) for n in range(1000)]
distances = [distance(between(aligned, p_b, share), p_p) for share in shares]
least = min(distances)
assert distances[0] > least > 0 and distances[-1] > 9 * distances[0]  # it falls and rises again
end = distance(p_b, p_p)
assert all(abs(d - end) <= 1 - s for d, s in zip(distances, shares)) and end == Fraction(1, 2)
# On data distributed as the pre-training data it does go back, to within any distance.
assert distance(between(aligned, p_p, Fraction(999, 1000)), p_p) == distance(aligned, p_p) / 1000
