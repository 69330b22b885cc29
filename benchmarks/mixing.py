"""Mixing laws side by side on published training runs: RegMix's tables, and SlimPajama at three model sizes.

    OMP_NUM_THREADS=1 python benchmarks/mixing.py FOLDER [--slimpajama CSV] [--subsets N] [--only LAW ...]

FOLDER holds RegMix's train_mixture_1m.csv, train_pile_loss_1m.csv and the two of its test runs. LightGBM has
RegMix's settings, but for the early stopping, which would look at the test. One Gaussian process is that of
Olmix; the other, of the logarithms of shares and with a length for every dataset, is the best one we found.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tokentree.training import (
    AdditiveLaw,
    BiMixLaw,
    CapacityLaw,
    ExponentialLaw,
    LinearLaw,
    LogLaw,
    MixingLaw,
    PowerLaw,
    TrainingRuns,
)
from tokentree.training.scores import score

COUNTS = (512, 128, 32)


class Regression:
    """A regression for every loss, from shares alone, as a law."""

    def __init__(
        self,
        runs: TrainingRuns,
        make: Callable[[], Any],
        features: Callable[[np.ndarray], np.ndarray] = np.asarray,
    ) -> None:
        self.names, self.features = runs.names, features
        rows = np.flatnonzero(runs.measured)
        self.losses = tuple(runs.losses[row] for row in rows)
        self.models = []
        for row in rows:
            on = np.isfinite(runs.rates[:, row])
            self.models.append(make().fit(features(runs.weights[on]), runs.rates[on, row]))

    def predict(self, sizes: Any, *, parameters: Any = None, tokens: Any = None) -> np.ndarray:
        shares = self.features(sizes / sizes.sum(axis=1, keepdims=True))
        return np.column_stack([model.predict(shares) for model in self.models])

    def score(self, runs: TrainingRuns) -> Any:
        return score(self, runs)


def token_tree(n_leaves: int) -> Callable[[TrainingRuns], MixingLaw]:
    return lambda runs: MixingLaw.fit(runs, n_leaves, "own", smoothing=1e-3)


def regressions() -> dict[str, Callable[[TrainingRuns], Regression]]:
    found: dict[str, Callable[[TrainingRuns], Regression]] = {}
    try:
        from lightgbm import LGBMRegressor
    except ImportError:
        print("LightGBM is not installed: left out.")
    else:

        def trees() -> Any:
            return LGBMRegressor(n_estimators=1000, learning_rate=1e-2, n_jobs=1, verbose=-1, seed=42)

        found["LightGBM"] = lambda runs: Regression(runs, trees)
    try:
        from sklearn.gaussian_process import GaussianProcessRegressor
        from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
    except ImportError:
        print("scikit-learn is not installed: the Gaussian process is left out.")
    else:

        def process(length: Any) -> Any:
            kernel = ConstantKernel() * RBF(length, (1e-2, 1e2)) + WhiteKernel(0.1, (1e-6, 10))
            restarts = 10 if np.ndim(length) == 0 else 0
            return GaussianProcessRegressor(
                kernel, normalize_y=True, n_restarts_optimizer=restarts, random_state=0
            )

        found["Gaussian process, as Olmix"] = lambda runs: Regression(runs, lambda: process(1.0))
        found["Gaussian process of log shares, a length each"] = lambda runs: Regression(
            runs, lambda: process(np.full(runs.n_datasets, 5.0)), lambda shares: np.log(shares + 1e-3)
        )
    return found


def regmix(folder: Path, laws: dict[str, Callable[[TrainingRuns], Any]], subsets: int) -> None:
    def read(part: str) -> TrainingRuns:
        return TrainingRuns.from_csv(folder / f"{part}_mixture_1m.csv", folder / f"{part}_pile_loss_1m.csv")

    train, test = read("train"), read("test")
    print(
        f"\nRegMix, {test.n_runs} test runs: mean R2, mean Spearman and seconds of a fit (rates predicted)\n"
    )
    print(f"| law | {' | '.join(f'{count} runs' for count in COUNTS)} |\n|{' --- |' * (len(COUNTS) + 1)}")
    for name, law in laws.items():
        cells = []
        for count in COUNTS:
            found = []
            for seed in range(1 if count >= train.n_runs else subsets):
                kept = np.sort(np.random.default_rng(seed).permutation(train.n_runs)[:count])
                begun = time.perf_counter()
                fitted = law(train.subset(kept))
                taken = time.perf_counter() - begun
                known = np.isfinite(fitted.predict(test.sizes)).mean()
                each = fitted.score(test)
                found.append([each.r2.mean(), each.spearman.mean(), taken, known])
            r2, rank, taken, known = np.mean(found, axis=0)
            part = "" if known == 1 else f" ({known:.0%})"
            cells.append(f"{r2:.4f}, {rank:.4f}, {taken:.1f} s{part}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def slimpajama(path: Path, laws: dict[str, Callable[[TrainingRuns], Any]], draws: int) -> None:
    runs = TrainingRuns.from_csv(
        path, path, sizes="weight_*", rates="*_loss", parameters="model_size", tokens="n_tokens"
    )
    mixtures, which = np.unique(runs.weights.round(6), axis=0, return_inverse=True)
    small = runs.parameters < 3.2e8
    large = (runs.parameters > 6e8) & (runs.parameters < 7e8)
    print("\nSlimPajama, fitted up to 310M on 45 of 60 mixtures: mean relative error at 680M on the others\n")
    print(
        f"| law | {' | '.join(f'draw {seed}' for seed in range(draws))} | mean |\n|{' --- |' * (draws + 2)}"
    )
    for name, law in laws.items():
        errors = []
        for seed in range(draws):
            drawn = np.random.default_rng(seed).permutation(len(mixtures))[:15]
            out = np.isin(which.ravel(), drawn)
            fitted = law(runs.subset(small & ~out))
            errors.append(fitted.score(runs.subset(large & out)).relative_error.mean())
        shown = " | ".join(f"{error:.2%}" for error in [*errors, np.mean(errors)])
        print(f"| {name} | {shown} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="where RegMix's tables are")
    parser.add_argument("--slimpajama", type=Path, help="the table of Shukor et al. 2025")
    parser.add_argument("--subsets", type=int, default=5, help="of each number of runs; default 5")
    parser.add_argument("--only", nargs="+", metavar="LAW", help="these laws alone")
    given = parser.parse_args()
    joint: dict[str, Callable[[TrainingRuns], Any]] = {
        "additive": AdditiveLaw.fit,
        "power": PowerLaw.fit,
        "log": LogLaw.fit,
        "exponential": ExponentialLaw.fit,
        "linear": LinearLaw.fit,
    }
    one = {"capacity and noise": CapacityLaw.fit, "BiMix": BiMixLaw.fit}

    def asked(laws: dict[str, Callable[[TrainingRuns], Any]]) -> dict[str, Callable[[TrainingRuns], Any]]:
        return {name: law for name, law in laws.items() if given.only is None or name in given.only}

    trees = {"token tree": token_tree(40), "token tree, chosen": MixingLaw.fit}
    regmix(given.folder, asked(trees | joint | one | regressions()), given.subsets)
    if given.slimpajama:
        slimpajama(given.slimpajama, asked({"token tree": token_tree(20)} | joint), 3)


if __name__ == "__main__":
    main()
