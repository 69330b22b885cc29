"""Runs that come with the library, to try things on."""

from importlib import resources

from .runs import TrainingRuns


def own_runs() -> TrainingRuns:
    """220 small networks trained on mixtures of five real texts, at two model sizes.

    The texts are the beginnings of Python's help topics, sources and tables of encodings, of the names of
    Unicode's characters, and of the list of HTML's entities: 50,000 symbols of each, of 16 kinds. A network
    reads three symbols and predicts the next by one hidden layer of 6 or 24 tanh units, 406 or 1,576
    parameters. Each size learned 60 mixtures drawn at random and, for each two texts, five along the path
    between them, by 400 steps of L-BFGS on the exact frequencies of what follows the 800 commonest contexts:
    so without sampling noise, and near to an optimum, not at one: four of them, trained for six times as
    long, fell by another 0.001 to 0.023 nats. All runs of a size go on from one model, trained by 3,000 steps
    on equal shares.

    Returns
    -------
    TrainingRuns
        Losses of the texts trained on, in nats per symbol.

    Notes
    -----
    Made by ``python notebooks/training_runs.py src/tokentree/training/own_runs.csv``, with Python 3.11.7, in
    about five minutes of one core. In a file of sizes and losses together, as `TrainingRuns.from_csv` reads.

    Examples
    --------
    >>> runs = own_runs()
    >>> runs
    TrainingRuns(220 runs, 5 datasets, 5 losses)
    >>> runs.monotone().violated
    0
    """
    with resources.as_file(resources.files(__package__) / "own_runs.csv") as path:
        return TrainingRuns.from_csv(
            path, path, sizes="weight_*", rates="loss_*", parameters="parameters", tokens="tokens"
        )
