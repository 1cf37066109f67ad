"""Laws of sweeps: every combination once, each in its folder, and nothing made twice."""

import dataclasses
import importlib.util
import json
import sys
import types

import pytest

from hopfax.parallel.launchers import AbstractLauncher, Joblib, Submitit
from hopfax.training import recipes
from hopfax.training.classifier import read_recipe
from hopfax.training.recipes import Recipe
from hopfax.training.sweeps import run_job, run_sweep, variations

RECIPE = Recipe(layers=(64, 4, 10), epochs=1, batch_size=512, model="HAM-EO")


class Refusing(AbstractLauncher):
    """Does nothing, and fails where it is given something to do."""

    def launch(self, work, jobs):
        assert not jobs
        return []


def test_every_combination_has_a_recipe_and_a_name_of_its_own():
    variants = variations(RECIPE, {"layers": [(64, 4, 10), (64, 8, 10)], "seed": [0, 1, 2]})
    assert len(variants) == len({(r.layers, r.seed) for r in variants.values()}) == 6
    assert variants["layers=64-8-10,seed=2"] == dataclasses.replace(RECIPE, layers=(64, 8, 10), seed=2)
    assert variations(RECIPE, {}) == {"run": RECIPE}
    nudged = variations(recipes.goemaere_ep((64, 4, 10)), {"beta": [0.01, 0.05]})
    assert [recipe.gradient.beta for recipe in nudged.values()] == [0.01, 0.05]


@pytest.mark.parametrize("choices", [{"width": [3]}, {"seed": []}, {"seed": [-1]}])
def test_choices_that_cannot_be_are_refused(choices):
    with pytest.raises(ValueError, match=next(iter(choices))):
        variations(RECIPE, choices)


@pytest.mark.slow
def test_a_sweep_makes_each_run_once_and_keeps_it(tmp_path):
    seeds = variations(RECIPE, {"seed": [0, 1]})
    results = run_sweep(seeds, "digits", tmp_path)
    assert all(0 <= result["test_accuracy"] <= 1 for result in results.values())
    assert results["seed=0"]["metrics"] != results["seed=1"]["metrics"]
    assert read_recipe(tmp_path / "seed=1") == (seeds["seed=1"], "digits")
    assert run_sweep(seeds, "digits", tmp_path, launcher=Refusing()) == results
    stored = json.loads((tmp_path / "sweep.json").read_text())
    assert {name: row["result"] for name, row in stored.items()} == results
    other = {"seed=0": dataclasses.replace(seeds["seed=0"], learning_rate=0.5)}
    with pytest.raises(ValueError, match=r"learning_rate was 0\.01, is 0\.5"):
        run_sweep(other, "digits", tmp_path, launcher=Refusing())


@pytest.mark.filterwarnings("ignore:overflow")  # of the rate, which is infinite in float32
def test_a_run_that_diverges_is_told_of_and_not_tried_again(tmp_path):
    wild = {"wild": dataclasses.replace(RECIPE, learning_rate=1e39)}
    results = run_sweep(wild, "digits", tmp_path)
    assert "diverged in epoch 1" in results["wild"]["diverged"]
    assert run_sweep(wild, "digits", tmp_path, launcher=Refusing()) == results


def test_joblib_gives_results_in_the_order_of_the_jobs_whatever_the_processes():
    for processes in (1, 2):
        assert Joblib(processes).launch(abs, [-3, 1, -2]) == [3, 1, 2]
    with pytest.raises(ValueError, match="processes=0"):
        Joblib(0)


@pytest.mark.skipif(importlib.util.find_spec("submitit") is None, reason="no submitit here")
@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_submitit_gives_results_in_the_order_of_the_jobs(tmp_path):
    launcher = Submitit(logs=tmp_path / "logs", cluster="debug")
    assert launcher.launch(abs, [-3, 1, -2]) == [3, 1, 2]  # its debugging leaves files open
    assert launcher.launch(abs, []) == []
    with pytest.raises(ValueError, match="minutes=0"):
        Submitit(logs=tmp_path, minutes=0)


def test_without_submitit_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "submitit", None)
    with pytest.raises(ImportError, match=r"hopfax\[cluster\]"):
        Submitit(logs=tmp_path).launch(run_job, [1])


def test_without_a_cluster_it_is_said_where_to_start(tmp_path, monkeypatch):
    def none_here(**_):
        raise RuntimeError('Could not detect "srun", are you indeed on a slurm cluster?')

    monkeypatch.setitem(sys.modules, "submitit", types.SimpleNamespace(AutoExecutor=none_here))
    with pytest.raises(ValueError, match=r"cluster='slurm'.*srun.*Joblib"):
        Submitit(logs=tmp_path).launch(run_job, [1])
