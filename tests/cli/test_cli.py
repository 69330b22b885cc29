"""The command line, run as a person would."""

import bz2
import gzip
import json
import lzma
import os
import subprocess
import sys
import threading
from contextlib import redirect_stdout
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from matplotlib import rcParams
from tests.drawing import labels

from tokentree import Mixture, TokenTree, Verdict, claims, cli, elasticity
from tokentree.claims import appendix, evidence, section3, section3_1, section4
from tokentree.cli import figures, inputs, measure, outputs, screen
from tokentree.models import NGramModel
from tokentree.theorem import depth_curve, response_curve


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


linux = pytest.mark.skipif(sys.platform != "linux", reason="has no such files")

SOURCES = {"PYTHONPATH": str(Path(cli.__file__).parents[2])}


def only(monkeypatch, *decided):
    """Let these be all the claims there are."""
    for each in list(claims.BY_ID):
        monkeypatch.delitem(claims.BY_ID, each)
    for claim in decided:
        monkeypatch.setitem(claims.BY_ID, claim.__name__, claim)


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
    only(monkeypatch, section4.springs_in_series, section3_1.sft_loss)
    monkeypatch.setattr(
        figures, "gallery", lambda seed=0: {"one.png": figures.trees, "two.png": figures.trees}
    )
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
    drawn = {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()}
    assert drawn.keys() == figures.gallery().keys()
    for name, data in drawn.items():
        assert data.startswith(b"GIF" if name == "springs.gif" else b"\x89PNG")
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


def test_verify_decides_the_one_claim_it_is_asked_for(capsys, monkeypatch, tmp_path):
    for each in claims.BY_ID:
        monkeypatch.setitem(claims.BY_ID, each, lambda _: pytest.fail("was not asked for"))
    name = "introduction/springs"
    monkeypatch.setitem(claims.BY_ID, name, section4.springs_in_series)
    assert run("verify", "--claim", name, "--json", tmp_path / "ledger.json") == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "assert" in shown
    assert "Machine-checked: Springs.series_extension, Springs.series_stiffness, " in shown
    plain = json.loads((tmp_path / "ledger.json").read_text(encoding="utf-8"))
    assert [finding["id"] for finding in plain["findings"]] == [name]


def test_verify_decides_a_section(capsys, monkeypatch):
    for each in claims.BY_ID:
        monkeypatch.setitem(claims.BY_ID, each, lambda _: pytest.fail("was not asked for"))
    monkeypatch.setitem(claims.BY_ID, "section-3.1/sft-loss", section3_1.sft_loss)
    monkeypatch.setattr(
        claims.source,
        "SOURCE",
        {"3.1 Preliminaries": (claims.source.Statement("It is.", ("section-3.1/sft-loss",)),)},
    )
    for section in ("3", "3.1", "preliminaries"):
        assert run("verify", "--section", section) == 0
        shown = " ".join(capsys.readouterr().out.split())
        assert "section-3.1/sft-loss fails" in shown
        assert "the arguments are in the wrong order" in shown
    assert run("verify", "--section", "1") == 2
    assert "section = '1': must be one of '3.1 Preliminaries'" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run("verify", "--section", "3", "--claim", "section-3.1/sft-loss")
    assert run("verify", "--section", "3", "--map", "map.md") == 2
    assert "it needs every claim" in capsys.readouterr().err


def test_verify_unknown_claim(capsys, monkeypatch):
    for each in list(claims.BY_ID):
        monkeypatch.setitem(claims.BY_ID, each, lambda _: pytest.fail("decided"))
    assert run("verify", "--claim", "nothing") == 2
    assert set(claims.BY_ID) <= set(capsys.readouterr().err.split())
    assert run("verify", "--claim", "three") == 2
    listed = capsys.readouterr().err.split()
    assert "theorem-4.2/three-datasets" in listed
    assert "theorem-4.2/ratio" not in listed


def test_undecided_is_exit_code_one(monkeypatch, capsys):
    def doubtful(evidence):
        return claims.Finding("doubt", "?", "nowhere", Verdict.UNDECIDED, "", "proof", {}, "assert 2 > 1")

    only(monkeypatch, doubtful)
    assert run("verify") == 1
    assert "undecided" in capsys.readouterr().out


def test_measure_agrees_with_the_library(files, tmp_path, capsys):
    path = tmp_path / "measured.json"
    assert run("measure", *files, "--depth", 8, "--json", path, "--figures", tmp_path / "figures") == 0
    report = json.loads(path.read_text())
    trees = [TokenTree.from_bytes(file.read_bytes(), depth=8) for file in files]
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
    assert ("Theorem 4.2 hold here" if found.holds else "Theorem 4.2 do not hold here") in shown
    assert {path.name for path in (tmp_path / "figures").iterdir()} == {*outputs.MEASURED_PICTURES}
    for path in (tmp_path / "figures").iterdir():
        assert path.read_bytes().startswith(b"\x89PNG")


def measured(capsys, *arguments):
    """What is shown, without its breaks of lines."""
    assert run("measure", *arguments) == 0
    return " ".join(capsys.readouterr().out.split())


def test_measure_says_whether_the_signs_hold_and_why(tmp_path, capsys, monkeypatch):
    """The verdict, in the files' names, fits one screen of 80 columns and 24 lines."""
    monkeypatch.setenv("COLUMNS", "80")
    texts = {"web.txt": b"ab" * 40 + b"c" * 9, "chat.txt": b"cd" * 30, "new.txt": b"ab" * 9}
    web, chat, new = (tmp_path / name for name in texts)
    for name, text in texts.items():
        (tmp_path / name).write_bytes(text)
    shown = measured(capsys, web, chat, new, "--depth", 8)
    assert shown.startswith(
        "The signs of Theorem 4.2 hold here: as new.txt grows, the rate of web.txt falls and the rate of "
        "chat.txt rises (proved)."
    )
    found = elasticity(Mixture.from_trees(*(TokenTree.from_file(file, 8) for file in (web, chat, new))))
    assert f"size of web.txt over that of chat.txt: {found.k:.5g}" in shown
    assert "block 8 bits of a file; one more marks its end " in shown
    assert "negative if the code beats a uniform code on the dataset's own blocks " in shown
    assert "For other sizes of new.txt the signs hold for l from 0.001 to " in shown
    shown = measured(capsys, chat, web, new, "--depth", 8)
    assert (
        "do not hold here: as new.txt grows, the rate of chat.txt rises and the rate of web.txt fal" in shown
    )
    turned = elasticity(Mixture.from_trees(*(TokenTree.from_file(file, 8) for file in (chat, web, new))))
    assert (
        f"The reason is the overlap of new.txt: that with chat.txt is {turned.overlap_pretrain:.4g} and must "
        f"be above 1, and that with web.txt is {turned.overlap_align:.4g} and must be below 1."
    ) in shown
    assert "that with web.txt (pretrain) is 1 and" in measured(capsys, web, web, web, "--depth", 8)
    for depth in ("8", "4,8,12,16"):
        assert run("measure", web, chat, new, "--depth", depth) == 0
        lines = capsys.readouterr().out.splitlines()
        assert max(map(len, lines)) <= 80
        begin = [i for i, line in enumerate(lines) if line.startswith("The signs of Theorem 4.2 ")]
        assert len(lines) - begin[0] <= 24


@pytest.mark.parametrize(
    ("names", "moved", "elsewhere"),
    [
        # More of the pre-training data, more of something foreign, and more of the same.
        ("apa", "the rate of a (pretrain) falls and the rate of p (align) rises", "hold"),
        ("aax", "both rates rise", "fail"),
        ("aaa", "both rates stay as they are", "fail"),
    ],
)
def test_measure_says_once_what_is_so_of_both_rates_or_at_every_size(
    tmp_path, capsys, names, moved, elsewhere
):
    for name, text in {"a": b"ab" * 9, "p": b"pq" * 9, "x": b"x" * 9}.items():
        (tmp_path / name).write_bytes(text)
    shown = measured(capsys, *(tmp_path / name for name in names), "--depth", 8)
    assert f" grows, {moved} (proved)." in shown
    assert f"At every other size tried (l from 0.001 to 10) the signs {elsewhere} too." in shown


def test_measure_at_several_depths_is_measure_at_each(files, tmp_path, capsys):
    path, out = tmp_path / "m.json", tmp_path / "figures"
    assert run("measure", *files, "--depth", "8,4", "--json", path, "--figures", out, "--format", "svg") == 0
    both = json.loads(path.read_text())
    shown = capsys.readouterr().out
    assert {each.name for each in out.iterdir()} == {
        "rates.svg",
        "rate-changes.svg",
        "overlap.svg",
        "depths.svg",
    }
    for depth, found in zip((8, 4), both["depths"], strict=True):
        assert run("measure", *files, "--depth", depth, "--json", path) == 0
        alone = json.loads(path.read_text())
        assert found == {key: alone[key] for key in found}
        assert [found] == alone["depths"]
        assert f"{Mixture.from_trees(*(TokenTree.from_file(f, depth) for f in files)).n_leaves:,}" in shown
    # In full is the last.
    assert both | {"depths": alone["depths"]} == alone
    assert run("measure", *files, "--depth", "4,4") == 2
    assert "--depth names 4 twice" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        run("measure", *files, "--depth", "4,x")
    assert "must be a number, or several as in 4,8,12" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("format", "magic"),
    [
        ("svg", b"<?xml"),
        pytest.param("pdf", b"%PDF", marks=pytest.mark.slow),
        pytest.param("png", b"\x89PNG", marks=pytest.mark.slow),
    ],
)
def test_figures_come_in_three_formats_and_are_the_same_each_time(files, tmp_path, format, magic):
    for out in ("one", "two"):
        assert run("measure", *files, "--depth", 2, "--figures", tmp_path / out, "--format", format) == 0
    for path in (tmp_path / "one").iterdir():
        assert path.suffix == f".{format}"
        assert path.read_bytes().startswith(magic)
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes()


@pytest.mark.slow
def test_fonts_of_pdf_figures_are_of_a_type_that_journals_take(files, tmp_path):
    before = dict(rcParams)
    assert run("measure", *files, "--depth", "2,4", "--figures", tmp_path, "--format", "pdf") == 0
    pictures = list(tmp_path.glob("*.pdf"))
    assert len(pictures) == 4
    for picture in pictures:
        assert b"/Type3" not in picture.read_bytes()
        assert b"/FontFile2" in picture.read_bytes()
    assert dict(rcParams) == before
    # The user's own figures have what Matplotlib gives them.
    with BytesIO() as stream:
        figures.trees().savefig(stream, format="pdf")
        assert b"/Type3" in stream.getvalue()


@pytest.mark.parametrize("held", [(), (0, 1), (2,), (0, 2), (0, 1, 2)])
def test_the_legend_of_rate_changes_has_the_shade_if_there_is_one(held):
    curve = response_curve(Mixture([[1, 2, 3], [3, 2, 1], [1, 1, 4]], [4, 1, 1]), [0.1, 1, 10])
    marked = [replace(each, holds=i in held) for i, each in enumerate(curve.elasticities)]
    [ax] = figures.measured_rate_changes(replace(curve, elasticities=tuple(marked)), 1).axes
    shaded = [path for each in ax.collections for path in each.get_paths() if np.ptp(path.vertices[:, 0])]
    assert bool(shaded) is ({0, 1} <= {*held})
    assert ("the signs hold" in labels(ax)) is bool(shaded)


@pytest.mark.parametrize("holds", [False, None, True])
def test_the_legend_of_depths_has_the_shade_if_there_is_one(holds):
    curve = depth_curve([TokenTree.from_leaves({leaf: 1}, depth=2) for leaf in ("01", "10", "00")])
    first, second = curve.elasticities
    marked = replace(first, holds=holds), replace(second, holds=False)
    _, ax = figures.measured_depths(replace(curve, elasticities=marked), "bits").axes
    shaded = [patch for patch in ax.patches if patch.get_width()]
    assert bool(shaded) is bool(holds)
    assert ("the theorem's signs hold" in labels(ax)) is bool(holds)


def test_the_gallery_comes_in_other_formats_but_for_the_animation(tmp_path, monkeypatch):
    gallery = {"one.png": figures.trees, "springs.gif": figures.trees}
    monkeypatch.setattr(figures, "gallery", lambda seed=0: gallery)
    assert [outputs.in_format(name, "pdf") for name in gallery] == ["one.pdf", "springs.gif"]
    monkeypatch.delitem(gallery, "springs.gif")
    only(monkeypatch, section4.springs_in_series)
    assert run("figures", "--out", tmp_path / "out", "--format", "svg") == 0
    assert run("verify", "--figures", tmp_path / "out", "--format", "pdf") == 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"one.svg", "one.pdf"}


def test_measure_says_what_is_undecided(files, capsys, monkeypatch):
    def undecided(mixture):
        why = "pretrain: undecided at this precision; align: floating-point bound"
        return replace(elasticity(mixture), signs=(None, 1), holds=None, certified=False, certificate=why)

    monkeypatch.setattr(measure, "elasticity", undecided)
    assert run("measure", *files, "--depth", 8) == 1
    shown = " ".join(capsys.readouterr().out.split())
    assert shown.startswith(
        "Whether the signs of Theorem 4.2 hold here is undecided: pretrain: undecided at this precision; "
    )


@linux
def test_a_dash_is_standard_input(files, tmp_path, capsys):
    program = [sys.executable, "-m", "tokentree", "measure", "-", *files[1:], "--depth", "8"]
    with subprocess.Popen(["cat", files[0]], stdout=subprocess.PIPE) as given:
        piped = subprocess.run(
            [*program, "--json", tmp_path / "piped.json"],
            stdin=given.stdout, capture_output=True, text=True, env=os.environ | SOURCES,
        )  # fmt: skip
    assert piped.returncode == 0, piped.stderr
    assert "standard input" in piped.stdout
    assert run("measure", *files, "--depth", 8, "--json", tmp_path / "read.json") == 0
    one, two = (json.loads((tmp_path / name).read_text()) for name in ("piped.json", "read.json"))
    assert one["rates"] == two["rates"]
    assert one["labels"] == ["standard input", "align", "perturb"]
    assert run("measure", "-", files[1], "-", "--depth", 8) == 2
    assert "- is given twice" in capsys.readouterr().err
    assert run("measure", "-", *files[1:], "--depth", "4,8") == 2
    assert "can be read once, so give one --depth" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        (gzip.compress(b"some text"), "compressed (gzip)"),
        (b"PK\x03\x04 and more", "compressed (zip)"),
        (b"\x28\xb5\x2f\xfd and more", "compressed (zstd)"),
        (lzma.compress(b"some text"), "compressed (xz)"),
        (bz2.compress(b"some text"), "compressed (bzip2)"),
        ("some text".encode("utf-16"), "UTF-16"),
        ("some text".encode("utf-16-be"), "UTF-16"),
        ("some tëxt".encode(), None),
    ],
    ids=["gzip", "zip", "zstd", "xz", "bzip2", "utf-16", "utf-16-be", "text"],
)
def test_measure_hints_at_what_is_no_text(files, capsys, data, hint):
    files[1].write_bytes(data)
    shown = measured(capsys, *files, "--depth", 8)
    assert (f"Note: align: {'has a byte order' if hint == 'UTF-16' else hint}" in shown) is (hint is not None)
    assert hint is None or hint in shown
    # Of a directory, how many of its files.
    (files[1].parent / "folder").mkdir()
    for name in "ab":
        (files[1].parent / "folder" / name).write_bytes(data if name == "a" else b"some text")
    shown = measured(capsys, files[1].parent / "folder", files[0], files[2], "--depth", 8)
    assert ("Note: 1 of the 2 files of folder: " in shown) is (hint is not None)


def test_datasets_are_called_by_the_shortest_names_that_differ():
    def called(*paths):
        return inputs.labels([Path(path) for path in paths])

    assert called("a/x.txt", "a/y.txt", "z/") == ["x.txt", "y.txt", "z"]
    assert called("a/x.txt", "b/x.txt", "y.txt") == ["a/x.txt", "b/x.txt", "y.txt"]
    assert called("x", "x", "y") == ["x (pretrain)", "x (align)", "y (perturb)"]
    assert called("x\ny", "\udcff", "n" * 40) == ["x\\ny", "\\udcff", "…" + "n" * 29]
    assert called(".", "..", "/") == [".", "..", "/"]


def test_columns_have_their_points_below_one_another():
    assert screen.aligned([10.5, -0.25, 0.0]) == ["10.5000", "-0.2500", "0.0000"]
    assert screen.aligned([12345.678, 1000], 2) == ["12,346", "1,000"]
    assert screen.aligned([1e-9, -2.5e-12], 3) == ["1.00e-09", "-2.50e-12"]
    assert screen.aligned([0.0, -0.0, float("nan")], sign="+") == ["+0", "+0", "+nan"]


def test_measure_bytes(files, tmp_path):
    path = tmp_path / "measured.json"
    assert run("measure", *files, "--depth", 2, "--alphabet", "bytes", "--json", path) == 0
    trees = [TokenTree.from_bytes(file.read_bytes(), depth=2, alphabet="bytes") for file in files]
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
        (lambda files: [files[0].parent / "nothing", *files[1:]], "directory without non-empty files"),
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


@pytest.mark.parametrize(
    ("texts", "noted"), [(("abcde", "abc", "ab"), False), (("abcdef", "ab", "ab"), True)]
)
def test_a_tree_of_blocks_seen_once_is_pointed_out(tmp_path, capsys, texts, noted):
    """Where there are more different blocks than half of all."""
    for name, text in zip("abc", texts, strict=True):
        (tmp_path / name).write_text(text)
    assert run("measure", *(tmp_path / name for name in "abc"), "--alphabet", "bytes", "--depth", 1) == 0
    assert ("occur only once" in " ".join(capsys.readouterr().out.split())) == noted


def test_folders_of_figures_are_made(files, tmp_path):
    out = tmp_path / "one" / "two"
    assert run("measure", *files, "--depth", 2, "--figures", out) == 0
    assert list(out.glob("*.png"))


def test_depth_must_be_positive(files, capsys):
    assert run("measure", *files, "--depth", 0) == 2
    assert "--depth 0: must be at least 1" in capsys.readouterr().err


def refused(capsys, *arguments):
    """What the parser says, without its breaks of lines."""
    with pytest.raises(SystemExit) as stop:
        run(*arguments)
    assert stop.value.code == 2
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("first", [True, False])
def test_depths_with_spaces_are_told_of_commas(files, capsys, first):
    """Before the files too, where the second depth is taken for a file."""
    depths = ["--depth", 8, 16, 24]
    said = refused(capsys, "measure", *(depths + files if first else files + depths))
    assert said.startswith("usage: tokentree measure ")
    left = " ".join(map(str, files[1:] if first else depths[2:]))
    assert said.endswith(
        f"error: unrecognized arguments: {left}; several depths are written with commas: --depth 8,16,24"
    )


def test_other_arguments_left_over_are_not_taken_for_depths(files, capsys):
    said = refused(capsys, "measure", *files, "fourth", "--depth", 8)
    assert said.endswith("error: unrecognized arguments: fourth")


def test_a_missing_depth_is_shown_by_example(files, capsys):
    shown = "(for instance --depth 16, or 4,8,12,16)"
    assert refused(capsys, "measure", *files).endswith(f"are required: --depth {shown}")
    assert refused(capsys, "measure", *files, "--depth").endswith(f"expected one argument {shown}")
    assert refused(capsys, "measure", "--depth", 8).endswith("are required: PRETRAIN, ALIGN, PERTURB")
    assert refused(capsys, "figures").endswith("are required: --out")
    assert refused(capsys, "verify", "--depth").endswith("unrecognized arguments: --depth")


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
    monkeypatch.setattr(claims, "verify", lambda *_, **__: pytest.fail("the work was done first"))
    (tmp_path / "file").write_text("")
    for option, path, message in (
        ("--json", tmp_path, "must be a file in a directory that exists"),
        ("--markdown", tmp_path / "nowhere" / "page.md", "must be a file in a directory that exists"),
        ("--figures", tmp_path / "file", "is a file, must be a directory"),
    ):
        assert run("verify", option, path) == 2
        assert message in capsys.readouterr().err


@pytest.mark.parametrize("suffix", ["pdf", "png", "svg", "PDF"])
@pytest.mark.parametrize("command", ["measure", "figures"])
def test_a_directory_of_figures_named_like_a_figure_is_refused(
    files, tmp_path, capsys, monkeypatch, unread, command, suffix
):
    monkeypatch.setattr(figures, "draw", lambda *_: pytest.fail("the work was done first"))
    given, option = {"measure": ([*files, "--depth", 8], "--figures"), "figures": ([], "--out")}[command]
    out = tmp_path / "out"
    assert run(command, *given, option, f"{out}.{suffix}") == 2
    assert capsys.readouterr().err == (
        f"tokentree {command}: {option} {out}.{suffix}: must be a directory; for {suffix.upper()} files "
        f"write {option} {out} --format {suffix.lower()}\n"
    )
    assert not (tmp_path / f"out.{suffix}").exists()


def test_a_directory_that_exists_may_be_named_like_a_figure(files, tmp_path):
    (tmp_path / "out.pdf").mkdir()
    assert run("measure", *files, "--depth", 2, "--figures", tmp_path / "out.pdf") == 0
    assert list((tmp_path / "out.pdf").glob("*.png"))


@pytest.mark.parametrize(
    ("command", "option"),
    [
        ("", "--vers"),
        ("measure", "--figure"),
        ("runs", "--figure"),
        ("verify", "--mark"),
        ("explore", "--ou"),
    ],
)
def test_no_option_is_abbreviated(files, capsys, command, option):
    """Every parser refuses a beginning of one of its options, which would be taken for it by default."""
    given = {"measure": [*files, "--depth", 8], "runs": files[:2], "explore": ["--out", "page.html"]}
    with pytest.raises(SystemExit) as stop:
        run(*[command] * bool(command), *given.get(command, []), option, files[0].parent / "out.pdf")
    assert stop.value.code == 2
    assert option in capsys.readouterr().err
    assert not (files[0].parent / "out.pdf").exists()


@linux
@pytest.mark.parametrize(
    ("command", "option"),
    [("verify", "--json"), ("verify", "--markdown"), ("verify", "--figures"), ("figures", "--out")],
)
def test_a_file_that_the_system_refuses_is_refused_before_the_work(capsys, monkeypatch, command, option):
    monkeypatch.setattr(claims, "verify", lambda *_: pytest.fail("the work was done first"))
    monkeypatch.setattr(figures, "draw", lambda *_: pytest.fail("the work was done first"))
    assert run(command, option, "/proc/target") == 2
    assert f"{option} /proc/target: cannot be written: No such file" in capsys.readouterr().err


def test_a_read_only_file_stays(tmp_path, capsys, monkeypatch):
    (tmp_path / "old").write_text("old")
    # Root may write everything.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert run("verify", "--json", tmp_path / "old") == 2
    assert "cannot be written: Permission denied" in capsys.readouterr().err


@pytest.fixture
def unread(monkeypatch):
    """No work may be done."""
    monkeypatch.setattr(TokenTree, "from_file", lambda *_, **__: pytest.fail("the work was done first"))


def test_no_picture_goes_over_the_data(files, tmp_path, capsys, unread):
    data = tmp_path / "rate-changes.png"
    data.write_bytes(files[1].read_bytes())
    assert run("measure", files[0], data, files[2], "--depth", 8, "--figures", tmp_path) == 2
    assert f"{data} would overwrite" in capsys.readouterr().err
    assert data.read_bytes() == files[1].read_bytes()


@pytest.mark.parametrize("link", [os.link, os.symlink])
def test_no_output_goes_over_the_data_by_another_name(files, tmp_path, capsys, unread, link):
    other = tmp_path / "other"
    link(files[1], other)
    for option, path in (("--json", other), ("--json", tmp_path / "." / "align")):
        assert run("measure", *files, "--depth", 8, option, path) == 2
        assert "the data to be measured" in capsys.readouterr().err
    # Nor among it.
    (tmp_path / "folder").mkdir()
    files[0].rename(tmp_path / "folder" / "pretrain")
    (tmp_path / "link").symlink_to(tmp_path / "folder")
    for given, target in (("folder", "link"), ("link", "folder")):
        out = tmp_path / target / "new"
        assert run("measure", tmp_path / given, *files[1:], "--depth", 8, "--figures", out) == 2
        assert "among, the data to be measured" in capsys.readouterr().err


def test_two_outputs_are_two_files(files, tmp_path, capsys, unread, monkeypatch):
    monkeypatch.setattr(claims, "verify", lambda *_: pytest.fail("the work was done first"))
    (tmp_path / "one").write_text("")
    os.link(tmp_path / "one", tmp_path / "two")
    (tmp_path / "three").symlink_to(tmp_path / "new")
    for one, two in (("new", "new"), ("one", "two"), ("three", "new")):
        assert run("verify", "--json", tmp_path / one, "--markdown", tmp_path / two) == 2
        assert "is the same file as that of --json" in capsys.readouterr().err
    picture = tmp_path / "rate-changes.png"
    assert run("measure", *files, "--depth", 8, "--json", picture, "--figures", tmp_path) == 2
    assert f"--figures {tmp_path}: {picture} is the same file as that of --json" in capsys.readouterr().err
    with open(tmp_path / "one", "w") as stream, redirect_stdout(stream):
        assert run("verify", "--json", tmp_path / "two") == 2
    assert "is the same file as that of standard output" in capsys.readouterr().err
    with open(files[0], "a") as stream, redirect_stdout(stream):
        assert run("measure", *files, "--depth", 8) == 2
    assert "standard output: would overwrite the data" in capsys.readouterr().err


@linux
def test_a_pipe_gets_its_bytes(files):
    reader, writer = os.pipe()
    with os.fdopen(reader) as pipe:
        assert run("measure", *files, "--depth", 8, "--json", f"/dev/fd/{writer}") == 0
        os.close(writer)
        assert json.load(pipe)["depth"] == 8


@linux
def test_a_named_pipe_is_written_to_and_stays_one(files, tmp_path):
    pipe, found = tmp_path / "pipe", []
    os.mkfifo(pipe)
    reader = threading.Thread(target=lambda: found.append(pipe.read_bytes()), daemon=True)
    reader.start()
    assert run("measure", *files, "--depth", 8, "--json", pipe) == 0
    assert pipe.is_fifo()
    reader.join()
    assert json.loads(found[0])["depth"] == 8


def test_an_output_that_is_a_link_stays_one_and_keeps_its_permissions(files, tmp_path):
    (tmp_path / "old").write_text("old")
    (tmp_path / "old").chmod(0o640)
    (tmp_path / "link").symlink_to(tmp_path / "old")
    assert run("measure", *files, "--depth", 8, "--json", tmp_path / "link") == 0
    assert (tmp_path / "link").is_symlink()
    assert json.loads((tmp_path / "old").read_text())["depth"] == 8
    assert (tmp_path / "old").stat().st_mode & 0o777 == 0o640


def test_no_file_is_written_unless_all_are(files, tmp_path, monkeypatch):
    (tmp_path / "old").write_text("old")

    def fail(*_):
        raise OSError("no ink")

    monkeypatch.setattr(figures, "draw", fail)
    out = tmp_path / "out"
    assert run("measure", *files, "--depth", 8, "--json", tmp_path / "old", "--figures", out) == 2
    assert (tmp_path / "old").read_text() == "old"
    assert not out.exists()


@linux
@pytest.mark.parametrize(("full", "code"), [(False, 141), (True, 2)])
def test_files_are_written_though_nobody_reads_the_screen(files, tmp_path, capsys, monkeypatch, full, code):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as pipe, open("/dev/full", "w") as device:
        monkeypatch.setattr(sys, "stdout", device if full else pipe)
        assert run("measure", *files, "--depth", 8, "--json", tmp_path / "found.json") == code
    assert json.loads((tmp_path / "found.json").read_text())["depth"] == 8
    said = capsys.readouterr().err
    assert said == ("tokentree measure: [Errno 28] No space left on device\n" if full else "")


@pytest.mark.parametrize("closed", ["stdout", "stderr"])
def test_a_closed_stream_takes_nothing_away(files, tmp_path, capsys, monkeypatch, closed):
    with monkeypatch.context() as patch:
        patch.setattr(sys, closed, None)
        assert run("measure", *files, "--depth", 8, "--json", tmp_path / "found.json") == 0
        assert run("measure", *files, "--depth", 0) == 2
        assert getattr(sys, closed) is None
    assert json.loads((tmp_path / "found.json").read_text())["depth"] == 8
    shown, said = capsys.readouterr()
    assert ("Theorem 4.2" in shown) is (closed == "stderr")
    assert ("--depth 0" in said) is (closed == "stdout")


@pytest.mark.skipif(os.name != "posix", reason="asks a shell")
def test_the_process_with_all_streams_closed(files, tmp_path):
    program = f"'{sys.executable}' -m tokentree measure pretrain align perturb --depth 8 --json f.json"
    done = subprocess.run(["sh", "-c", f"{program} <&- >&- 2>&-"], cwd=tmp_path, env=os.environ | SOURCES)
    assert done.returncode == 0
    assert json.loads((tmp_path / "f.json").read_text())["depth"] == 8


@pytest.mark.parametrize(
    "work",
    [appendix.text_masses, lambda: section3.assumption_3_2(claims.Evidence()), figures.trees],
    ids=["masses", "assumption 3.2", "figure"],
)
def test_an_interrupted_read_ends_what_it_was_for(monkeypatch, work):
    def stop(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(evidence, "python_text", lambda: {"topics": (Path(__file__),)})
    monkeypatch.setattr(appendix, "python_text", evidence.python_text)
    # Even where a person has begun it, who would get half a tree from a read of their own.
    monkeypatch.setattr(sys, "ps1", ">>> ", raising=False)
    monkeypatch.setattr(NGramModel, "__call__", stop)
    with pytest.raises(KeyboardInterrupt):
        work()


def test_interrupted(monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(claims, "verify", stop)
    assert run("verify") == 130


def test_too_deep_is_noted(files, capsys):
    assert run("measure", *files, "--depth", 400) == 0
    assert "most blocks occur only once" in capsys.readouterr().out


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
    monkeypatch.setattr(claims, "verify", lambda *_, **__: ledger)
    for columns in (80, 40):
        monkeypatch.setenv("COLUMNS", str(columns))
        assert run("verify") == 0
        shown = capsys.readouterr().out
        assert "theorem-4.2/three-datasets-condition " in shown
        assert shown.split().count("some") == 8
        assert max(map(len, shown.splitlines())) <= columns


def test_narrow_terminals_show_every_digit(files, capsys, monkeypatch):
    shown = {}
    for columns in ("200", "60", "50", "30", "0"):
        monkeypatch.setenv("COLUMNS", columns)
        assert run("measure", *files, "--depth", "8,12", "--full") == 0
        shown[columns] = capsys.readouterr().out
    for columns in ("60", "50", "30"):
        assert max(map(len, shown[columns].splitlines())) <= int(columns)
        assert {word for word in shown["200"].split() if word.strip("─")} <= {*shown[columns].split()}
    assert shown["0"].split() == shown["200"].split()


def test_a_finding_shows_every_digit_on_a_narrow_terminal(capsys, monkeypatch):
    numbers = {f"a figure with a long name, at x = {i / 7}": i * 1.234567e-5 for i in range(1, 9)}

    def found(evidence):
        return claims.Finding("one", "?", "nowhere", Verdict.HOLDS, "", "proof", numbers, "assert 2 > 1")

    only(monkeypatch, found)
    words = {}
    for columns in ("200", "50", "30"):
        monkeypatch.setenv("COLUMNS", columns)
        assert run("verify", "--claim", "found") == 0
        words[columns] = sorted(capsys.readouterr().out.replace(":", " ").split())
    assert words["200"] == words["50"] == words["30"]


def test_the_lines_of_a_witness_are_kept_whole(capsys, monkeypatch):
    witness = f"x = [{', '.join(map(str, range(60)))}]\nassert x[7] == 7\n"

    def found(evidence):
        return claims.Finding("one", "?", "nowhere", Verdict.HOLDS, "", "proof", {}, witness)

    only(monkeypatch, found)
    monkeypatch.setenv("COLUMNS", "40")
    assert run("verify", "--claim", "found") == 0
    assert witness in capsys.readouterr().out


@pytest.mark.parametrize("terminal", [False, True])
@pytest.mark.parametrize("option", [[], ["--no-progress"]])
def test_a_bar_is_shown_on_a_terminal_that_wants_one(terminal, option, monkeypatch):
    asked = []
    ledger = claims.Ledger((), 0)
    monkeypatch.setattr(claims, "verify", lambda seed, progress, _: asked.append(progress) or ledger)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: terminal)
    run("verify", *option)
    assert asked == [terminal and not option]
