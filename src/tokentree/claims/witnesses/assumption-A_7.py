from collections import Counter
from itertools import pairwise
from math import log, sqrt
from pydoc_data.topics import topics

# Counts of letter pairs in Python's help, and their distance from the maximum-likelihood Pareto law.
text = "".join(topics.values()).lower()
pairs = Counter(pair for pair in pairwise(text) if all("a" <= letter <= "z" for letter in pair))
counts = sorted(pairs.values())
n, least = len(counts), counts[0]
alpha = n / sum(log(x / least) for x in counts)
distance = max(abs(1 - i / n - (least / x) ** alpha) for i, x in enumerate(counts))
assert alpha < 1  # the mean of this law is infinite
assert distance * sqrt(n) > 3  # far above 1.63, the 1 % point of the Kolmogorov distribution
