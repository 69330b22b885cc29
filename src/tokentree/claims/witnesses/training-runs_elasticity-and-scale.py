def moved(models):  # -(n' - n) . (g' - g) from sizes 2 : 1 to 1 : 2, with the best model for each
    def best(n):
        return min(models, key=lambda g: n[0] * g[0] + n[1] * g[1])

    g, h = best((2, 1)), best((1, 2))
    return (h[0] - g[0]) - (h[1] - g[1])


# Losses on two datasets. A model with more parameters can do all that a smaller one can, and more.
tiny = [(4, 4)]  # one compromise
small = [*tiny, (2, 6), (6, 2)]  # or one dataset at the other's cost; as good at 1 : 1
large = [*small, (0, 0)]  # or both at once
assert [moved(models) for models in (tiny, small, large)] == [0, 8, 0]  # it responds more, then less
