from itertools import product

# A finite set of models, each with its losses on two datasets; training picks the best for sizes n.
models = [(1, 9), (2, 5), (3, 4), (6, 2), (7, 7)]
sizes = list(product(range(1, 8), repeat=2))
best = {n: min(models, key=lambda g: n[0] * g[0] + n[1] * g[1]) for n in sizes}
for n, m in product(sizes, repeat=2):
    assert sum((m[i] - n[i]) * (best[m][i] - best[n][i]) for i in range(2)) <= 0
