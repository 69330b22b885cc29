from excess import excess

rows, sizes = [[1, 1, 1], [0, 1, 0], [0, 0, 1]], [10**9, 10**6, 10**3]
assert -1003 < excess(rows, sizes, 1) / excess(rows, sizes, 0) < -1002
