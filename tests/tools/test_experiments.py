"""Experiments run from end to end on small data, and measure what they say."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import hopfax
from hopfax.data import Dataset
from hopfax.networks.synapses.dense import Bias, Dense
from hopfax.training.checkpoint import save_checkpoint


def test_same_equilibrium_accounts_for_every_example_and_resumes(tmp_path):
    from experiments.same_equilibrium import config, figures, run

    options = ["--smoke", "--results", str(tmp_path), "--runs", str(tmp_path / "runs")]
    run.main(options)
    (path,) = tmp_path.glob("*.json")
    result = json.loads(path.read_text(encoding="utf-8"))
    assert [row["epoch"] for row in result["epochs"]] == [0, 1]
    for row in result["epochs"]:
        assert set(row["contestants"]) == set(config.CONTESTANTS)
        for contestant in row["contestants"].values():
            outcomes = [contestant[outcome] for outcome in figures.OUTCOMES]
            assert sum(outcomes) == result["config"]["examples"]
            assert sum(contestant["histogram"].values()) == sum(outcomes[:3])
        assert row["contestants"][config.REFERENCE]["largest_distance_of_same"] == 0
    written = path.read_bytes()
    run.main(options)
    assert path.read_bytes() == written
    figures.draw([result], tmp_path / "figure.png")
    assert (tmp_path / "figure.png").stat().st_size > 0


def test_a_synchronous_two_cycle_is_two_equilibria_of_even_odd_updates():
    """Two neurons that excite each other, `h = 20 g_o - 6` and `o = 20 g_h - 1`, rest both low or both high.

    From `o = 0` the pair goes low, from `h = 0` high, so synchronous updates from zero never rest. With `g`
    at 0 or 1 the energies are 0 and `0.5 + 0.5 + 6 + 1 - 20 = -12`.
    """
    from experiments.same_equilibrium import config, measure

    settings = config.smoke()[0]
    model, image = excitable_pair(), jnp.zeros((1, 1))
    reference = measure.relax_by(model, image, config.REFERENCE, settings)
    assert reference.converged.all()
    assert np.all(reference.activations < 0.1)
    cycles = measure.two_cycles(model, image, reference, np.array([True]), settings)
    assert cycles["two_cycles"] == cycles["half_is_reference"] == cycles["other_half_differs"] == 1
    assert cycles["settled"] == cycles["neither"] == 0
    assert cycles["energy_gaps"] == [pytest.approx(-12, rel=1e-3)]


def excitable_pair() -> hopfax.HAM:
    model = hopfax.chain([1, 1, 1], key=jr.key(0))
    weights = {
        "input-hidden": Dense(("input", "hidden"), jnp.zeros((1, 1))),
        "hidden-output": Dense(("hidden", "output"), jnp.full((1, 1), 20.0)),
        "hidden": Bias("hidden", jnp.array([-6.0])),
        "output": Bias("output", jnp.array([-1.0])),
    }
    return eqx.tree_at(lambda m: [m.synapses[name] for name in weights], model, list(weights.values()))


@pytest.mark.parametrize("name", ["chain", "skip connections", "small world"])
@pytest.mark.parametrize("seed", [0, 1])
def test_every_graph_is_bipartite_and_joins_the_input_to_the_output(name, seed):
    from experiments.bipartite.graphs import GRAPHS, INPUT, OUTPUT, Config, build

    config = Config(modules=9, neurons=2, pixels=3, classes=2, seed=seed)
    network = build(config, GRAPHS[name], jr.key(seed))
    assert network.graph.odd_cycle() is None
    assert len(network.graph.components()) == 1
    assert {INPUT, OUTPUT} <= set(network.order)
    assert (name == "chain") == (len(network.graph.edges) == 10)


def test_the_energy_law_counts_every_sweep_of_every_network(tmp_path):
    from experiments.architectures import energy_law, ties

    options = ["--smoke", "--results", str(tmp_path)]
    energy_law.main(options)
    result = json.loads((tmp_path / "energy_law-seed0.json").read_text(encoding="utf-8"))
    config = result["config"]
    (row,) = result["law"].values()
    assert row["sweeps"] == config["networks"] * config["sweeps"]
    assert row["largest rise"] <= energy_law.allowed()
    assert energy_law.table(result).count("\n") == 2
    ties.main(options)
    result = json.loads((tmp_path / "ties-seed0.json").read_text(encoding="utf-8"))
    (ends,) = result["ends"].values()
    assert sum(row["networks"] for row in ends.values()) == result["config"]["networks"]
    assert ties.table(result).count("\n") == 1 + len(ends)


def test_the_energy_of_a_trained_network_never_rises(tmp_path):
    from experiments.architectures import trained_law

    trained_law.main(["--smoke", "--results", str(tmp_path)])
    result = json.loads((tmp_path / "trained_law-seed0.json").read_text(encoding="utf-8"))
    (row,) = result["rows"].values()
    assert row["plain"]["sweeps"] == result["config"]["images"] * result["config"]["sweeps"]
    assert row["plain"]["sweeps with a rise"] == row["default solver"]["sweeps with a rise"] == 0
    assert trained_law.table(result).count("\n") == 2


def test_the_gap_of_a_window_is_between_its_two_largest_elements():
    from experiments.architectures import ties

    maps = jnp.array([[1.0, 5.0, 0.0], [4.0, 2.0, 0.0], [9.0, -10.0, 0.0]])[..., None]
    assert ties.gaps(maps) == pytest.approx(np.array([[[0.1]]]))


def test_a_rise_is_relative_to_the_size_and_between_accepted_points():
    from experiments.architectures import energy_law

    energy, size = np.array([3.0, 5.0, 2.0, np.nan, 2.5]), np.array([10.0, 10.0, 5.0, 1.0, 5.0])
    accepted = np.array([True, False, True, True, True])
    assert energy_law.relative_rises(energy, size, accepted) == pytest.approx([-0.1, 0.1])


def test_the_energy_transformer_goes_on_from_its_checkpoint(tmp_path, monkeypatch):
    """A run that is killed in an epoch has, continued, the weights of one that was not."""
    from experiments.energy_transformer import run

    images = np.asarray(jr.uniform(jr.key(0), (16, 784)), np.float32)
    data = Dataset(
        "noise", images, np.zeros(16, np.int32), images, np.zeros(16, np.int32), image_shape=(28, 28)
    )
    config = run.Config(dim=16, heads=2, memories=3, epochs=2, batch=8, evaluations=4)
    for name in (*run.GRADIENTS, run.PLAIN, run.TUNED, run.SIMPLE):
        whole = run.measure(name, config, data, tmp_path)
        assert run.measure(name, config, data, tmp_path)["error"] == whole["error"]

    def train(file):
        begin, task = run.energy_model(config, data), run.energy_task(config, data)
        return run.train(begin, task, run.patches(images, data.image_shape), config, file)[0]

    def saved_and_killed(*arguments):
        save_checkpoint(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as context:
        context.setattr(run, "save_checkpoint", saved_and_killed)
        pytest.raises(KeyboardInterrupt, train, tmp_path / "killed")
    assert eqx.tree_equal(train(tmp_path / "killed"), train(tmp_path / "whole"))


def test_the_table_of_the_energy_transformer_is_that_of_the_results():
    from experiments.energy_transformer import run

    assert run.table(run.HERE / "results") in (run.HERE / "README.md").read_text(encoding="utf-8")


def test_completion_is_trained_by_both_gradients_and_stored_once(tmp_path, capsys):
    from experiments.completion import train

    options = ["--smoke", "--results", str(tmp_path), "--runs", str(tmp_path / "runs")]
    train.main(options)
    paths = sorted(tmp_path.glob("*.json"))
    assert [path.stem for path in paths] == ["smoke-ep", "smoke-implicit"]
    written = [path.read_bytes() for path in paths]
    assert "| smoke-ep |" in capsys.readouterr().out
    train.main(options)
    assert [path.read_bytes() for path in paths] == written
    assert "epoch" not in capsys.readouterr().out.replace("seconds an epoch", "")
    recipes = {run.name: run.recipe for run in train.runs()}
    assert len(recipes) == 4 * len(train.EPOCHS) * train.SEEDS
    assert train.table(train.HERE / "results") in (train.HERE / "README.md").read_text(encoding="utf-8")


def test_the_benchmark_of_completion_measures_a_method_once_and_its_page_has_what_is_stored(tmp_path):
    from experiments.completion import benchmark, figures

    options = ["--results", str(tmp_path), "--methods"]
    benchmark.main([*options, "mean", "--tested", "20"])
    first = json.loads((tmp_path / "digits.json").read_text(encoding="utf-8"))
    benchmark.main([*options, "mean,nearest", "--tested", "30"])
    both = json.loads((tmp_path / "digits.json").read_text(encoding="utf-8"))
    assert both["tested"] == {"mean": 20, "nearest": 30}
    assert both["masks"]["30 %"]["mean"] == first["masks"]["30 %"]["mean"]
    page = (benchmark.HERE.parents[1] / "docs" / "completion.md").read_text(encoding="utf-8")
    for path in benchmark.STORED.glob("*.json"):
        made = benchmark.numbers_table if path.stem.endswith("numbers") else benchmark.table
        assert made(path) in page
    assert (
        figures.draw_numbers(benchmark.STORED / "mnist-numbers.json").get_axes()[1].get_title()
        == "top half missing"
    )


def test_predictive_coding_is_trained_beside_backpropagation(tmp_path):
    from experiments.predictive_coding import run

    for rule in ("backpropagation", "errors-clamped"):
        run.main(["--smoke", "--only", rule, "--results", str(tmp_path)])
    backpropagation, clamped = run.table(tmp_path).splitlines()[2:]
    assert backpropagation.startswith("| backpropagation |")
    assert clamped.startswith("| errors-clamped |")
    assert all(float(row.split(" | ")[2]) < 50 for row in (backpropagation, clamped))  # chance is 90
    page = run.HERE.parents[1] / "docs" / "predictive_coding.md"
    assert run.table(run.HERE / "results") in page.read_text(encoding="utf-8")


def test_hopfield_pooling_learns_every_task_of_bags_with_as_many_weights_as_the_others(tmp_path):
    from experiments.bags import run

    run.main(["--smoke", "--seeds", "1", "--results", str(tmp_path)])
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("*.json")}
    assert set(results) == {"bits", "latch", "mnist"}
    for result in results.values():
        sizes = [row["seeds"][0]["weights"] for row in result["models"].values()]
        assert max(sizes) < 1.05 * min(sizes)
        # Chance is a half, with a standard deviation of 0.03 on 256 bags.
        assert result["models"]["hopfield"]["accuracy"] > 0.7
    assert run.table(run.HERE / "results") in (run.HERE / "README.md").read_text(encoding="utf-8")


def test_recall_with_other_separations_is_measured_and_the_page_has_what_is_stored(tmp_path):
    from experiments.separations import run

    run.main(["--smoke", "--results", str(tmp_path)])
    result = json.loads((tmp_path / "signs.json").read_text(encoding="utf-8"))
    assert set(result["curves"]) == set(run.SEPARATIONS)
    for curve in result["curves"].values():
        assert all(
            low <= x <= high
            for low, x, high in zip(*(curve[k] for k in ("low", "fraction", "high")), strict=True)
        )
    stored = json.loads((run.HERE / "results" / "signs.json").read_text(encoding="utf-8"))
    page = run.HERE.parents[1] / "docs" / "memories.md"
    assert run.table(stored) in page.read_text(encoding="utf-8")


def test_networks_of_more_and_less_feedback_are_measured_and_the_page_has_what_is_stored(tmp_path):
    from experiments.feedback import run

    run.main(["--smoke", "--results", str(tmp_path), "--runs", str(tmp_path / "runs")])
    results = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in tmp_path.glob("*.json")}
    weak, full = (results[f"one-{feedback}-seed0"]["feedback"] for feedback in (0.1, 1.0))
    assert weak["change"] < full["change"]
    assert weak["gain"] < full["gain"]
    page = run.HERE.parents[1] / "docs" / "low_feedback.md"
    assert run.table(run.HERE / "results") in page.read_text(encoding="utf-8")


def test_a_network_with_labels_among_its_pixels_classifies_and_draws(tmp_path, monkeypatch):
    """Little training on digits; the mask hides whole labels, and never both the label and all pixels."""
    from experiments.generation import run

    monkeypatch.setattr(run, "FRACTIONS", (0.0, 0.3))
    options = ["--data", "digits", "--epochs", "1", "--hidden", "8", "--results", str(tmp_path)]
    run.main([*options, "--figure", str(tmp_path / "drawn.png")])
    result = json.loads((tmp_path / "digits.json").read_text(encoding="utf-8"))
    assert result["classification"]["error"] < 0.3
    assert result["drawing"]["from start to start"] < 0.01
    nothing, some = result["completion"]
    assert some["label"] < nothing["label"] < nothing["no label"] < nothing["wrong label"]
    assert run.table(result).count("\n") >= 3
    known = jax.vmap(lambda key: run.PixelsOrLabel(64).draw(key, (74,)))(jr.split(jr.key(0), 200))
    assert set(np.asarray(known[:, 64:].sum(axis=1))) == {0, 10}
    assert known.any(axis=1).all()


def test_the_page_about_drawing_has_the_stored_numbers():
    from experiments.generation import run

    stored = json.loads((run.HERE / "results" / "mnist.json").read_text(encoding="utf-8"))
    assert run.table(stored).strip() in (run.HERE / "README.md").read_text(encoding="utf-8")


def test_the_pages_about_the_vae_have_what_is_stored():
    from experiments.vandermeersch2023 import table

    for page, tables in (("README.md", table.results()), ("settings.md", table.trials())):
        assert tables.strip() in (table.HERE / page).read_text(encoding="utf-8")
    values = [run["negative_elbo"] for run in table.stored_runs("mnist")]
    assert values == sorted(values)


def test_both_gradients_of_a_vae_are_near_its_exact_one():
    from experiments.vandermeersch2023 import gradient

    from hopfax.diagnostics import worst_array
    from hopfax.vae import VAEConfig
    from hopfax.vae.build import build_vae

    vae = build_vae(VAEConfig(pixels=6, hidden=4, latents=2))
    images, noise = jr.uniform(jr.key(0), (2, 5, 6)), jr.normal(jr.key(1), (2, 5, 2))
    solved = lambda solver, rtol: gradient.with_method(vae, gradient.SOLVERS[solver], rtol)
    exact, _ = gradient.mean_gradient(solved("Anderson", 1e-6), gradient.GRADIENTS["implicit"], images, noise)
    for estimate in gradient.GRADIENTS.values():
        value, seconds = gradient.mean_gradient(solved("Picard", 1e-4), estimate, images, noise)
        assert worst_array(value, exact)[1] > 0.999
        assert seconds > 0
