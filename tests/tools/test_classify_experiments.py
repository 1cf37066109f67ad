"""The experiments that train classifiers: their runs are what they say, are stored once, and are not done again."""

import dataclasses
import json
from pathlib import Path

import pytest


def test_a_run_is_stored_and_not_done_again(tmp_path, capsys):
    from experiments.classify import carry_out, table
    from experiments.deep.config import smoke

    (run,) = smoke()
    first = carry_out(run, tmp_path, tmp_path / "runs")
    assert "test error" in capsys.readouterr().out
    stored = json.loads((tmp_path / "smoke.json").read_text(encoding="utf-8"))
    assert {
        **json.loads(json.dumps(first)),
        **{name: stored[name] for name in ("config", "circumstances")},
    } == stored
    assert stored["metrics"][-1]["epoch"] == run.recipe.epochs
    assert carry_out(run, tmp_path, tmp_path / "runs") == json.loads(json.dumps(first))
    assert capsys.readouterr().out == ""
    assert f"| smoke | 1 | {100 * (1 - stored['test_accuracy']):.2f} |" in table(tmp_path)
    other = dataclasses.replace(run, recipe=dataclasses.replace(run.recipe, learning_rate=0.5))
    with pytest.raises(ValueError, match="learning_rate"):
        carry_out(other, tmp_path, tmp_path / "runs")


def test_the_two_gradients_are_compared_on_the_same_networks():
    from experiments.ep_training.config import runs

    by_name = {run.name: run.recipe for run in runs()}
    for name, recipe in by_name.items():
        if "implicit" in name:
            twin = by_name[name.replace("implicit", "ep")]
            assert dataclasses.replace(twin, gradient=recipe.gradient) == recipe
    assert sum("implicit" in name for name in by_name) == 9


def test_both_gradients_train_with_the_settings_of_least_held_out_error():
    from experiments.fashion_mnist import config
    from experiments.fashion_mnist.config import CHANGES, SEEDS, runs, trials
    from experiments.runs import stored

    results = stored(Path(config.__file__).parent / "results")
    held_out = {
        run.name: 1 - results[run.name]["metrics"][-1]["validation_accuracy"]
        for run in trials()
        if run.recipe.layers == (784, 1024, 10)
    }
    assert min(held_out, key=held_out.__getitem__) == "validation-epochs-40"
    assert len(trials()) == len(CHANGES)
    by_name = {run.name: run.recipe for run in runs()}
    assert len(by_name) == 4 * SEEDS
    for name, recipe in by_name.items():
        assert recipe.epochs == 40
        twin = by_name[name.replace("implicit", "ep")]
        assert dataclasses.replace(twin, gradient=recipe.gradient) == recipe
    assert all(results[run.name]["config"] == json.loads(json.dumps(run.config())) for run in trials())


@pytest.mark.parametrize("depth", ["one", "two"])
def test_the_best_settings_at_full_feedback_are_those_of_least_held_out_error(depth):
    from experiments.feedback import search
    from experiments.runs import stored

    results = stored(search.HERE / "results")
    runs = {run.name: run for run in (*search.trials(), *search.runs())}
    assert all(
        result["config"] == json.loads(json.dumps(runs[name].config())) for name, result in results.items()
    )
    names = {f"{depth}-validation-{name.replace(' ', '-')}": name for name in search.CHANGES}
    held_out = {
        name: results[trial]["metrics"][-1]["validation_accuracy"]
        for trial, name in names.items()
        if trial in results
    }
    assert len(held_out) > 7
    assert max(held_out, key=held_out.__getitem__) == search.BEST[f"{depth}-best"][1]


def test_all_depths_have_one_recipe():
    from experiments.deep.config import CHANGES, runs, trials

    recipes = [run.recipe for run in runs()]
    same = lambda recipe: dataclasses.replace(recipe, layers=recipes[0].layers, seed=0, backward_steps=4)
    assert all(same(recipe) == recipes[0] for recipe in recipes)
    assert len({run.name for run in runs()}) == len(recipes) == 12
    assert len({run.name for run in trials()}) == 2 * len(CHANGES)
    assert all(run.recipe.validation for run in trials())


def test_learning_rules_are_compared_with_the_implicit_gradient(tmp_path):
    from experiments.learning_rules import config, run

    options = ["--results", str(tmp_path / "results"), "--runs", str(tmp_path / "runs")]
    for rule in ("implicit", "contrastive"):
        run.main(["--smoke", "--only", rule, *options])
    (contrastive, implicit) = run.table(tmp_path / "results").splitlines()[2:]
    assert contrastive.startswith("| digits | contrastive | 1 |")
    assert implicit.split(" | ")[4:6] == ["1.0000", "1.0000"]
    assert run.table(run.HERE / "results") in (run.HERE / "README.md").read_text(encoding="utf-8")
    assert sum(1 for rule in config.rules(0.1) for _ in config.runs(f"{rule}-seed")) == 3 * len(
        config.rules(0.1)
    )
