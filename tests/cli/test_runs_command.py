"""The command ``tokentree runs``, run as a person would."""

import csv
import json
import re
import sys
from pathlib import Path

import numpy as np
import pytest

from tokentree import Mixture, cli
from tokentree.cli import figures
from tokentree.training import MixingLaw, TrainingRuns

pytestmark = pytest.mark.usefixtures("unchecked")

NAMES = ("web", "code", "talk")

ROOT = Path(__file__).parents[2]


def run(*arguments):
    return cli.main(["runs", *map(str, arguments)])


def write(path, header, rows):
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([header, *rows])
    return path


def exact(n, seed=0):
    """Sizes, and rates of exact minimisers at them, with one more loss, of a task."""
    rng = np.random.default_rng(seed)
    mixture = Mixture(rng.dirichlet(np.ones(5), size=4), np.ones(4))
    sizes = rng.dirichlet(np.ones(3), size=n)
    rates = [mixture.with_sizes([*each, 1e-9]).rates(np.e) for each in sizes.tolist()]
    return sizes, np.array(rates)


@pytest.fixture
def tables(tmp_path):
    """Twelve runs, of which one table lacks one; no loss of talk; a task called quiz."""
    sizes, rates = exact(12)
    rows = [[a, *each] for a, each in enumerate(sizes.tolist())]
    losses = [[a, one, two, quiz] for a, (one, two, _, quiz) in enumerate(rates.tolist())]
    return (
        write(tmp_path / "sizes.csv", ["run", *(f"train_{name}" for name in NAMES)], rows),
        write(tmp_path / "losses.csv", ["run", "web_loss", "code_loss", "quiz_loss"], losses[:-1]),
    )


@pytest.fixture
def together(tmp_path):
    """One table of runs of two model sizes, with all losses."""
    sizes, rates = exact(10)
    rows = [
        [*n, parameters, 1e9, *(rate + 1e3 / parameters**0.5)]
        for parameters in (1e6, 4e6)
        for n, rate in zip(sizes.tolist(), rates[:, :3], strict=True)
    ]
    header = [*(f"w_{name}" for name in NAMES), "size", "seen", *(f"{name}_loss" for name in NAMES)]
    return write(tmp_path / "both.csv", header, rows)


SHAPE = ("--leaves", 3, "--scales", "shared", "--no-progress")
FAST = (*SHAPE, "--smoothing", 0.01)


def test_help_shows_an_example(capsys):
    with pytest.raises(SystemExit) as stop:
        run("--help")
    assert stop.value.code == 0
    assert "example: tokentree runs" in capsys.readouterr().out


def test_agrees_with_the_library(tables, tmp_path, capsys):
    path, out = tmp_path / "found.json", tmp_path / "out"
    target = {"code": 2.0, "quiz": 1.0}
    given = [f"{name}={weight}" for name, weight in target.items()]
    assert run(*tables, *SHAPE, "--target", *given, "--seed", 3, "--json", path, "--figures", out) == 0
    found = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))

    runs = TrainingRuns.from_csv(*tables)
    law = MixingLaw.fit(runs, 3, "shared", seed=3)
    best, worst = law.best_sizes(target), law.best_sizes(target, worst=True)
    mean = runs.weights.mean(axis=0)
    assert found["names"] == [*NAMES]
    assert found["tasks"] == ["quiz"]
    assert found["matches"] == runs.matches
    assert found["left_out"]["sizes.csv"] == ["11"]
    assert found["certified"] == runs.monotone().to_dict()
    assert found["uncertified"] == runs.monotone(certified=False).to_dict()
    assert found["gaps"] == [None] * 11
    assert found["law"]["offset"] == law.offset.tolist()
    assert found["choices"] == [choice.to_dict() for choice in law.choices]
    assert found["score"] == law.score(runs).to_dict()
    assert found["response"] == law.response(mean).tolist()
    assert found["target"] == target
    assert found["best"] == best.to_dict()
    assert found["worst"] == worst.to_dict()

    shown = " ".join(capsys.readouterr().out.split())
    assert "11 runs of 3 datasets" in shown
    assert "1 of sizes.csv (11)" in shown
    assert f"Best mixture: {best.value:.6g} nats, duality gap {best.gap:.1e}" in shown
    assert f"{worst.value:.6g}" in shown
    assert "Mixtures for the target: code 2, quiz 1" in shown
    assert f"mean squared error {found['choice']['error']:.4g}" in shown
    drawn = {file.name: file.read_bytes() for file in out.iterdir()}
    assert drawn.keys() == {"predictions.png", "response.png", "best-sizes.png", "regret.png"}
    assert all(data.startswith(b"\x89PNG") for data in drawn.values())


def test_by_default_all_losses_count_the_same(tables, tmp_path, capsys):
    path = tmp_path / "found.json"
    assert run(*tables, *FAST, "--json", path) == 0
    assert json.loads(path.read_text())["target"] == {"web": 1 / 3, "code": 1 / 3, "quiz": 1 / 3}
    assert "for the target: all losses equally" in capsys.readouterr().out


def test_one_table_with_models_of_two_sizes(together, tmp_path, capsys):
    path = tmp_path / "found.json"
    columns = ("--sizes", "w_*", "--rates", "*_loss", "--parameters", "size", "--tokens", "seen")
    assert run(together, *FAST, *columns, "--json", path, "--figures", tmp_path / "out") == 0
    found = json.loads(path.read_text())
    assert found["model"] == {"parameters": 4e6, "tokens": 1e9}
    assert found["law"]["exponents"].keys() == {"alpha", "beta", "parameters", "tokens"}
    # A smaller model that is worse left nothing on the table.
    assert found["certified"]["pairs"] == 2 * 45
    assert found["gaps"] == [0] * 20
    shown = " ".join(capsys.readouterr().out.split())
    assert "none of 20 runs is beaten on its own data" in shown
    assert "Joint in model size and tokens" in shown


def test_a_violation_is_told(tmp_path, capsys):
    sizes = write(tmp_path / "s.csv", ["run", "web", "code"], [["a", 1, 0], ["b", 1, 1], ["c", 0, 1]])
    losses = write(tmp_path / "l.csv", ["run", "web", "code"], [["a", 1, 2], ["b", 0.5, 2], ["c", 3, 1]])
    assert run(sizes, losses, *FAST) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "1 of 3 runs is beaten on its own data" in shown
    assert "0.5 nats per token (run a)" in shown
    assert "Not cross-validated" in shown
    assert "(g' - g) <= 0, in nats times the unit of the sizes" in shown
    assert re.search(r"all losses of their data known 3 0 0 a, b", shown)


def test_a_best_share_outside_the_runs_is_told(tmp_path, capsys):
    sizes, rates = exact(12)
    shares = sizes / sizes.sum(axis=1, keepdims=True)
    tables = [
        write(tmp_path / f"{what}.csv", ["run", *NAMES], [[a, *each] for a, each in enumerate(rows.tolist())])
        for what, rows in (("s", shares), ("l", rates[:, :3]))
    ]
    path = tmp_path / "f.json"
    for target in NAMES:
        assert run(*tables, *FAST, "--target", f"{target}=1", "--json", path) == 0
        found = json.loads(path.read_text())
        best = np.array(found["best"]["sizes"])
        assert found["least"] == shares.min(axis=0).tolist()
        outside = (best < shares.min(axis=0) - 1e-9) | (best > shares.max(axis=0) + 1e-9)
        shown = " ".join(capsys.readouterr().out.split())
        assert "least in a run" in shown
        named = ", ".join(np.array(NAMES)[outside].tolist())
        assert (f"outside the range of the runs for {named}." in shown) == bool(outside.any())
        assert ("Extrapolated" in shown) == bool(outside.any())


def test_the_target_can_be_within_the_runs(tmp_path, capsys):
    sizes = write(tmp_path / "s.csv", ["run", "web", "code"], [["a", 1, 0], ["b", 1, 1], ["c", 0, 1]])
    losses = write(tmp_path / "l.csv", ["run", "web", "code"], [["a", 1, 2], ["b", 1.2, 1.2], ["c", 2, 1]])
    assert run(sizes, losses, *FAST) == 0
    assert "Extrapolated" not in capsys.readouterr().out


def test_one_run_is_enough(tmp_path, capsys):
    sizes = write(tmp_path / "s.csv", ["run", "web", "code"], [["a", 3, 1]])
    losses = write(tmp_path / "l.csv", ["run", "web", "code"], [["a", 1, 2]])
    assert run(sizes, losses, *FAST, "--json", tmp_path / "f.json", "--figures", tmp_path / "out") == 0
    shown = capsys.readouterr()
    assert "undefined" in shown.out
    # Two datasets of three leaves, two offsets and a scale.
    assert shown.err.startswith(
        "tokentree runs: the law has 7 free parameters (3 leaves) for 2 measured rates"
    )
    assert "a smaller --leaves," in shown.err


def test_many_datasets_fit_the_screen(tmp_path, capsys, monkeypatch):
    rng = np.random.default_rng(0)
    names = [f"a_rather_long_name_{k}" for k in range(9)]
    mixture = Mixture(rng.dirichlet(np.ones(9), size=9), np.ones(9))
    sizes = rng.dirichlet(np.ones(9), size=14)
    rates = [mixture.with_sizes(n).rates(np.e) for n in sizes.tolist()]
    numbered = [[[a, *row] for a, row in enumerate(each)] for each in (sizes.tolist(), rates)]
    one = write(tmp_path / "s.csv", ["index", *names], numbered[0])
    two = write(tmp_path / "l.csv", ["index", *(f"{name}_loss" for name in names)], numbered[1])
    words = {}
    for columns in ("200", "80", "50"):
        monkeypatch.setenv("COLUMNS", columns)
        assert run(one, two, *FAST) == 0
        shown = capsys.readouterr().out
        words[columns] = {word for word in shown.split() if word.strip("─")}
        assert max(map(len, shown.splitlines())) <= int(columns)
    assert words["200"] <= words["80"]
    assert words["200"] <= words["50"]


@pytest.fixture
def unfitted(monkeypatch):
    """No work may be done."""
    monkeypatch.setattr(MixingLaw, "fit", lambda *_, **__: pytest.fail("the work was done first"))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target", "talk=1"], "target names 'talk': must be one of 'web', 'code', 'quiz'"),
        (["--target", "web"], "--target 'web': must be NAME=WEIGHT"),
        (["--target", "web=much"], "--target 'web=much': must be NAME=WEIGHT"),
        (["--target", "=1"], "must be NAME=WEIGHT"),
        (["--target", "web=1", "--target", "web=2"], "--target names 'web' twice"),
        (["--target", "web=-1"], "must be finite and >= 0"),
        (["--target", "web=0"], "target has no weight"),
        (["--tokens", "run"], "--parameters and --tokens"),
        (["--parameters", "none", "--tokens", "none"], "runs: --parameters = 'none': no such column in"),
        (["--sizes", "nothing*"], "runs: --sizes = 'nothing*': no such column in sizes.csv"),
        (["--rates", "nothing*"], "runs: --rates = 'nothing*': no such column in losses.csv"),
        (["--run", "nothing"], "runs: --run = 'nothing': no such column in"),
    ],
)
def test_what_cannot_be_used_is_one_line(tables, options, message, capsys, unfitted):
    assert run(*tables, *options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("tokentree runs: ")
    assert error.count("\n") == 1


def test_unusable_tables(tables, together, tmp_path, capsys, unfitted):
    for given, message in (
        ((tmp_path / "missing.csv", tables[1]), "SIZES.csv = "),
        ((tables[0], tmp_path), "is a directory: must be one file"),
        ((together, together), "runs: sizes and losses are one file"),
        ((together,), "which with --sizes= or --rates=, as in --sizes='weight_*'"),
    ):
        assert run(*given) == 2
        assert message in capsys.readouterr().err


def test_leaves_out_of_range(tables, capsys):
    assert run(*tables, "--leaves", 1) == 2
    assert "runs: --leaves = 1: must be" in capsys.readouterr().err
    assert run(*tables, "--smoothing", 0) == 2
    assert "runs: --smoothing = 0.0: must be" in capsys.readouterr().err


def test_what_only_python_can_name_is_renamed_in_the_file(tmp_path, capsys, unfitted):
    sizes = write(tmp_path / "s.csv", ["run", "web", "code"], [["a", 1, 1]])
    losses = write(tmp_path / "l.csv", ["run", "web_loss", "loss_web"], [["a", 1, 2]])
    assert run(sizes, losses) == 2
    error = capsys.readouterr().err
    assert "match dataset 'web' equally well: rename the column in the file" in error
    assert "{" not in error


def test_no_output_goes_over_the_tables(tables, tmp_path, capsys, unfitted):
    before = tables[1].read_bytes()
    assert run(*tables, "--json", tables[1]) == 2
    assert "the data to be measured" in capsys.readouterr().err
    assert run(*tables, "--json", tmp_path / "nowhere" / "f.json") == 2
    assert "must be a file in a directory that exists" in capsys.readouterr().err
    assert run(*tables, "--json", tmp_path / "regret.png", "--figures", tmp_path) == 2
    assert "is the same file as that of --json" in capsys.readouterr().err
    assert tables[1].read_bytes() == before


def test_no_file_is_written_unless_all_are(tables, tmp_path, monkeypatch):
    def fail(*_):
        raise OSError("no ink")

    monkeypatch.setattr(figures, "draw", fail)
    assert run(*tables, *FAST, "--json", tmp_path / "f.json", "--figures", tmp_path / "out") == 2
    assert not (tmp_path / "f.json").exists()
    assert not (tmp_path / "out").exists()


def test_interrupted(tables, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(MixingLaw, "fit", stop)
    assert run(*tables) == 130


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("option", [[], ["--no-progress"]])
def test_a_bar_is_shown_on_a_terminal_that_wants_one(tables, terminal, option, monkeypatch):
    asked = []

    def fit(*_, progress, **__):
        asked.append(progress)
        raise ValueError("enough")

    monkeypatch.setattr(MixingLaw, "fit", fit)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    assert run(*tables, *option) == 2
    assert asked == [terminal and not option]


def test_many_runs_have_no_picture_of_their_regret(tables, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("tokentree.plotting.MOST_RUNS", 10)
    assert run(*tables, *FAST, "--figures", tmp_path / "out") == 0
    assert "not drawn: regret.png, of 11 runs; 10 are the most" in capsys.readouterr().err
    assert not (tmp_path / "out" / "regret.png").exists()


def test_every_json_key_is_documented(tables, together, tmp_path):
    page = (ROOT / "docs/api/json.md").read_text(encoding="utf-8")
    documented = set(re.findall(r"`([\w./-]+)`", page.partition("## Of tokentree runs")[2]))
    columns = ("--sizes", "w_*", "--rates", "*_loss", "--parameters", "size", "--tokens", "seen")
    # One chooses, one is joint in model size and tokens.
    for given in ((*tables, *SHAPE), (together, together, *FAST, *columns)):
        assert run(*given, "--json", tmp_path / "f.json") == 0
        found = json.loads((tmp_path / "f.json").read_text())
        named = ("matches", "left_out", "target")  # keyed by the caller's names
        keys = set(found).union(
            *(each for key, each in found.items() if isinstance(each, dict) and key not in named)
        )
        keys |= {key for choice in found["choices"] for key in choice}
        assert keys | set(found["law"]["exponents"] or {}) <= documented
    assert len(found["most"]) == len(NAMES)
    assert (
        found["most"]
        == np.max(
            TrainingRuns.from_csv(together, together, sizes="w_*", rates="*_loss").weights, axis=0
        ).tolist()
    )
