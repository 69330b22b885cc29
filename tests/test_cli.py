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


@pytest.mark.parametrize("command", ["verify", "measure", "figures", "explore"])
def test_help_shows_an_example(command, capsys):
    with pytest.raises(SystemExit) as stop:
        run(command, "--help")
    assert stop.value.code == 0
    assert f"example: tokentree {command}" in capsys.readouterr().out


def test_verify_prints_the_ledger_and_writes_it(capsys, tmp_path, monkeypatch):
    path = tmp_path / "ledger.json"
    monkeypatch.setattr(claims, "CLAIMS", (section4.ratio, section4.three_datasets))
    monkeypatch.setattr(figures, "gallery", lambda seed: {"one": figures.trees, "two": figures.ratio})
    assert run("verify", "--json", path, "--figures", tmp_path / "figures", "--seed", 1) == 0
    shown = capsys.readouterr().out
    plain = json.loads(path.read_text(encoding="utf-8"))
    assert plain["seed"] == 1
    for finding in plain["findings"]:
        assert finding["id"] in shown
        assert finding["verdict"] in shown
    for name in ("one", "two"):
        assert (tmp_path / "figures" / f"{name}.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.slow
def test_figures_draws_the_gallery(tmp_path, capsys):
    assert run("figures", "--out", tmp_path / "out") == 0
    drawn = {path.stem: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert drawn.keys() == figures.gallery().keys()
    for name, data in drawn.items():
        assert data.startswith(b"GIF" if name == "springs" else b"\x89PNG")
    assert capsys.readouterr().out == ""


def test_explore_writes_one_page(tmp_path, capsys):
    assert run("explore", "--out", tmp_path / "page.html") == 0
    page = (tmp_path / "page.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert "https://" not in page.replace("https://www.w3.org", "")
    assert run("explore", "--out", tmp_path) == 2
    assert "must be a file" in capsys.readouterr().err
    assert run("figures", "--out", tmp_path / "page.html") == 2
    assert "is a file, must be a directory" in capsys.readouterr().err


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
        return claims.Finding("doubt", "?", "nowhere", Verdict.UNDECIDED, "", "", {}, "assert 2 > 1")

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
        (lambda files: ["missing", *files[1:]], "PRETRAIN = 'missing': no such file"),
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
    assert "--depth 0: must be at least 1" in capsys.readouterr().err


def test_no_arguments_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as stop:
        run()
    assert stop.value.code == 2


def test_an_empty_file_in_a_directory_is_passed_over(files, tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "marker").write_bytes(b"")
    (folder / "text").write_bytes(files[0].read_bytes())
    one, two = tmp_path / "one.json", tmp_path / "two.json"
    assert run("measure", folder, *files[1:], "--depth", 8, "--json", one) == 0
    assert run("measure", *files, "--depth", 8, "--json", two) == 0
    assert json.loads(one.read_text())["rates"] == json.loads(two.read_text())["rates"]


@pytest.mark.parametrize("option", ["--json", "--figures"])
def test_no_output_goes_over_the_data(files, option, capsys):
    before = files[1].read_bytes()
    assert run("measure", *files, "--depth", 8, option, files[1]) == 2
    assert "the data to be measured" in capsys.readouterr().err
    assert files[1].read_bytes() == before
    folder = files[0].parent
    assert run("measure", folder, *files[1:], "--depth", 8, option, folder / "new") == 2


def test_unwritable_outputs_are_refused_before_the_work(files, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(cli, "verify", lambda *_, **__: pytest.fail("the work was done first"))
    (tmp_path / "file").write_text("")
    for option, path, message in (
        ("--json", tmp_path, "must be a file in a directory that exists"),
        ("--markdown", tmp_path / "nowhere" / "page.md", "must be a file in a directory that exists"),
        ("--figures", tmp_path / "file", "is a file, must be a directory"),
    ):
        assert run("verify", option, path) == 2
        assert message in capsys.readouterr().err


def test_interrupted(monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "verify", stop)
    assert run("verify") == 130


def test_too_deep_is_noted(files, capsys):
    assert run("measure", *files, "--depth", 400) == 0
    assert "most blocks were seen only once" in capsys.readouterr().out


def test_summary_never_cuts_a_name(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    ledger = claims.Ledger(
        tuple(
            claims.Finding(
                name, "", "", Verdict.HOLDS, "", "proof", {}, "assert 2 > 1", "some few words " * 4
            )
            for name in ("theorem-4.2/three-datasets", "theorem-4.2/three-datasets-condition")
        ),
        seed=0,
    )
    monkeypatch.setattr(cli, "verify", lambda *_, **__: ledger)
    assert run("verify") == 0
    shown = capsys.readouterr().out
    assert "theorem-4.2/three-datasets-condition " in shown
    assert max(map(len, shown.splitlines())) <= 80


def test_narrow_terminals_show_every_digit(files, capsys, monkeypatch):
    shown = {}
    for columns in ("60", "200"):
        monkeypatch.setenv("COLUMNS", columns)
        assert run("measure", *files, "--depth", 12) == 0
        shown[columns] = capsys.readouterr().out
    assert max(map(len, shown["60"].splitlines())) <= 60
    assert shown["60"].split() == shown["200"].split()
    assert "…" not in shown["60"]
