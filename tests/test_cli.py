"""The command line, run as a person would."""

import json
import subprocess
import sys

import pytest

from tokentree import Mixture, TokenTree, Verdict, claims, cli, elasticity, figures
from tokentree.claims import section4


@pytest.fixture
def files(tmp_path):
    texts = {
        "pretrain": "it was the best of times, it was the worst of times, " * 40,
        "align": "call me Ishmael. " * 9,
        "perturb": "it was a bright cold day in April. " * 3,
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    return [tmp_path / name for name in texts]


def run(*arguments):
    return cli.main([str(argument) for argument in arguments])


def test_python_dash_m_is_the_same_program():
    shown = subprocess.run(
        [sys.executable, "-m", "tokentree", "--help"], capture_output=True, text=True, check=True
    ).stdout
    assert "verify" in shown
    assert "measure" in shown


@pytest.mark.parametrize("command", ["verify", "measure"])
def test_help_shows_an_example(command, capsys):
    with pytest.raises(SystemExit) as stop:
        run(command, "--help")
    assert stop.value.code == 0
    assert f"example: tokentree {command}" in capsys.readouterr().out


def test_verify_prints_the_ledger_and_writes_it(capsys, tmp_path):
    path = tmp_path / "ledger.json"
    assert run("verify", "--json", path, "--figures", tmp_path / "figures", "--seed", 1) == 0
    shown = capsys.readouterr().out
    plain = json.loads(path.read_text(encoding="utf-8"))
    assert plain["seed"] == 1
    for finding in plain["findings"]:
        assert finding["id"] in shown
        assert finding["verdict"] in shown
    for name in figures.gallery():
        assert (tmp_path / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


def test_verify_one_claim_prints_its_witness(capsys, monkeypatch):
    monkeypatch.setattr(claims, "CLAIMS", (section4.three_datasets,))
    assert run("verify", "--claim", "theorem-4.2/three-datasets") == 0
    assert "# both rise" in capsys.readouterr().out


def test_verify_unknown_claim(capsys, monkeypatch):
    monkeypatch.setattr(claims, "CLAIMS", (section4.three_datasets,))
    assert run("verify", "--claim", "nothing") == 2
    assert "theorem-4.2/three-datasets" in capsys.readouterr().err


def test_undecided_is_exit_code_one(monkeypatch, capsys):
    def doubtful(evidence):
        return claims.Finding("doubt", "?", "nowhere", Verdict.UNDECIDED, "", "", {}, "assert True")

    monkeypatch.setattr(claims, "CLAIMS", (doubtful,))
    assert run("verify") == 1
    assert "undecided" in capsys.readouterr().out


def test_measure_agrees_with_the_library(files, tmp_path, capsys):
    path = tmp_path / "measured.json"
    assert run("measure", *files, "--depth", 8, "--json", path, "--figures", tmp_path / "figures") == 0
    report = json.loads(path.read_text())
    trees = [TokenTree.from_bytes(file.read_bytes(), block=8) for file in files]
    mixture = Mixture.from_trees(trees, depth=8)
    found = elasticity(mixture)
    assert report["rates"] == mixture.rates().tolist()
    assert report["huffman_rates"] == mixture.rates(code="huffman").tolist()
    assert report["normalized_rates"] == mixture.normalized_rates().tolist()
    assert report["response"] == mixture.response().tolist()
    assert report["elasticity"]["holds"] is found.holds
    assert report["elasticity"]["certified"] is True
    assert report["elasticity"]["overlap_pretrain"] == found.overlap_pretrain
    now = [point for point in report["curve"] if point["l"] == found.l]
    assert now[0]["rates"] == mixture.rates().tolist()
    shown = capsys.readouterr().out
    assert ("Theorem 4.2 holds" if found.holds else "Theorem 4.2 fails") in shown
    assert "S_pt" in shown
    assert (tmp_path / "figures" / "response.png").read_bytes().startswith(b"\x89PNG")


def test_measure_bytes(files, tmp_path):
    path = tmp_path / "measured.json"
    assert run("measure", *files, "--depth", 2, "--alphabet", "bytes", "--json", path) == 0
    trees = [TokenTree.from_bytes(file.read_bytes(), block=2, alphabet="bytes") for file in files]
    assert json.loads(path.read_text())["rates"] == Mixture.from_trees(trees).rates().tolist()


def test_measure_reads_a_directory_as_all_its_files(files, tmp_path):
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (folder / "b").write_text("to be or not to be")
    (folder / "below" / "a").write_text("that is the question")
    path = tmp_path / "measured.json"
    assert run("measure", folder, *files[1:], "--depth", 8, "--json", path) == 0
    assert json.loads(path.read_text())["sizes"][0] == 18 + 1 + 20 + 1


def test_an_infinite_ratio_is_valid_json(tmp_path):
    for name in ("a", "b", "c"):
        (tmp_path / name).write_bytes(b"x")
    path = tmp_path / "measured.json"
    assert run("measure", *(tmp_path / name for name in "abc"), "--depth", 8, "--json", path) == 0
    report = json.loads(path.read_text(), parse_constant=lambda name: pytest.fail(f"{name} is not JSON"))
    assert report["elasticity"]["signs"] == [0, 0]
    assert report["elasticity"]["ratio"] is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda files: ["missing", *files[1:]], "missing"),
        (lambda files: [files[0], files[0].parent / "empty", files[2]], "is empty"),
        (lambda files: [files[0].parent / "nothing", *files[1:]], "directory without files"),
    ],
)
def test_unusable_files_are_one_line_and_exit_code_two(files, change, message, capsys):
    (files[0].parent / "empty").write_bytes(b"")
    (files[0].parent / "nothing").mkdir()
    assert run("measure", *change(files), "--depth", 8) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.startswith("tokentree measure: ")
    assert error.count("\n") == 1


def test_depth_must_be_positive(files, capsys):
    assert run("measure", *files, "--depth", 0) == 2
    assert "must be an integer >= 1" in capsys.readouterr().err


def test_no_arguments_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stop:
        run()
    assert stop.value.code == 2
