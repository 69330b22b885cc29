"""Training runs included with the library, for examples."""

from importlib import resources

from .runs import TrainingRuns


def own_runs() -> TrainingRuns:
    """220 small networks trained on mixtures of five real texts, at two model sizes.

    The texts are the beginnings of Python's help topics, sources and encoding tables, of the names of Unicode
    characters, and of the list of HTML entities: 50,000 symbols of each, from an alphabet of 16. A network
    reads three symbols and predicts the next with one hidden layer of 6 or 24 tanh units, 406 or 1,576
    parameters. Networks of each size were trained on 60 random mixtures and, for every two texts, on five
    along the path between them, by 400 steps of L-BFGS on the exact frequencies of what follows the 800 most
    common contexts. So there is no sampling noise, and the networks are close to an optimum, but not at one:
    four of them, trained six times as long, fell by another 0.001 to 0.023 nats. All runs of a size start
    from one model, trained by 3,000 steps on equal shares.

    Returns
    -------
    TrainingRuns
        Losses of the texts trained on, in nats per symbol.

    Notes
    -----
    Made by ``python notebooks/training_runs.py src/tokentree/training/own_runs.csv``, with Python 3.11.7, in
    about five minutes on one core. The file holds sizes and losses together, as `TrainingRuns.from_csv` reads
    them.

    Examples
    --------
    >>> runs = own_runs()
    >>> runs
    TrainingRuns(220 runs, 5 datasets (topics, sources, encodings, names, entities), 5 losses)
    >>> runs.monotone().violated
    0
    """
    with resources.as_file(resources.files(__package__) / "own_runs.csv") as path:
        return TrainingRuns.from_csv(
            path, sizes="weight_*", rates="loss_*", parameters="parameters", tokens="tokens"
        )
