"""The reproduction's row with gradients through the acceleration, and MNIST enlarged as EMNIST is."""

import json

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import hopfax
from hopfax.costs import StateSquaredError
from hopfax.gradients import Implicit, Phantom
from hopfax.papers import paper_method


def gradient_by(gradient, model="HAM-DEQ"):
    network, images = hopfax.chain([6, 5, 3], key=jr.key(0)), jr.uniform(jr.key(1), (4, 6))
    paper = paper_method(model, 200)
    method = hopfax.Method(paper.update, paper.solver, gradient, 1e-9, 0.0, 400)
    targets = jnp.eye(3)[jnp.array([0, 1, 2, 0])]

    @eqx.filter_jit
    def differentiate(network):
        costs = lambda n: hopfax.objective(n, {"input": images}, StateSquaredError(), targets, method=method)[
            0
        ]
        return eqx.filter_grad(lambda n: jnp.mean(costs(n)))(network)

    leaves = jax.tree.leaves(eqx.filter(differentiate(network), eqx.is_array))
    return np.concatenate([np.ravel(leaf) for leaf in leaves])


@pytest.mark.parametrize("model", ["HAM-DEQ", "HAM-EO-DEQ"])
def test_one_step_is_a_plain_step_and_many_are_the_exact_gradient(model):
    from experiments.goemaere2023.backward import ThroughAnderson

    np.testing.assert_allclose(
        gradient_by(ThroughAnderson(1), model), gradient_by(Phantom(1), model), rtol=1e-6, atol=1e-9
    )
    exact = gradient_by(Implicit(), model)
    error = lambda steps: (
        np.linalg.norm(gradient_by(ThroughAnderson(steps), model) - exact) / np.linalg.norm(exact)
    )
    assert error(60) < 1e-3 < error(2)


def test_at_rest_the_acceleration_averages_its_window():
    """Its weights are all 1/4, so a step has the mean gradient of four: further from the exact one than plain steps."""
    from experiments.goemaere2023.backward import ThroughAnderson

    exact, averaged, plain = (gradient_by(g) for g in (Implicit(), ThroughAnderson(8), Phantom(8)))
    assert np.linalg.norm(averaged - exact) > np.linalg.norm(plain - exact)


def test_a_run_is_stored_read_again_and_tabulated(tmp_path, capsys):
    from experiments.goemaere2023 import backward

    options = ["--seeds", "0", "--data", "digits", "--epochs", "1", "--out", str(tmp_path)]
    options += ["--runs", str(tmp_path / "runs")]
    backward.main(options)
    (path,) = (tmp_path / "results").glob("*.json")
    stored = path.read_bytes()
    assert json.loads(stored)["config"]["backward"] == "through 8 Anderson steps"
    backward.main(options)
    assert path.read_bytes() == stored
    assert "| v1-HAM-DEQ-through-anderson | 6.2 (0.4) |" in capsys.readouterr().out


def boxes(images):
    """The sides of the boxes of ink, and the pixels that are empty before and after them."""
    ink = images.reshape(-1, 28, 28) > 0.2
    sides = []
    for axis in (2, 1):
        line = ink.any(axis=axis)
        begin, end = line.argmax(axis=1), 28 - line[:, ::-1].argmax(axis=1)
        sides.append((end - begin, begin, 28 - end))
    return sides


def test_enlarged_digits_fill_23_pixels_and_are_centred():
    from experiments.goemaere2023.emnist_like import enlarged

    image = np.zeros((3, 28, 28), np.float32)
    image[0, 4:22, 10:16] = 1.0
    image[1, 20:26, 2:14] = 0.5
    (high, top, bottom), (wide, left, right) = boxes(enlarged(image.reshape(3, -1)))
    np.testing.assert_allclose(high[:2], [23, 11.5], atol=2)
    np.testing.assert_allclose(wide[:2], [7.7, 23], atol=2)
    np.testing.assert_allclose((top - bottom)[:2], 0, atol=1)
    np.testing.assert_allclose((left - right)[:2], 0, atol=1)
    assert np.all(enlarged(image.reshape(3, -1))[2] == 0)


def test_images_of_another_size_are_refused():
    from experiments.goemaere2023.emnist_like import emnist_like

    with pytest.raises(ValueError, match="only 28 by 28"):
        emnist_like(hopfax.data.digits())


@pytest.mark.mnist
def test_mean_and_deviation_come_near_those_of_emnist(mnist):
    """EMNIST's digits have .1733 and .3317, MNIST's .1307 and .3081."""
    from experiments.goemaere2023.emnist_like import enlarged

    pixels = enlarged(mnist.test_images)
    np.testing.assert_allclose([pixels.mean(), pixels.std()], [0.1733, 0.3317], atol=0.01)
