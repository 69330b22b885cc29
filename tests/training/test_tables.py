"""Training runs from CSV files and data frames."""

import csv
import math

import numpy as np
import pytest
from hypothesis import given, strategies as st

from tokentree.training import TrainingRuns

NAN = math.nan

# As RegMix publishes its runs: one more dataset than losses, one more run than losses.
MIXTURES = """index,train_pile_arxiv,train_pile_pile_cc,train_pile_pubmed,train_pile_pubmed_central
1,0.5,0.25,0.25,0
2,0.125,0.125,0.5,0.25
3,0,1.0,0.0,0
"""
LOSSES = """index,metric/pile_pubmed_central_val_loss,metric/pile_pile_cc_val_loss,metric/pile_arxiv_val_loss
2,2.5,3.25,1.5
1,,3.5,1.25
"""

# As Olmix does: a column of pandas's own, three that say which run it is, and tasks alone.
RATIOS = """,run,name,index,politics,s2pdfv1:games,software_development
0,19g3,swarm-0,0,0.5,0.25,0.25
1,d4nb,swarm-1,1,0.0,0.5,0.5
"""
METRICS = """,run,name,index,arc_easy:rc::olmes,mmlu_government_and_politics:rc::olmes,lambada
0,d4nb,swarm-1,1,1.5,1.25,0.5
1,19g3,swarm-0,0,1.75,1.0,0.25
"""

# As SlimPajama's runs come: all in one file.
ONE = """weight_arxiv,weight_c4,model_size,n_tokens,arxiv_loss,c4_loss,openhermes_loss
0.25,0.75,1e6,100,2.5,3.0,2.0
0.75,0.25,1e6,200,2.25,,2.25
"""


@pytest.fixture
def read(tmp_path):
    def read(*texts, **asked):
        paths = tmp_path / "sizes.csv", tmp_path / "rates.csv"
        for path, text in zip(paths, texts, strict=True):
            path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return TrainingRuns.from_csv(*paths, **asked)

    return read


@pytest.fixture
def read_one(tmp_path):
    def read_one(text, **asked):
        path = tmp_path / "runs.csv"
        path.write_text(text)
        return TrainingRuns.from_csv(path, str(path), **asked)

    return read_one


def test_regmix(read):
    runs = read(MIXTURES, LOSSES)
    assert runs.names == ("arxiv", "pile_cc", "pubmed", "pubmed_central")
    assert runs.tasks == ()
    assert runs.sizes.tolist() == [[0.5, 0.25, 0.25, 0], [0.125, 0.125, 0.5, 0.25]]
    assert np.array_equal(runs.rates, [[1.25, 3.5, NAN, NAN], [1.5, 3.25, NAN, 2.5]], equal_nan=True)
    assert runs.labels == ("1", "2")
    assert runs.matches == {
        "arxiv": "metric/pile_arxiv_val_loss",
        "pile_cc": "metric/pile_pile_cc_val_loss",
        "pubmed_central": "metric/pile_pubmed_central_val_loss",
    }
    assert runs.left_out == {"sizes.csv": ("3",), "rates.csv": ()}
    assert runs.unused == ()
    assert repr(runs) == (
        "TrainingRuns(2 runs, 4 datasets (arxiv, pile_cc, pubmed, pubmed_central), 3 losses; "
        "no loss of pubmed; left out: 1 of sizes.csv)"
    )
    page = runs._repr_html_()
    for header in runs.matches.values():
        assert header in page
    assert "left out" in page
    assert runs.subset([0]).matches == runs.matches
    assert runs.subset([0]).left_out == runs.left_out


def test_olmix(read):
    runs = read(RATIOS, METRICS)
    assert runs.names == ("politics", "s2pdfv1:games", "software_development")
    # A benchmark in politics is not the loss of a dataset of that name.
    assert runs.tasks == ("arc_easy:rc::olmes", "mmlu_government_and_politics:rc::olmes", "lambada")
    assert runs.labels == ("19g3", "d4nb")
    assert runs.rates[:, 3:].tolist() == [[1.75, 1.0, 0.25], [1.5, 1.25, 0.5]]
    assert np.isnan(runs.rates[:, :3]).all()
    assert runs.unused == ("name", "index")
    by_id = [text.replace(",run,", ",run_id,") for text in (RATIOS, METRICS)]
    assert read(*by_id) == runs
    plain = read("run,web,arc\na,1,2\nb,2,1\n", "run,arc_bpb,quiz_bpb,mmlu_web_stem_bpb\na,1,2,3\nb,4,5,6\n")
    assert plain.matches == {"arc": "arc_bpb", "quiz": "quiz_bpb", "mmlu_web_stem": "mmlu_web_stem_bpb"}
    assert plain.measured.tolist() == [False, True, True, True]
    # By hand, and by a column's name.
    forced = read(RATIOS, METRICS, losses={"politics": "mmlu_government_and_politics:rc::olmes"}, run="name")
    assert forced.rates[:, 0].tolist() == [1.0, 1.25]
    assert forced.labels == ("swarm-0", "swarm-1")
    assert "run" in forced.unused


def test_one_file(read_one):
    asked = {"parameters": "model_size", "tokens": "n_tokens"}
    runs = read_one(ONE, sizes="weight_*", rates="*_loss", **asked)
    assert (runs.names, runs.tasks, runs.labels) == (("arxiv", "c4"), ("openhermes",), None)
    assert np.array_equal(runs.rates, [[2.5, 3.0, 2.0], [2.25, NAN, 2.25]], equal_nan=True)
    assert (runs.parameters.tolist(), runs.tokens.tolist()) == ([1e6, 1e6], [100, 200])
    assert (runs.left_out, runs.unused) == ({}, ())
    assert read_one(ONE, sizes="weight_*", **asked) == runs
    assert read_one(ONE, rates=["arxiv_loss", "c4*", "open*"], **asked) == runs
    assert read_one(ONE, sizes="weight_*", rates="*_loss").unused == ("model_size", "n_tokens")
    some = read_one(ONE, sizes={"papers": "weight_arxiv", "web": "weight_c4"}, rates={"web": "c4_loss"})
    assert (some.names, some.tasks, some.matches) == (("papers", "web"), (), {"web": "c4_loss"})
    named = read_one("run,a,b,a_loss\nx,1,1,2\nx,2,1,3\n", sizes=["a", "b"])
    assert named.labels == ("x", "x")
    with pytest.raises(
        ValueError, match=r"^sizes and losses are one file, runs.csv: say which columns are which with sizes="
    ):
        read_one(ONE)
    with pytest.raises(ValueError, match=r"sizes and rates both have column 'c4_loss'"):
        read_one(ONE, sizes="*", rates="c4_loss")
    with pytest.raises(ValueError, match=r"rates: no column of runs.csv is left"):
        read_one("a,b\n1,2\n", sizes="*")
    with pytest.raises(ValueError, match=r"run = 'id': no such column in runs.csv; it has 'weight_arxiv'"):
        read_one(ONE, sizes="weight_*", rates="*_loss", run="id")


@pytest.mark.parametrize(
    "change",
    [
        lambda text: b"\xef\xbb\xbf" + text.encode(),
        lambda text: text.replace(",", ";"),
        lambda text: text.replace(",", ";").replace(".", ","),
        lambda text: text.replace(",", "\t"),
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("index", '"index"').replace("train_pile_arxiv", '"train_pile_arxiv"'),
        lambda text: text.replace(",", " , "),
        lambda text: text.replace("\n", ",\n"),
        lambda text: text.replace("\n", "\n\n") + ",,,\n",
        lambda text: text.replace("index", ""),
        lambda text: text.replace("index", "run"),
        lambda text: text.rstrip("\n"),
        lambda text: text.replace(",,", ",NA,"),
        lambda text: text.replace(",,", ",nan,"),
    ],
)
def test_ways_to_write_a_table(read, change):
    # A third run keeps what is joined apart from what is left out.
    assert read(change(MIXTURES), change(LOSSES)) == read(MIXTURES, LOSSES)


def test_files_of_one_name(tmp_path):
    paths = []
    for folder, text in (("one", MIXTURES), ("two", LOSSES)):
        (tmp_path / folder).mkdir()
        paths.append(tmp_path / folder / "runs.csv")
        paths[-1].write_text(text)
    runs = TrainingRuns.from_csv(*paths)
    assert runs.left_out == {str(paths[0]): ("3",), str(paths[1]): ()}
    with pytest.raises(FileNotFoundError):
        TrainingRuns.from_csv(paths[0], tmp_path / "none.csv")


def test_left_out_rows_may_hold_anything(read):
    runs = read(MIXTURES + "total,x,y,z,\n", LOSSES + "mean,a,b,c\nbest,,,\n")
    assert runs.n_runs == 2
    assert runs.left_out == {"sizes.csv": ("3", "total"), "rates.csv": ("mean", "best")}
    assert repr(runs).endswith("left out: 2 of sizes.csv, 2 of rates.csv)")


def test_model_sizes_stand_in_either_file(read):
    runs = read(
        "run,n,a,b\nx,10,1,1\ny,20,1,2\n",
        "run,d,a_loss,b_loss\ny,2,1,1\nx,1,2,2\n",
        parameters="n",
        tokens="d",
    )
    assert runs.names == ("a", "b")
    assert (runs.parameters.tolist(), runs.tokens.tolist()) == ([10, 20], [1, 2])


def mixtures(row):
    """The mixtures, with another second row."""
    return MIXTURES.replace("2,0.125,0.125,0.5,0.25", row)


@pytest.mark.parametrize(
    ("sizes", "rates", "message"),
    [
        ("", LOSSES, "sizes.csv is empty"),
        ("\n\n", LOSSES, "sizes.csv is empty"),
        ("index,a\n", LOSSES, "sizes.csv has only headers: must have one row per run"),
        (MIXTURES, LOSSES + "4,1\n", "rates.csv, line 4 has 2 cells: must have 4, one under each header"),
        (MIXTURES.encode() + b"\xff", LOSSES, r"sizes.csv is not UTF-8 at byte \d+: save it as CSV in UTF-8"),
        ("index,a\n1," + "1" * 200000, LOSSES, "sizes.csv is not a CSV file: field larger"),
        ("index,a,a\n1,1,1\n", LOSSES, "sizes.csv: columns 2 and 3 are both 'a'; headers must differ"),
        (
            MIXTURES + "2,1,1,1,1\n",
            LOSSES,
            "sizes.csv, line 5, column 'index' = '2': already the run of sizes.csv, line 3, column 'index'",
        ),
        (MIXTURES, LOSSES + "1,1,1,1\n", "rates.csv, line 4.* = '1': already the run of rates.csv, line 3"),
        (
            MIXTURES,
            LOSSES.replace("index", "id"),
            "begins with column 'index', rates.csv with 'id': name the",
        ),
        (MIXTURES, "index,arxiv_loss\n7,1\n", "column 'index': no run of sizes.csv is in rates.csv"),
        (
            mixtures("2,,1,1,1"),
            LOSSES,
            "sizes.csv, line 3, column 'train_pile_arxiv' is missing: a size",
        ),
        (
            mixtures("2,-1,1,1,1"),
            LOSSES,
            "line 3, column 'train_pile_arxiv' is -1: a size must be",
        ),
        (mixtures("2,many,1,1,1"), LOSSES, "line 3, column 'train_pile_arxiv' = 'many': must be a number"),
        (mixtures("2,0,0,0,0"), LOSSES, "sizes.csv, line 3 has only sizes of zero: every run needs"),
        (MIXTURES, LOSSES.replace("1.25", "inf"), "rates.csv, line 3, .* is inf: must be finite, or empty"),
        ("i,x-b,x_b,x_c\n1,1,1,1\n", "i,l\n1,1\n", "columns 'x-b' and 'x_b' would both be dataset 'b': name"),
        (
            "i,web,code\n1,1,1\n",
            "i,web_loss,web_val_loss,code_loss\n1,1,1,1\n",
            "columns 'web_loss' and 'web_val_loss' match dataset 'web' equally well: name its loss",
        ),
        (
            "i,a,b,c\n1,1,1,1\n",
            "i,a_b,c_b,a_c\n1,1,1,1\n",
            "column 'a_b' matches datasets 'a' and 'b' equally well: name its loss with losses=",
        ),
    ],
)
def test_errors_say_where(read, sizes, rates, message):
    with pytest.raises(ValueError, match=message):
        read(sizes, rates)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"run": "id"}, "run = 'id': no such column in sizes.csv; it has 'index', 'train"),
        ({"rates": "*bpb"}, r"rates = '\*bpb': no such column in rates.csv; it has 'index'"),
        ({"rates": []}, "rates: no column of rates.csv is left; it has 'index'"),
        ({"sizes": {"a": "x"}}, "sizes = 'x': no such column in sizes.csv"),
        ({"tokens": "n"}, "tokens = 'n': no such column in rates.csv"),
        ({"losses": {"web": None}}, "losses has 'web': must name a dataset, 'arxiv', 'pile_cc'"),
        ({"losses": {"arxiv": "x"}}, r"losses\['arxiv'\] = 'x': must be a column of losses, 'metric"),
        (
            {"losses": dict.fromkeys(["arxiv", "pile_cc"], "metric/pile_arxiv_val_loss")},
            "losses gives 'metric/pile_arxiv_val_loss' to both 'arxiv' and 'pile_cc': must be different",
        ),
        (
            {"rates": dict.fromkeys("xy", "metric/pile_arxiv_val_loss")},
            "rates has column 'metric/pile_arxiv_val_loss' as 'x' and 'y': must be different columns",
        ),
    ],
)
def test_errors_say_what_is_allowed(read, asked, message):
    with pytest.raises(ValueError, match=message):
        read(MIXTURES, LOSSES, **asked)


@pytest.mark.parametrize(
    ("datasets", "losses", "matches", "tasks"),
    [
        # What stands around a dataset's words stands around another's, or around all.
        ("web code", "val/web/ce val/code/ce quiz", {"web": "val/web/ce", "code": "val/code/ce"}, ["quiz"]),
        ("web code", "web quiz", {"web": "web"}, ["quiz"]),
        ("web code", "bpb_web_x bpb_quiz_x", {"web": "bpb_web_x"}, ["quiz"]),
        # Words of the sizes' own and words for a loss say nothing.
        ("mix_en_web mix_en_code", "eval/mix_en_web_loss quiz", {"web": "eval/mix_en_web_loss"}, ["quiz"]),
        ("web code", "web_val_loss", {"web": "web_val_loss"}, []),
        # The dataset with most words; another order, a part of a word or another case is another name.
        ("cc pile_cc", "pile_cc_loss cc_loss", {"cc": "cc_loss", "pile_cc": "pile_cc_loss"}, []),
        ("cc pile_cc", "the_pile_cc_loss", {}, ["the_pile_cc_loss"]),
        (
            "pubmed central",
            "pubmed_central_ce pubmed_ce x_ce",
            {"pubmed": "pubmed_ce"},
            ["pubmed_central", "x"],
        ),
        ("pile_cc", "cc_pile", {}, ["cc_pile"]),
        ("book web", "books_loss Web_loss", {}, ["books", "Web"]),
        # Names that would be the same stay whole.
        ("web", "a_web a-web b", {}, ["a_web", "a-web", "b"]),
    ],
)
def test_what_headers_share(datasets, losses, matches, tasks):
    datasets, losses = datasets.split(), losses.split()
    table = {f"w_{name}": [1] for name in datasets} | {name: [1.5] for name in losses}
    sizes = {name: f"w_{name}" for name in datasets}
    if len(datasets) > 1:
        sizes = "w_*"
    runs = TrainingRuns.from_frame(table, sizes=sizes, rates=losses)
    assert {name: runs.matches[name] for name in runs.names if name in runs.matches} == matches
    assert list(runs.tasks) == tasks


def test_losses_by_hand():
    table = {"web": [1], "code": [1], "web_loss": [1], "web_val_loss": [2], "x": [3]}
    asked = {"sizes": ["web", "code"], "rates": ["web_loss", "web_val_loss", "x"]}
    runs = TrainingRuns.from_frame(table, **asked, losses={"web": "web_val_loss", "code": "x"})
    assert runs.rates.tolist() == [[2, 3, 1]]
    assert runs.tasks == ("web_loss",)
    none = TrainingRuns.from_frame(table, **asked, losses={"web": None})
    assert none.tasks == ("web_loss", "web_val_loss", "x")
    assert np.isnan(none.rates[0, :2]).all()
    # New names of losses are those of datasets, or of tasks.
    named = TrainingRuns.from_frame(table, sizes=["web", "code"], rates={"code": "x", "quiz": "web_loss"})
    assert named.matches == {"code": "x", "quiz": "web_loss"}
    with pytest.raises(ValueError, match="column 'web_loss' would be called 'web', as another is: name"):
        TrainingRuns.from_frame(
            table, sizes=["web", "code"], rates={"web": "web_loss", "y": "x"}, losses={"web": "x"}
        )
    with pytest.raises(ValueError, match=r"sizes has column 'web' as 'a' and 'b': must be different columns"):
        TrainingRuns.from_frame(table, sizes={"a": "web", "b": "web"}, rates=["x"])


def test_cells_of_columns():
    table = {
        "a": np.array([1, 2, 3]),
        "b": [1, 0.5, "0.25"],
        "a_loss": np.array([None, 1, "2"], object),
        "b_loss": (NAN, "n/a", -1),
        "who": ["x", " y", 3],
    }
    runs = TrainingRuns.from_frame(table, sizes=["a", "b"], rates="*_loss", run="who")
    assert runs.sizes.tolist() == [[1, 1], [2, 0.5], [3, 0.25]]
    assert np.array_equal(runs.rates, [[NAN, NAN], [1, NAN], [2, -1]], equal_nan=True)
    assert runs.labels == ("x", "y", "3")
    for changed, message in (
        ({"a": [1, True, 1]}, r"frame\['a'\]\[1\] = True: must be a number$"),
        ({"a": [1, 1]}, r"frame has 2 rows in 'a' and 3 in 'b': columns must be of equal length"),
        ({"a": 1}, "frame: must be a data frame or a mapping of columns, with at least one row"),
        ({"a": np.ones((3, 1))}, "frame: must be a data frame"),
        ({"a": [1, None, 1]}, r"frame\['a'\]\[1\] is missing: a size must be finite and >= 0"),
        ({"a": [0, 1, 1], "b": [0, 1, 1]}, r"frame\[0\] has only sizes of zero"),
        ({"a": [1, 1, math.inf]}, r"frame\['a'\]\[2\] is inf"),
        ({"a": np.array([1.0, -2.0, 1.0])}, r"frame\['a'\]\[1\] is -2"),
    ):
        with pytest.raises(ValueError, match=message):
            TrainingRuns.from_frame(table | changed, sizes=["a", "b"], rates="*_loss")
    for empty in ({}, {"a": []}):
        with pytest.raises(ValueError, match="frame: must be a data frame or a mapping of columns"):
            TrainingRuns.from_frame(empty, sizes="a", rates="b")
    with pytest.raises(ValueError, match=r"parameters\[0\] = nan: must be finite and > 0"):
        TrainingRuns.from_frame(table, sizes=["a", "b"], rates=["b_loss"], parameters="a_loss")


def test_data_frames():
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {
            "a": pandas.array([1, 2], "Int64"),
            "b": [0.5, 0.25],
            "a_loss": pandas.array([1, None], "Float64"),
            "b_loss": pandas.Series([2, None], dtype=object),
            0: ["x", "y"],
        }
    )
    runs = TrainingRuns.from_frame(frame, sizes=frame.columns[:2], rates="*_loss", run="0")
    assert runs.sizes.tolist() == [[1, 0.5], [2, 0.25]]
    assert np.array_equal(runs.rates, [[1, 2], [NAN, NAN]], equal_nan=True)
    assert runs.labels == ("x", "y")
    twice = pandas.concat([frame, frame], axis=1)
    with pytest.raises(ValueError, match="frame: columns 1 and 6 are both 'a'; headers must differ"):
        TrainingRuns.from_frame(twice, sizes="a", rates="b")


WORD = st.text("abcxyz0é", min_size=1, max_size=3).filter(lambda word: word not in ("x", "y"))


@given(
    st.lists(st.lists(WORD, min_size=1, max_size=3).map("_".join), min_size=2, max_size=5, unique=True),
    st.sampled_from(["", "train/", "w_xx_"]),
    st.sampled_from([("x-", "-y"), ("", ".loss"), ("val/x_", ""), ("", "")]),
    st.sampled_from([",", ";", "\t"]),
    st.randoms(use_true_random=False),
    st.data(),
)
def test_losses_find_their_datasets(tmp_path_factory, names, front, around, mark, random, data):
    """Whatever datasets are called, in whatever order rows and columns stand."""
    measured = data.draw(st.lists(st.sampled_from(names), min_size=2, unique=True))
    number = st.floats(-1e6, 1e6)
    losses = {name: data.draw(st.lists(number, min_size=3, max_size=3)) for name in measured}
    folder = tmp_path_factory.mktemp("runs")
    order = random.sample(range(3), 3)
    with (folder / "sizes.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, delimiter=mark)
        rows.writerow(["id", *(front + name for name in names)])
        rows.writerows([f"run {a}", *(a + 1 + j for j in range(len(names)))] for a in range(3))
    with (folder / "rates.csv").open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, delimiter=mark)
        rows.writerow(["id", *(around[0] + name + around[1] for name in measured)])
        rows.writerows([f"run {a}", *(losses[name][a] for name in measured)] for a in order)
    runs = TrainingRuns.from_csv(folder / "sizes.csv", folder / "rates.csv")
    assert runs.labels == ("run 0", "run 1", "run 2")
    assert runs.sizes.tolist() == [[a + 1 + j for j in range(len(names))] for a in range(3)]
    for j, name in enumerate(names):
        if name in losses:
            assert runs.rates[:, j].tolist() == losses[name]
        else:
            assert np.isnan(runs.rates[:, j]).all()
    assert runs.tasks == ()
