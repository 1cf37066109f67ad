"""The experiment with convolutional networks: its runs are what they say, stored once, and make table and figures."""

import dataclasses
import json
import shutil
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """The results of the short runs on the digits, by both gradients, and what a second call prints."""
    import sys

    sys.path.insert(0, str(ROOT))
    from experiments.convolutional import run

    folder = tmp_path_factory.mktemp("convolutional")
    options = ["--smoke", "--results", str(folder / "results"), "--runs", str(folder / "runs")]
    run.main(options)
    written = {path: path.read_bytes() for path in (folder / "results").iterdir()}
    run.main(options)  # nothing is left to do
    assert {path: path.read_bytes() for path in (folder / "results").iterdir()} == written
    return run.stored(folder / "results")


def test_a_run_stores_its_numbers(results):
    assert set(results) == {"smoke-ep-seed0", "smoke-implicit-seed0"}
    for result in results.values():
        assert [result[key] for key in ("data", "network", "epochs", "seed")] == ["digits", "small", 1, 0]
        assert 0 <= result["test_error"] <= 1
        assert result["seconds_per_epoch"] == result["metrics"][0]["seconds"]
        assert 0 <= result["converged"] <= 1
        assert result["sweeps"] >= 1
        assert np.shape(result["filters"]) == (3, 3, 1, 4)
    by_ep, by_implicit = results.values()
    assert (by_ep["gradient"], by_implicit["gradient"]) == ("ep", "implicit")
    assert by_ep["worst_cosine"] == min(by_ep["cosines"].values())
    assert len(by_ep["cosines"]) == 4  # kernel, matrix and biases
    assert by_implicit["cosines"] is None


def test_table_and_figures_are_of_what_is_stored(results, tmp_path):
    from experiments.convolutional import config, figures, run

    one = results["smoke-ep-seed0"]
    setting = config.SETTINGS[0]
    for seed, error in enumerate((0.01, 0.02)):
        name = f"{setting.name}-ep-seed{seed}"
        content = {**one, "name": name, "test_error": error, "worst_cosine": 0.9 + seed / 100}
        (tmp_path / f"{name}.json").write_text(json.dumps(content))
    *_, only, _, missing = run.table(tmp_path).splitlines()
    row = only.split(" | ")
    assert row[:6] == ["| mnist", "conv", "5", "ep", "1.50 (1.00, 2.00)", "1.00"]
    usual = [setting for setting in config.SETTINGS if not setting.changed]  # the others are not stored here
    assert missing.startswith("Not run: `mnist-conv-5-implicit`, ")
    assert missing.count("`") == 2 * (2 * len(usual) - 1)
    assert row[9].startswith("0.900")
    stored = run.stored(tmp_path)
    for draw in (figures.draw_filters, figures.draw_errors):
        draw(stored).savefig(tmp_path / "figure.png")
        assert (tmp_path / "figure.png").stat().st_size > 0
        with pytest.raises(ValueError, match="no run is stored"):
            draw({})


def test_filters_are_drawn_one_by_one():
    from experiments.convolutional import figures

    kernel = np.random.default_rng(0).normal(size=(3, 2, 3, 17))
    picture = figures.mosaic(kernel)
    assert picture.shape == (2 * 4, 16 * 3, 3)
    last = kernel[..., 16]
    np.testing.assert_allclose(picture[5:8, 1:3], (last - last.min()) / (last.max() - last.min()))


def test_the_table_of_the_page_is_that_of_the_results(tmp_path):
    from experiments.convolutional import run

    page, copy = run.HERE / "README.md", tmp_path / "README.md"
    shutil.copy(page, copy)
    run.main(["--table", "--readme", str(copy)])
    assert copy.read_text(encoding="utf-8") == page.read_text(encoding="utf-8")
    assert run.table(run.HERE / "results") in page.read_text(encoding="utf-8")


def test_both_gradients_train_the_same_network(monkeypatch):
    from experiments import classify
    from experiments.convolutional import config

    from hopfax.data import digits

    monkeypatch.setattr(config, "dataset_of", lambda name: digits())
    for setting in config.SETTINGS:
        if setting.network == "conv":
            one, other = (config.recipe(setting, gradient) for gradient in config.GRADIENTS)
            assert dataclasses.replace(one, gradient=other.gradient) == other
    names = [name for name, *_ in config.names()]
    assert len(set(names)) == len(names) == 2 * config.SEEDS * len(config.SETTINGS)
    trials = list(config.trials("validation-mnist"))
    assert len({trial.name for trial in trials}) == len(trials) == len(config.CHANGES) + len(config.FEEDBACKS)
    assert all(trial.recipe.validation == classify.HELD_OUT for trial in trials)
    assert list(config.trials("mnist")) == []
