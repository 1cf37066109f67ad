"""Madam against a plain transcription of its formula, and the laws of a multiplicative update."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest

from hopfax.training.madam import madam

SHAPES = {"matrix": (4, 3), "bias": (3,)}


def random_tree(key, scale=1.0):
    keys = jr.split(key, len(SHAPES))
    return {name: scale * jr.normal(k, shape) for k, (name, shape) in zip(keys, SHAPES.items(), strict=True)}


def reference(weights, gradients, rate, scale_bound, gradient_bound, decay):
    """The published formula for one leaf, step by step."""
    bound = scale_bound * np.sqrt(np.mean(weights**2))
    moment = np.zeros_like(weights)
    for t, gradient in enumerate(gradients, start=1):
        moment = decay * moment + (1 - decay) * gradient**2
        with np.errstate(invalid="ignore"):
            ratio = np.nan_to_num(gradient / np.sqrt(moment / (1 - decay**t)))
        ratio = np.clip(ratio, -gradient_bound, gradient_bound)
        weights = np.clip(weights * np.exp(-rate(t - 1) * ratio * np.sign(weights)), -bound, bound)
    return weights


def descend(optimiser, weights, gradients):
    """Applies a sequence of gradients (stacked along the first axis), one scan."""

    def step(carry, gradient):
        weights, state = carry
        updates, state = optimiser.update(gradient, state, weights)
        weights = optax.apply_updates(weights, updates)
        return (weights, state), weights

    return jax.jit(lambda w, g: jax.lax.scan(step, (w, optimiser.init(w)), g)[1])(weights, gradients)


@pytest.mark.parametrize(
    ("rate", "scale_bound", "gradient_bound", "decay"),
    [(0.01, 1024.0, 3.0, 0.999), (0.3, 1.2, 10.0, 0.9), (0.2, 1024.0, 0.5, 0.99)],
    ids=["paper", "clamped weights", "clipped gradients"],
)
def test_formula(rate, scale_bound, gradient_bound, decay):
    weights = random_tree(jr.key(0))
    gradients = jax.vmap(random_tree)(jr.split(jr.key(1), 12))
    gradients["matrix"] = (
        gradients["matrix"].at[:, 0, 0].set(0.0)
    )  # a weight that never has a gradient: 0 / 0
    optimiser = madam(rate, scale_bound=scale_bound, gradient_bound=gradient_bound, decay=decay)
    trajectory = descend(optimiser, weights, gradients)
    for name in SHAPES:
        expected = reference(
            np.asarray(weights[name]),
            np.asarray(gradients[name]),
            lambda t: rate,
            scale_bound,
            gradient_bound,
            decay,
        )
        np.testing.assert_allclose(trajectory[name][-1], expected, rtol=1e-10)
    if scale_bound > 100:  # else the clamp may move it
        assert (trajectory["matrix"][:, 0, 0] == weights["matrix"][0, 0]).all()


def test_schedule_sees_the_steps_taken():
    weights, gradients = jr.normal(jr.key(2), (5,)), jr.normal(jr.key(3), (6, 5))
    schedule = lambda t: 0.1 * 0.5**t
    trajectory = descend(madam(schedule), weights, gradients)
    expected = reference(np.asarray(weights), np.asarray(gradients), schedule, 1024.0, 3.0, 0.999)
    np.testing.assert_allclose(trajectory[-1], expected, rtol=1e-10)


def test_first_step_multiplies_by_the_rate():
    """At `t = 1` the ratio is the sign of the gradient, whatever its size: `w` becomes `w exp(-+rate)`."""
    weights = jnp.asarray([1.0, 1.0, -1.0, -1.0])
    gradients = jnp.asarray([[1e-6, -1e6, 1e-6, -1e6]])
    (got,) = descend(madam(0.1), weights, gradients)
    np.testing.assert_allclose(got, weights * jnp.exp(0.1 * jnp.asarray([-1, 1, 1, -1])), rtol=1e-9)


def test_signs_are_kept_and_zeros_stay_zero():
    """Even for rates at which `exp` underflows or overflows."""
    weights = jnp.asarray([1.0, -2.0, 0.0, 3.0, -0.0])
    gradients = 10 * jr.normal(jr.key(4), (20, 5))
    for rate in (0.5, 500.0):
        trajectory = descend(madam(rate, scale_bound=3.0), weights, gradients)
        assert jnp.isfinite(trajectory).all()
        assert (trajectory * weights[None] >= 0).all()
        assert (trajectory[:, weights == 0] == 0).all()
    assert (descend(madam(0.5), weights, gradients)[:, weights != 0] != 0).all()


def test_clamp_uses_the_initial_scale():
    """Pushed outwards for long, every weight ends at `scale_bound` times the root mean square at `init`."""
    weights = jnp.asarray([3.0, -4.0])
    outwards = jnp.tile(-jnp.sign(weights), (60, 1))
    trajectory = descend(madam(0.2, scale_bound=2.0), weights, outwards)
    np.testing.assert_allclose(trajectory[-1], 2 * np.sqrt(12.5) * np.sign(weights), rtol=1e-12)


def test_gradient_clip_acts():
    """One large gradient after many tiny ones has a ratio far above 1; the step is `gradient_bound` only."""
    gradients = jnp.asarray([1e-8] * 200 + [1.0])[:, None]
    trajectory = descend(madam(0.01, gradient_bound=2.0), jnp.ones(1), gradients)
    np.testing.assert_allclose(trajectory[-1] / trajectory[-2], np.exp(-0.02), rtol=1e-12)


def test_underflowing_gradients_do_not_move_float32_weights():
    """The square of 1e-30 is zero in float32; its ratio must not read as infinite."""
    trajectory = descend(madam(0.1), jnp.ones(2, jnp.float32), jnp.full((3, 2), 1e-30, jnp.float32))
    assert (trajectory == 1).all()


@pytest.mark.parametrize("dtype", ["bfloat16", "float32"])
def test_dtypes(dtype):
    """Weights keep theirs; the second moment never loses `decay` to rounding."""
    weights = jnp.ones(3, dtype)
    optimiser = madam(lambda t: jnp.asarray(0.1, jnp.float64))
    updates, state = optimiser.update(weights, optimiser.init(weights), weights)
    assert updates.dtype == dtype
    assert state.second_moment.dtype == state.rms.dtype == jnp.float32


def test_works_on_a_filtered_module():
    """Fields that are no arrays are `None` for the optimiser and come back untouched."""
    model = eqx.nn.MLP(2, 1, 3, 1, activation=jnp.tanh, key=jr.key(5))
    optimiser = madam(0.1)
    state = optimiser.init(eqx.filter(model, eqx.is_inexact_array))

    @eqx.filter_jit
    def step(model, state):
        gradients = eqx.filter_grad(lambda m: jnp.sum(m(jnp.ones(2)) ** 2))(model)
        updates, state = optimiser.update(gradients, state, eqx.filter(model, eqx.is_inexact_array))
        return eqx.apply_updates(model, updates), state

    trained, state = step(model, state)
    assert state.count == 1
    assert trained.activation is model.activation
    assert (trained.layers[-1].weight != model.layers[-1].weight).all()


def test_a_missing_gradient_leaves_its_weight_alone():
    weights = {"moves": jnp.ones(2), "rests": jnp.ones(2)}
    optimiser = madam(0.1)
    state = optimiser.init(weights)
    updates, after = optimiser.update({"moves": jnp.ones(2), "rests": None}, state, weights)
    assert updates["rests"] is None
    assert (after.second_moment["rests"] == 0).all()
    assert (updates["moves"] < 0).all()


def test_hyperparameters_can_be_injected():
    """`optax.inject_hyperparams` passes them as traced arrays."""
    weights, gradients = jnp.ones(2), jnp.ones((3, 2))
    injected = descend(optax.inject_hyperparams(madam)(learning_rate=0.1, decay=0.9), weights, gradients)
    np.testing.assert_allclose(injected, descend(madam(0.1, decay=0.9), weights, gradients), rtol=1e-6)


@pytest.mark.parametrize(
    "bad",
    [
        {"learning_rate": -1.0},
        {"learning_rate": float("nan")},
        {"scale_bound": 0.0},
        {"gradient_bound": float("inf")},
        {"decay": 1.0},
        {"decay": 0.0},
    ],
    ids=str,
)
def test_bad_arguments_are_refused(bad):
    (name,) = bad
    with pytest.raises(ValueError, match=rf"madam\({name}="):
        madam(**{"learning_rate": 0.1, **bad})


def test_missing_params_are_refused():
    optimiser = madam(0.1)
    with pytest.raises(ValueError, match="params=None"):
        optimiser.update(jnp.ones(2), optimiser.init(jnp.ones(2)))


@pytest.mark.parametrize(
    "leaf", [jnp.ones(2, int), jnp.ones(2, complex), 1.0], ids=["int", "complex", "float"]
)
def test_unsuitable_leaves_are_refused(leaf):
    with pytest.raises(ValueError, match=r"real floating-point arrays.*equinox.filter"):
        madam(0.1).init({"weight": leaf})
