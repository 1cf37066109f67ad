"""The commands for memories: their results from files, and errors that name bad files."""

import json

import numpy as np
import pytest

from hopfax.apps.cli import run
from hopfax.apps.cli.arrays import read_table
from hopfax.memory import phase

ROWS = 2.0 * np.eye(5)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("patterns.npy", ROWS)
    np.savetxt("patterns.csv", ROWS, delimiter=",")
    np.save("queries.npy", ROWS[:2] + 0.1)
    return tmp_path


def result(capsys, *arguments):
    assert run([*arguments, "--json", "-"]) == 0
    return json.loads(capsys.readouterr().out)


def test_thresholds_in_effective_beta_and_in_beta(capsys):
    output = result(capsys, "phase", "thresholds", "--patterns", "10", "--norm", "2", "--cosine", "0.5")
    expected = phase.thresholds(10)
    assert output["spinodal"] == expected.spinodal
    assert output["overlap_at_spinodal"] == expected.overlap_at_spinodal
    assert output["in_beta"]["instability"] == pytest.approx(10 / (4 * 0.5))


def test_clusters_by_formula_and_simulation(capsys):
    sizes = ["--clusters", "2", "--per-cluster", "2", "--within", "0.9", "--across", "0"]
    output = result(capsys, "phase", "clusters", *sizes)
    for name, value in output["simulated"].items():
        assert output[name] == pytest.approx(value, rel=0.02)


def test_recall_from_files_reports_the_patterns(folder, capsys):
    arguments = [
        "--patterns",
        "patterns.csv",
        "--queries",
        "queries.npy",
        "--out",
        "recalled.npy",
        "--beta",
        "5",
    ]
    output = result(capsys, "recall", *arguments)
    assert [query["index"] for query in output["queries"]] == [0, 1]
    assert all(query["kind"] == "pattern" and query["status"] == "converged" for query in output["queries"])
    np.testing.assert_allclose(np.load("recalled.npy"), ROWS[:2], atol=1e-3)


def csv(rows, *, names, index):
    """Rows as `pandas.DataFrame.to_csv` writes them; NaN is a blank cell."""
    lines = [",".join([*([""] if index else []), *names])] if names else []
    for number, row in enumerate(rows.tolist()):
        cells = ["" if np.isnan(value) else str(value) for value in row]
        lines.append(",".join([*([f"{number}"] if index else []), *cells]))
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize("names", [[], list("abcde"), list("01234")], ids=["none", "letters", "numbers"])
@pytest.mark.parametrize("index", [True, False], ids=["index", "no index"])
def test_csv_files_as_pandas_writes_them(names, index, folder, capsys):
    index = index and bool(names)
    hole = np.where(np.arange(5) < 3, ROWS[:2], np.nan)
    (folder / "stored.csv").write_text(csv(ROWS, names=names, index=index))
    (folder / "holes.csv").write_text(csv(hole, names=names, index=index))
    files = ["--patterns", "stored.csv", "--queries", "holes.csv", "--beta", "9"]
    result(capsys, "recall", *files, "--out", "recalled.csv")
    table = read_table(folder / "recalled.csv")
    np.testing.assert_allclose(table.numbers, ROWS[:2], atol=1e-3)
    assert table.columns == (names or None)
    assert table.index == (["0", "1"] if index else None)


def test_what_a_csv_file_may_not_have(folder, capsys):
    for text, message in (
        ("a,b\n1,x\n2,3\n", "row 0, column 1 (from 0) has 'x', which is no number"),
        ("1,2\n3\n", "row 2 has 1 cells, row 1 has 2"),
        ("a,b\n", "no rows"),
        ("", "no rows"),
        ("a,b\n1,\n", "blank"),
    ):
        (folder / "bad.csv").write_text(text)
        assert run(["calibrate", "bad.csv"]) == 2
        assert message in capsys.readouterr().err


def test_unknown_values_are_filled_in_and_duplicates_reported(folder, capsys):
    np.save("patterns.npy", np.concatenate([ROWS, ROWS[:1]]))
    np.save("queries.npy", np.where(np.arange(5) < 3, ROWS[2:3], np.nan))
    arguments = [
        "--patterns",
        "patterns.npy",
        "--queries",
        "queries.npy",
        "--out",
        "recalled.npy",
        "--beta",
        "9",
    ]
    output = result(capsys, "recall", *arguments)
    assert output["duplicates"] == 1
    np.testing.assert_allclose(np.load("recalled.npy"), ROWS[2:3], atol=1e-3)


def test_values_are_recalled_in_place_of_the_patterns(folder, capsys):
    labels = np.arange(10.0).reshape(5, 2)
    np.save("values.npy", labels)
    files = ["--patterns", "patterns.npy", "--queries", "queries.npy", "--values", "values.npy"]
    output = result(capsys, "recall", *files, "--out", "recalled.npy", "--beta", "5")
    assert [query["index"] for query in output["queries"]] == [0, 1]
    np.testing.assert_allclose(np.load("recalled.npy"), labels[:2], atol=1e-3)


def test_calibration_of_orthogonal_patterns(folder, capsys):
    output = result(capsys, "calibrate", "patterns.npy")
    assert output["beta"] == pytest.approx(phase.thresholds(5).spinodal / 4, rel=0.03)
    assert output["global_beta"] == pytest.approx(5 / 4, rel=0.03)


def test_minima_grow_from_one_to_all(folder, capsys):
    output = result(capsys, "phase", "minima", "patterns.npy", "--points", "4")
    assert output["minima"][0] == 1
    assert output["minima"][-1] == 5


@pytest.mark.slow
def test_capacity_is_limited_by_most_and_compared_with_theory(capsys):
    output = result(capsys, "capacity", "projection", "--neurons", "16", "--flips", "0", "--most", "8")
    assert output["holds"] == output["fails"] == 8
    assert output["theory"] == {"n": 16}
    # With 4 patterns of 16 neurons, some signs can be flipped, and never more than half of them.
    assert 0 < output["basin"]["flips"] <= 0.5


def test_capacity_is_printed_in_words_and_a_table(capsys):
    assert run(["capacity", "projection", "--neurons", "16", "--flips", "0", "--most", "8"]) == 0
    printed = " ".join(capsys.readouterr().out.split())
    assert "projection, 16 neurons: 90% of the queries with 0% of the signs flipped are recalled" in printed
    assert "theory, n 16" in printed
    assert "{" not in printed


@pytest.mark.slow
def test_curves_and_basins_are_written_as_json_and_figures(folder, capsys):
    options = ["--neurons", "12", "--flips", "0", "--most", "2", "--compare", "", "--out", "curves"]
    output = result(capsys, "capacity", "projection", *options)
    assert output["files"] == ["curves/capacity.json", "curves/capacity.png", "curves/basins.png"]
    content = json.loads((folder / "curves" / "capacity.json").read_text(encoding="utf-8"))
    load = content["curves"]["projection"]["load"]
    assert load["values"][0] == 1
    # The projection rule stores any independent patterns, as one or two patterns of 12 signs are.
    assert load["fraction"][0] == load["high"][0] == 1 > load["low"][0]
    for name in ("capacity.png", "basins.png"):
        assert (folder / "curves" / name).stat().st_size > 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["calibrate", "none.npy"], "none.npy is not a file"),
        (["calibrate", "nan.npy"], "rows [1]"),
        (["calibrate", "text.csv"], "text.csv cannot be read"),
        (["calibrate", "other.txt"], "must end in .npy or .csv"),
        (["calibrate", "words.npy"], "matrix of numbers"),
        (
            ["recall", "--patterns", "patterns.npy", "--queries", "nan.npy", "--out", "a.npy"],
            "3 values a row",
        ),
        (
            ["recall", "--patterns", "patterns.npy", "--queries", "queries.npy", "--out", "a.txt"],
            "end in .npy",
        ),
        (
            ["recall", "--patterns", "patterns.npy", "--queries", "queries.npy"]
            + ["--values", "queries.npy", "--out", "a.npy"],
            "queries.npy has 2 rows for 5 patterns",
        ),
        (["capacity", "hebb", "--compare", "none"], "--compare 'none'"),
        (["phase", "thresholds", "--patterns", "1"], "at least 2"),
        (["phase", "thresholds", "--patterns", "5", "--cosine", "0.1"], "go together"),
        (["phase", "minima", "patterns.npy", "--points", "1"], "--points"),
        (["capacity", "hebb", "--flips", "2"], "[0, 1]"),
    ],
)
def test_mistakes_are_reported_in_one_line(folder, arguments, message, capsys):
    np.save("nan.npy", np.array([[1.0, 2.0, 3.0], [np.nan, 1.0, 2.0]]))
    np.save("words.npy", np.array([["a", "b"]]))
    (folder / "text.csv").write_text("a,b\nc,d\n")
    (folder / "other.txt").write_text("1")
    assert run(arguments) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert message in printed.err
