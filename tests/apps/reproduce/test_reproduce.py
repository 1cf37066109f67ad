"""The rows of the papers, their runs, which are computed once, and the tables and figures of stored results."""

import dataclasses
import json
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from hopfax.apps import reproduce
from hopfax.apps.cli import run
from hopfax.apps.reproduce import (
    FIGURES,
    TABLE1,
    TABLE2,
    Experiment,
    Published,
    draw,
    markdown,
    pack_histogram,
    read_results,
    result_path,
    run_row,
    select_rows,
    tabulate,
    write_page,
)
from hopfax.apps.reproduce.figures import PRINTED, crossing_table
from hopfax.apps.reproduce.results import crossing
from hopfax.data import digits
from hopfax.diagnostics import residual_histogram
from hopfax.diagnostics.summaries import TOLERANCES
from hopfax.training import ClassifierJob, loop, train

DIGITS = digits()
SMALL = dataclasses.replace(
    DIGITS,
    train_images=DIGITS.train_images[:128],
    train_labels=DIGITS.train_labels[:128],
    test_images=DIGITS.test_images[:70],
    test_labels=DIGITS.test_labels[:70],
)
PAPER = Published(10.0, 0.5, 97.0, 0.1, 1.0, "nowhere")


def row(name="tiny", **changes):
    settings = {"paper": "goemaere2024", "layers": (784, 3, 10), "model": "HAM-EO", "base": "tiny"}
    return Experiment(name=name, published=PAPER, **{**settings, **changes})


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A folder with a finished run that was ended after one of ten epochs, and its result."""
    folder = tmp_path_factory.mktemp("experiment")
    return folder, run_row(row(stop_after=1), 0, SMALL, folder)


@pytest.mark.parametrize("experiment", [*TABLE1, *TABLE2], ids=lambda row: row.name)
def test_printed_speed_ups_are_ratios_of_printed_iterations(experiment):
    base = next(other for other in (*TABLE1, *TABLE2) if other.name == experiment.base)
    ratio = base.published.iterations / (experiment.updates * experiment.published.iterations)
    if experiment.published.speed_up is not None:
        assert ratio == pytest.approx(experiment.published.speed_up, abs=0.06)
    # The networks of the 2024 paper have 2,000 neurons besides the input, those of 2023 have 522.
    assert sum(experiment.layers[1:]) == (522 if experiment.paper == "goemaere2023" else 2000)


def test_rows_are_selected_by_name_and_figures_show_rows_of_the_tables():
    assert (
        select_rows(TABLE2, ["5-HAM", "3-CHN"])
        == [row for row in TABLE2 if row.name in ("5-HAM", "3-CHN")][::-1]
    )
    assert select_rows(TABLE1, []) == list(TABLE1)
    with pytest.raises(ValueError, match="there is no row 4-HAM; choose from v1-HAM"):
        select_rows(TABLE1, ["4-HAM"])
    known = {row.name for row in (*TABLE1, *TABLE2)}
    assert all(name in known for names in FIGURES.values() for name in names)


def test_a_result_counts_every_example_and_can_be_read(done):
    folder, result = done
    assert result.examples == 70
    assert result.config["epochs"] == 10
    assert len(result.seconds) == len(result.metrics) == result.config["stop_after"] == 1
    assert result.histogram.shape == (400, 39)  # 40 evaluations of three layers
    assert result.histogram.sum(axis=0).max() <= 70
    read = read_results(folder, ["tiny", "other"])
    assert list(read) == ["tiny"]
    (again,) = read["tiny"]
    np.testing.assert_array_equal(again.histogram, result.histogram)
    fields = lambda result: {**dataclasses.asdict(result), "histogram": None}
    assert fields(again) == fields(result)


def test_counts_are_those_of_the_definition():
    """Three examples, too few for a batch, which fall below 1e-4 at index 2, at index 0, and never."""
    trace = jnp.array([[1e-1, 1e-3, 1e-5, 1e-6], [1e-5, 1e-5, 1e-6, 1e-7], [0.5, 0.5, 0.5, 0.5]])
    assert crossing(trace, 1e-4) == pytest.approx((2 + 4 + 4) / 3)
    counts = residual_histogram(trace)
    np.testing.assert_array_equal(counts.sum(axis=0), 3)
    assert counts[np.searchsorted(np.linspace(-8, 0, 401), np.log10(0.5)) - 1, 0] == 1
    # 64 examples are a batch; the 65th, which would count as 4, is dropped.
    assert crossing(jnp.concatenate([jnp.tile(trace[:1], (64, 1)), trace[2:]]), 1e-4) == 2
    assert TOLERANCES[0] == 1e-8
    assert TOLERANCES[8] == 1e-4
    assert TOLERANCES[-1] == 1e-2


def test_a_stored_result_is_not_computed_again_and_refused_with_other_settings(done, monkeypatch):
    folder, result = done
    monkeypatch.setattr(reproduce.runner, "train", None)
    assert run_row(row(stop_after=1), 0, SMALL, folder).paper_iterations == result.paper_iterations
    with pytest.raises(ValueError, match=r"tiny-seed0.json.*stop_after was 1, is 2"):
        run_row(row(stop_after=2), 0, SMALL, folder)


def test_a_copied_finished_run_is_only_evaluated(done, tmp_path, monkeypatch):
    folder, result = done
    shutil.copytree(folder / "runs" / "tiny-0", tmp_path / "runs" / "tiny-0")
    monkeypatch.setattr(loop, "advance", None)  # no step is taken
    assert run_row(row(stop_after=1), 0, SMALL, tmp_path).crossing == result.crossing


def test_an_interrupted_run_continues(done, tmp_path):
    _, result = done
    recipe = row().recipe(SMALL, 0)
    with pytest.raises(KeyboardInterrupt):
        train(
            ClassifierJob(recipe, SMALL),
            tmp_path / "runs" / "tiny-0",
            checkpoint_chunks=1,
            callback=interrupt,
        )
    assert run_row(row(stop_after=1), 0, SMALL, tmp_path).crossing == result.crossing


def interrupt(chunk):
    raise KeyboardInterrupt


def test_the_table_compares_our_numbers_with_those_of_the_paper(done, tmp_path):
    _, result = done
    of = lambda name, seed, **changes: dataclasses.replace(result, row=name, seed=seed, **changes)
    rows = [row(), row("twice", updates=20), row("missing")]
    for stored in (
        of("tiny", 0, paper_iterations=9.0, accuracy=0.96, seconds=(3.0, 2.0)),
        of("tiny", 1, paper_iterations=11.0, accuracy=0.98, seconds=(2.0, 2.5)),
        of("twice", 0, paper_iterations=5.0, seconds=(8.0,)),
    ):
        content = {**dataclasses.asdict(stored), "histogram": pack_histogram(stored.histogram)}
        path = result_path(tmp_path, stored.row, stored.seed)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(content))
    table = tabulate(rows, read_results(tmp_path, [row.name for row in rows]))
    first, second, third = table
    assert (first.iterations.mean, first.iterations.std, first.ratio) == (10, 1, 1)
    assert (first.accuracy.mean, first.seconds, first.seeds) == (pytest.approx(97), 2, (0, 1))
    assert (second.speed_up, second.seconds_speed_up) == (pytest.approx(10 / 100), 2 / 8)
    assert third.iterations is None
    lines = markdown(table).splitlines()
    assert len({line.count("|") for line in lines}) == 1
    assert lines[2].startswith("| tiny | 10.0 (0.5) | 10.00 (1.00) | 1.00 |")


def test_a_page_keeps_the_text_around_the_table(done, tmp_path):
    path = write_page(tmp_path, tabulate([row()], {}), {})
    path.write_text("above\n" + path.read_text() + "below\n")
    write_page(tmp_path, tabulate([row("other")], {}), {})
    text = path.read_text()
    assert text.startswith("above\n")
    assert text.endswith("below\n")
    assert "| other |" in text
    assert "| tiny |" not in text


def test_the_printed_curves_of_the_paper_are_compared_with_ours(done):
    _, result = done
    assert crossing_table({"tiny": [result]}) == ""
    curve = tuple(float(i) for i in range(len(TOLERANCES)))  # at 1e-8 in half decades to 1e-2
    text = crossing_table({"3-CHN": [dataclasses.replace(result, crossing=curve)]})
    assert "| 3-CHN, ours | 12.00 | 11.00 | 10.00 | 9.00 | 8.00 | 7.00 | 6.00 | 4.00 | 2.00 |" in text
    for name, printed in PRINTED.items():
        (table,) = [row for row in TABLE2 if row.name == name]
        assert printed[-4.0] == pytest.approx(table.published.iterations, abs=0.06)


def test_figures_are_drawn_from_results_and_pool_seeds(done, tmp_path):
    _, result = done
    pooled = reproduce.figures.pool(
        [result, dataclasses.replace(result, paper_iterations=result.paper_iterations + 2)]
    )
    np.testing.assert_array_equal(pooled.counts, 2 * result.histogram)
    assert pooled.mean_at_tolerance == pytest.approx(result.paper_iterations + 1)
    path = draw("figure4", {"5-HAM": [result]}, tmp_path)
    assert path == tmp_path / "figure4.png"
    assert path.stat().st_size > 0
    assert draw("figure3", {}, tmp_path) is None


@pytest.mark.slow
def test_the_command_stores_results_and_reads_them(tmp_path, capsys):
    arguments = ["reproduce", "table1", "--rows", "v1-HAM-EO", "--epochs", "1", "--data", "digits"]
    arguments += ["--out", str(tmp_path / "out"), "--json", str(tmp_path / "out.json")]
    assert run(arguments) == 0
    (printed,) = json.loads((tmp_path / "out.json").read_text())["rows"]
    assert printed["seeds"] == [0]
    assert printed["published"]["where"] == "Table 1, HAM-EO"
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "runs",
        "results",
        "README.md",
        "figure3.png",
    }
    stored = ["reproduce", "table1", "--stored", "--out", str(tmp_path / "out"), "--json", "-"]
    capsys.readouterr()
    assert run(stored) == 0
    assert printed in json.loads(capsys.readouterr().out)["rows"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["table1", "--rows", "5-HAM"], "there is no row 5-HAM"),
        (["figure3", "--rows", "5-HAM"], "there is no row 5-HAM"),
        (["table2", "--seeds", "a"], "--seeds 'a'"),
        (["table2", "--epochs", "0"], "--epochs 0"),
    ],
)
def test_mistakes_are_reported_in_one_line(tmp_path, arguments, message, capsys):
    assert run(["reproduce", *arguments, "--out", str(tmp_path)]) == 2
    printed = capsys.readouterr()
    assert printed.err.count("\n") == 1
    assert message in printed.err


def test_results_with_other_settings_than_the_paper_need_a_folder(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    for changed in (["--epochs", "1"], ["--data", "digits"]):
        assert run(["reproduce", "table1", *changed]) == 2
        assert "name a folder for them with --out" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_file_without_a_result_is_named(tmp_path):
    (tmp_path / "results").mkdir()
    (tmp_path / "results" / "tiny-seed0.json").write_text("{}")
    with pytest.raises(ValueError, match=r"tiny-seed0.json. is no result of a run"):
        read_results(tmp_path, ["tiny"])
