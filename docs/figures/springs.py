"""Draw springs.png, the figure of docs/springs.md, into the working directory."""

import math

import numpy as np
from matplotlib.figure import Figure

from tokentree import FisherSprings, Mixture

LINES = (("-", "0.0"), ("--", "0.3"), (":", "0.5"))

figure = Figure(figsize=(11, 3.6), layout="constrained")
left, middle, right = figure.subplots(1, 3)

k = np.geomspace(1, 1e6, 61)
pairs = [FisherSprings(Mixture([[1, 0], [0, 1]], [size, 1])) for size in k]
lengths = np.array([pair.stiffness * pair.extensions for pair in pairs])
energies = np.array([pair.stiffness * pair.kl(math.e) for pair in pairs])
assert np.allclose(lengths[:, 0], lengths[:, 1], rtol=1e-13)
left.loglog(k, lengths[:, 0], color="0.0", label=r"$n_1 \ell_1 = n_2 \ell_2$")
left.loglog(k, energies[:, 1], color="0.3", linestyle="--", label=r"$n_2\,\mathrm{KL}(p_2 \Vert q)$")
left.loglog(k, energies[:, 0], color="0.5", linestyle=":", label=r"$n_1\,\mathrm{KL}(p_1 \Vert q)$")
left.set(xlabel="$k = n_1 / n_2$", ylabel="size × length; size × divergence (nats)")

mixture = Mixture([[8, 1, 1], [1, 8, 1], [3, 1, 6]], [1000, 30, 1])
added = np.geomspace(1e-2, 10, 31)
changes = [FisherSprings(mixture).invariant(2, amount, base=math.e) for amount in added]
pulls = np.abs([change.forward for change in changes])
for i, (line, grey) in enumerate(LINES):
    middle.loglog(added, pulls[:, i], line, color=grey, label=rf"$n_{i + 1} |\Delta_{i + 1}|$")
sums = [change.remainder for change in changes]
middle.loglog(added, sums, "-.", color="0.0", label=r"sum, $T\,\mathrm{KL}(q \Vert q^\prime)$")
middle.set(xlabel=r"data added to $D_3$, $\delta$", ylabel="size × change of divergence (nats)")

centre = np.array([0.5, 0.3, 0.2])
shape = np.array([[0.2, -0.1, -0.1], [-0.3, 0.2, 0.1], [0.1, -0.2, 0.1]])
near = np.geomspace(1e-3, 0.9, 31)
gaps = []
for epsilon in near:
    found = FisherSprings(Mixture(centre + epsilon * shape, [5, 3, 2])).invariant(2, 1e-3, base=math.e)
    gaps.append(np.abs(found.reverse_response / found.forward_response - 1))
for i, (line, grey) in enumerate(LINES):
    right.loglog(near, np.array(gaps)[:, i], line, color=grey, label=f"$D_{i + 1}$")
right.set(xlabel=r"distance of the datasets, $\varepsilon$", ylabel="relative gap between the directions")

for ax in (left, middle, right):
    ax.legend(frameon=False)
    ax.spines[["top", "right"]].set_visible(False)
figure.savefig("springs.png", dpi=120)
