from fractions import Fraction as F

# Models drawn with probability proportional to 2^-F, so tau = 1 / log 2.
models = [(9, 1), (5, 2), (3, 4), (2, 6)]


def means(n, h=0, t=0):
    """Means of the losses and of their products."""
    shares = [F(1, 2 ** sum(k * x for k, x in zip(n, g))) * (1 - h * g[t]) for g in models]
    whole = sum(shares)
    first = [sum(s * g[i] for s, g in zip(shares, models)) / whole for i in range(2)]
    second = [
        [sum(s * g[i] * g[j] for s, g in zip(shares, models)) / whole for i in range(2)] for j in range(2)
    ]
    return first, second


# As n_t grows by x, weights change by the factor 2^(-x L_t), to first order 1 - h L_t with h = x log 2. So d
# gamma_i / d n_t = -Cov / tau means that d gamma_i / dh = -Cov.
n, h = (1, 2), F(1, 10**9)
first, second = means(n)
for t in range(2):
    moved, _ = means(n, h, t)
    for i in range(2):
        covariance = second[t][i] - first[i] * first[t]
        assert covariance != 0 and abs((moved[i] - first[i]) / h + covariance) < F(1, 10**6)
