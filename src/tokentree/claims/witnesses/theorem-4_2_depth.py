from excess import excess


# Columns: leaves 00, 01, 1 at depth 2. Pruning to depth 1 merges the first two.
def pruned(rows):
    return [[a + b, c] for a, b, c in rows]


for rows, before, after in (
    ([[0, 1, 0], [0, 0, 1], [1, 0, 0]], False, True),
    ([[0, 2, 1], [1, 0, 0], [0, 1, 0]], True, False),
):
    sizes = [sum(row) for row in rows]
    for leaves, holds in (rows, before), (pruned(rows), after):
        assert (excess(leaves, sizes, 0) < 0 < excess(leaves, sizes, 1)) == holds
