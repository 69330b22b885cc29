from fractions import Fraction

# Two equally likely responses, of 1 and 2 tokens, and a model that gives the first the probability q. E[L] =
# -log(q (1 - q)) / 2 and E[L / |x|] = -log(q^2 (1 - q)) / 4: each is least where its product is largest.
chances = [Fraction(n, 60) for n in range(1, 60)]
assert max(chances, key=lambda q: q * (1 - q)) == Fraction(1, 2)  # p
assert max(chances, key=lambda q: q**2 * (1 - q)) == Fraction(2, 3)  # p / |x|, normalised
# Models of any kind, given by their bits for each response.
models = [(2, 7), (4, 4)]
loss = min(models, key=lambda bits: Fraction(bits[0] + bits[1], 2))
per_token = min(models, key=lambda bits: Fraction(bits[0] + bits[1], 1 + 2))
per_response = min(models, key=lambda bits: (bits[0] + Fraction(bits[1], 2)) / 2)
assert loss == per_token == (4, 4) and per_response == (2, 7)
