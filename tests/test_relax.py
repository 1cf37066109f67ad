"""`relax`: what it promises of batches, starts, clamps, stopping, status, types and errors."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import ZOO, blocks, close, double, scaled, sigmoid_chain

from hopfax import (
    HAM,
    Bias,
    Dense,
    EvenOdd,
    Interaction,
    Layer,
    Method,
    PartialClamp,
    Status,
    Synchronous,
    chain,
    relax,
)
from hopfax.gradients import ContrastiveLearning, CoupledLearning, Unrolled
from hopfax.lagrangians import Identity, Tanh
from hopfax.solvers import Anderson, Picard, Trace

MODEL = sigmoid_chain(4, 5, 3)
BATCH = jr.uniform(jr.key(1), (5, 4), jnp.float64)
TIGHT = {"rtol": 1e-11, "atol": 1e-12, "max_steps": 400}
PICARD = {"update": Synchronous(), "solver": Picard()}


def linear(model, clamp):
    """Identity neurons: `s_free = (I - A)⁻¹ (b + U x)`, over the layers not in `clamp`, in order."""
    whole, bias = blocks(model, model.order)
    known = np.concatenate([np.full(model.layers[n].size, n in clamp) for n in model.order])
    x = np.concatenate([np.asarray(clamp[n]) for n in model.order if n in clamp])
    a, u = whole[np.ix_(~known, ~known)], whole[np.ix_(~known, known)]
    return np.linalg.solve(np.eye(len(a)) - a, bias[~known] + u @ x)


def flatten(equilibrium, names):
    return np.concatenate([np.asarray(equilibrium.state[n]) for n in names])


def relative_residual(model, equilibrium, example):
    """Of the free layers, computed anew from the returned state."""
    states = {n: s[example] for n, s in equilibrium.state.items()}
    residual = model.residual(states)
    rms = lambda tree: np.sqrt(
        np.mean(np.square(np.concatenate([np.ravel(tree[n]) for n in tree if n != "input"])))
    )
    return rms(residual) / rms({n: states[n] - residual[n] for n in states})


# --- the equilibrium


def test_linear_networks_relax_to_the_closed_form():
    model, clamp = ZOO["linear"]
    equilibrium = relax(model, clamp, method=Method(**TIGHT))
    assert close(flatten(equilibrium, ("hidden", "output")), linear(model, clamp), 1e-9)


def test_the_result_is_the_whole_network_with_its_activations_and_energy():
    equilibrium = relax(MODEL, {"input": BATCH}, method=Method(**TIGHT))
    assert set(equilibrium.state) == set(MODEL.order)
    assert close(equilibrium.state["input"], BATCH)
    for i in range(len(BATCH)):
        one = {n: s[i] for n, s in equilibrium.state.items()}
        assert close({n: g[i] for n, g in equilibrium.activation.items()}, MODEL.activations(one))
        assert close(equilibrium.energy[i], MODEL.energy(one))


@pytest.mark.parametrize("rtol", [1e-2, 1e-4, 1e-8])
def test_the_residual_of_the_returned_state_is_below_the_tolerance(rtol):
    equilibrium = relax(MODEL, {"input": BATCH}, method=Method(rtol=rtol, atol=0.0, max_steps=100, **PICARD))
    assert equilibrium.converged.all()
    assert all(relative_residual(MODEL, equilibrium, i) <= rtol * (1 + 1e-6) for i in range(len(BATCH)))
    assert close(equilibrium.statistics.relative_residual[0], relative_residual(MODEL, equilibrium, 0), 1e-9)


def test_steps_count_updates_and_a_start_at_equilibrium_needs_none():
    equilibrium = relax(MODEL, {"input": BATCH}, method=Method(rtol=1e-8, atol=0.0, max_steps=100, **PICARD))
    assert (np.asarray(equilibrium.statistics.evaluations) == np.asarray(equilibrium.steps) + 1).all()
    start = {n: equilibrium.state[n] for n in ("hidden", "output")}
    again = relax(
        MODEL, {"input": BATCH}, start=start, method=Method(rtol=1e-7, atol=0.0, max_steps=100, **PICARD)
    )
    assert (np.asarray(again.steps) == 0).all()
    assert close({n: again.state[n] for n in start}, start)


# --- batches


@pytest.mark.parametrize("settings", [{}, PICARD], ids=["default", "picard"])
def test_results_do_not_depend_on_the_other_examples_of_a_batch(settings):
    """With one example far away and one NaN, the others are as without them, and only the NaN is nonfinite."""
    alone = relax(MODEL, {"input": BATCH}, method=Method(**TIGHT, **settings))
    mixed = relax(
        MODEL, {"input": BATCH.at[1].set(jnp.nan).at[3].set(1e3)}, method=Method(**TIGHT, **settings)
    )
    others = np.array([0, 2, 4])
    assert close([s[others] for s in alone.state.values()], [s[others] for s in mixed.state.values()], 1e-13)
    assert (np.asarray(alone.steps)[others] == np.asarray(mixed.steps)[others]).all()
    assert alone.converged.all()
    assert mixed.status[1] == Status.nonfinite
    assert (np.asarray(mixed.status)[others] == Status.converged).all()
    assert np.isfinite(mixed.state["output"]).all()


def test_a_slow_example_does_not_delay_the_others():
    """A chain of two layers that is coupled strongly in one example only, through a clamped gate."""
    layers = {"gate": Layer(1, Identity()), "a": Layer(1, Identity()), "b": Layer(1, Identity())}
    gated = Interaction(("gate", "a", "b"), lambda gate, a, b: -jnp.sum(gate * a * b), affine=True)
    model = HAM(layers, [gated, Bias("a", jnp.ones(1))])
    gates = jnp.array([[0.1], [0.99], [0.1]], jnp.float64)
    equilibrium = relax(
        model,
        {"gate": gates},
        method=Method(rtol=1e-8, atol=0.0, max_steps=30, update=EvenOdd(), solver=Picard()),
    )
    assert equilibrium.status.tolist() == [Status.converged, Status.max_steps, Status.converged]
    assert equilibrium.steps[0] == equilibrium.steps[2] < 6
    assert close(equilibrium.state["a"][0], 1 / (1 - 0.1**2), 1e-7)


def test_one_example_is_a_batch_of_one():
    one = relax(MODEL, {"input": BATCH[0]}, method=Method(**TIGHT))
    many = relax(MODEL, {"input": BATCH}, method=Method(**TIGHT))
    assert one.energy.shape == ()
    assert close(one.state, {n: s[0] for n, s in many.state.items()}, 1e-12)
    assert one.steps == many.steps[0]


def test_the_tolerance_does_not_depend_on_width():
    """Three copies of a network side by side take the steps of one, to the same residual."""
    names, weight = ("a", "b"), 0.5 * jr.normal(jr.key(3), (3, 2), jnp.float64)
    bias = jr.normal(jr.key(4), (3,), jnp.float64)

    def copies(k):
        layers = {"a": Layer(3 * k, Tanh()), "b": Layer(2 * k, Tanh())}
        return HAM(layers, [Dense(names, jnp.kron(jnp.eye(k), weight)), Bias("a", jnp.tile(bias, k))])

    start = lambda k: {"b": jnp.zeros(2 * k, jnp.float64)}
    one, three = (
        relax(copies(k), start=start(k), method=Method(rtol=1e-6, atol=1e-7, solver=Picard())) for k in (1, 3)
    )
    assert one.steps == three.steps
    assert close(one.residual, three.residual)


# --- clamps and starts


def test_some_neurons_of_a_layer_can_be_clamped():
    model, _ = ZOO["linear"]
    known, mask = jnp.array([0.3, -0.2, 0.9, 0.4], jnp.float64), jnp.array([True, False, True, True])
    equilibrium = relax(model, {"input": PartialClamp(known, mask)}, method=Method(**TIGHT))
    assert (np.asarray(equilibrium.state["input"])[mask] == np.asarray(known)[mask]).all()
    whole, bias = blocks(model, model.order)
    clamped = np.concatenate([mask, np.zeros(8, bool)])
    right = bias[~clamped] + whole[np.ix_(~clamped, clamped)] @ np.asarray(known)[mask]
    expected = np.linalg.solve(np.eye((~clamped).sum()) - whole[np.ix_(~clamped, ~clamped)], right)
    assert close(flatten(equilibrium, model.order)[~clamped], expected, 1e-9)


def test_states_outside_the_mask_have_no_effect():
    """Not even NaN, the usual mark of a missing pixel."""
    model, _ = ZOO["linear"]
    known, mask = jnp.array([0.3, -0.2, 0.9, 0.4], jnp.float64), jnp.array([True, False, True, True])
    plain = relax(model, {"input": PartialClamp(known, mask)}, method=Method(**TIGHT))
    missing = relax(model, {"input": PartialClamp(known.at[1].set(jnp.nan), mask)}, method=Method(**TIGHT))
    assert close(plain.state, missing.state)


def test_layers_that_the_start_leaves_out_start_at_their_drive():
    """Given the states that the start has."""
    equilibrium = relax(
        MODEL, {"input": BATCH}, start={"hidden": jnp.full((5, 5), 0.7)}, method=Method(max_steps=0, **PICARD)
    )
    free = MODEL.condition({"input": BATCH[0]})
    states = {"hidden": jnp.full(5, 0.7), "output": jnp.zeros(3)}
    drive = free.drive(free.activations(states), ("output",))["output"]
    assert close(equilibrium.state["hidden"], jnp.full((5, 5), 0.7))
    assert close(equilibrium.state["output"][0], drive)


def test_without_a_start_all_layers_start_at_zero():
    equilibrium = relax(MODEL, {"input": BATCH}, method=Method(max_steps=0, **PICARD))
    assert not np.any(equilibrium.state["hidden"])
    assert not np.any(equilibrium.state["output"])
    assert (np.asarray(equilibrium.steps) == 0).all()


# --- stopping and status


def test_tolerances_and_steps_change_without_compiling_again():
    traces = []

    def counted(a, b):
        traces.append(None)
        return -0.1 * jnp.sum(a) * jnp.sum(b)

    layers = {"a": Layer(2, Tanh()), "b": Layer(2, Tanh())}
    model = HAM(layers, [Interaction(("a", "b"), counted, affine=True), Bias("a", jnp.ones(2))])
    loose = relax(model, method=Method(rtol=1e-2, atol=1e-3, max_steps=50, solver=Picard()))
    seen = len(traces)
    tight = relax(model, method=Method(rtol=1e-6, atol=0.0, max_steps=60, solver=Picard()))
    assert len(traces) == seen
    assert tight.steps > loose.steps


def test_the_trace_records_the_relative_residual_of_each_evaluation_and_then_nan():
    equilibrium = relax(
        MODEL, {"input": BATCH}, method=Method(rtol=1e-6, atol=0.0, max_steps=100, **PICARD), trace=60
    )
    for trace, evaluations in zip(
        np.asarray(equilibrium.trace.residual), equilibrium.statistics.evaluations, strict=True
    ):
        assert np.isfinite(trace[:evaluations]).all()
        assert np.isnan(trace[evaluations:]).all()
        assert (trace[: evaluations - 1] > 1e-6).all()
        assert trace[evaluations - 1] <= 1e-6


@pytest.mark.parametrize("settings", [{}, PICARD], ids=["default", "picard"])
def test_the_trace_records_the_energy_and_the_states_of_accepted_points(settings):
    model, method = scaled(MODEL, 3.0), Method(rtol=1e-6, **settings)
    equilibrium = relax(model, {"input": BATCH}, method=method, trace=Trace(90, energy=True, state=True))
    energies = jax.jit(jax.vmap(jax.vmap(model.energy)))(equilibrium.trace.state)
    assert equilibrium.trace.state["input"].shape == (5, 90, 4)
    for index, evaluations in enumerate(equilibrium.statistics.evaluations):
        energy = np.asarray(equilibrium.trace.energy[index])
        assert close(energy[:evaluations], energies[index, :evaluations])
        assert np.isnan(energy[evaluations:]).all()
        if not settings:
            assert (np.diff(energy[:evaluations]) <= 1e-12).all()
            assert close(energy[evaluations - 1], equilibrium.energy[index])


def test_the_trace_has_only_what_was_asked_for():
    equilibrium = relax(MODEL, {"input": BATCH}, trace=3)
    assert equilibrium.trace.residual.shape == (5, 3)
    assert equilibrium.trace.energy is None
    assert equilibrium.trace.state is None


def pair(coupling: float) -> HAM:
    layers = {"a": Layer(1, Tanh()), "b": Layer(1, Tanh())}
    return HAM(layers, [Dense(("a", "b"), jnp.array([[coupling]], jnp.float64))])


@pytest.mark.parametrize("update", [Synchronous(), EvenOdd()], ids=["synchronous", "even-odd"])
def test_where_synchronous_updates_cycle_even_odd_converges(update):
    """`a = 2 tanh(b)`, `b = 2 tanh(a)` from opposite signs: the two states swap for ever."""
    start = {"a": jnp.array([1.0]), "b": jnp.array([-1.0])}
    equilibrium = relax(
        pair(2.0), start=start, method=Method(update=update, solver=Picard(), rtol=1e-6, max_steps=100)
    )
    assert equilibrium.status == (Status.max_steps if isinstance(update, Synchronous) else Status.converged)
    if equilibrium.converged:
        assert close(equilibrium.state["a"], equilibrium.state["b"], 1e-5)
        assert close(equilibrium.state["b"], 2 * np.tanh(equilibrium.state["b"]), 1e-5)


def test_a_solve_that_runs_out_of_steps_says_so():
    start = {"a": jnp.array([1.0]), "b": jnp.array([1.0])}
    equilibrium = relax(
        pair(0.98), start=start, method=Method(update=EvenOdd(), solver=Picard(), rtol=1e-6, max_steps=10)
    )
    assert equilibrium.status == Status.max_steps
    assert equilibrium.steps == 10


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_example_that_leaves_a_saddle_slowly_is_relaxed_to_its_minimum(dtype):
    """Its residual grows for many sweeps, from within ten tolerances."""
    weight, bias = np.diag([1.05, 0.2]).astype(dtype), np.array([0, 1], dtype)
    layers = {"a": Layer(2, Tanh()), "b": Layer(2, Tanh())}
    model = HAM(layers, [Dense(("a", "b"), weight), Bias("a", bias)])
    start = {"b": np.array([8e-4, 0.15], dtype)}
    equilibrium = relax(model, start=start, method=Method(solver=Picard(), max_steps=5000))
    b = start["b"].astype(float)
    for _ in range(2000):
        b = np.tanh(np.tanh(b) @ weight.T + bias) @ weight
    minimum = float(model.energy({"a": jnp.asarray(np.tanh(b) @ weight.T + bias), "b": jnp.asarray(b)}))
    assert equilibrium.converged
    assert minimum == pytest.approx(-0.44907, abs=1e-5)
    assert float(equilibrium.energy) == pytest.approx(minimum, abs=1e-4)


@pytest.mark.parametrize("solver", [Picard(), Anderson()], ids=lambda s: type(s).__name__)
def test_a_tolerance_below_the_rounding_errors_stalls(solver):
    model = chain([4, 300, 3], Tanh(), key=jr.key(3), bias_std=0.3)
    inputs = jr.normal(jr.key(1), (40, 4), jnp.float32)
    method = Method(solver=solver, rtol=1e-12, atol=0.0, max_steps=1000)
    equilibrium = relax(model, {"input": inputs}, method=method)
    stalled = np.asarray(equilibrium.status) == Status.stalled
    assert stalled.any()
    assert (stalled | np.asarray(equilibrium.converged)).all()
    assert (equilibrium.statistics.relative_residual < 2e-6).all()
    assert (equilibrium.statistics.evaluations < 1000).all()


def test_throw_raises_if_an_example_does_not_converge():
    assert relax(MODEL, {"input": BATCH}, throw=True, method=Method(**TIGHT)).converged.all()
    with pytest.raises(eqx.EquinoxRuntimeError, match="did not converge for every example"):
        relax(MODEL, {"input": BATCH.at[0].set(jnp.nan)}, throw=True, method=Method(**TIGHT))


# --- types


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "int32"])
def test_states_are_at_least_float32_and_as_wide_as_model_and_clamp(dtype):
    """Even where x64 is enabled; the weights are float32."""
    narrow = chain([4, 5, 3], key=jr.key(3), bias_std=0.3)
    clamp = (10 * BATCH).astype(dtype)
    equilibrium = relax(narrow, {"input": clamp}, method=Method(rtol=1e-5, atol=0.0))
    assert {s.dtype for s in equilibrium.state.values()} == {jnp.dtype("float32")}
    assert equilibrium.energy.dtype == jnp.float32
    assert equilibrium.converged.all()
    reference = relax(double(narrow), {"input": clamp.astype(jnp.float64)}, method=Method(**TIGHT))
    assert close(equilibrium.state, reference.state, 1e-4)


# --- errors


@pytest.mark.parametrize(
    ("clamp", "start", "message"),
    [
        ({"inputs": BATCH}, {}, "`clamp` names an unknown layer 'inputs'"),
        ({"input": BATCH}, {"top": BATCH}, "`start` names an unknown layer 'top'"),
        ({"input": BATCH[:, :3]}, {}, r"`clamp\['input'\]` has shape \(5, 3\); the layer needs \(4,\)"),
        ({"input": BATCH[None]}, {}, r"has shape \(1, 5, 4\)"),
        ({"input": PartialClamp(BATCH, jnp.ones(3, bool))}, {}, r"`clamp\['input'\]` has shape \(3,\)"),
        ({"input": BATCH}, {"output": jnp.zeros((4, 3))}, "batches of different sizes"),
        ({"input": BATCH[:0]}, {}, "empty batch"),
        ({"input": BATCH[0], "hidden": jnp.zeros(5), "output": jnp.zeros(3)}, {}, "clamps every layer"),
        ({"input": BATCH + 1j}, {}, r"`clamp\['input'\]` must be real numbers, got complex128"),
    ],
)
def test_bad_inputs_are_refused(clamp, start, message):
    with pytest.raises(ValueError, match=message):
        relax(MODEL, clamp, start=start)


@pytest.mark.parametrize("gradient", [CoupledLearning(), ContrastiveLearning()], ids=str)
def test_a_rule_that_clamps_the_output_has_equilibria_but_no_gradient_of_a_state(gradient):
    read = lambda x: relax(MODEL, {"input": x}, method=Method(gradient=gradient)).state["output"]
    np.testing.assert_array_equal(read(BATCH), relax(MODEL, {"input": BATCH}).state["output"])
    with pytest.raises(ValueError, match=r"use `hopfax\.objective` with a cost"):
        jax.grad(lambda x: jnp.sum(read(x)))(BATCH)


def test_a_gradient_with_respect_to_the_start_is_zero_and_warns():
    start = {"hidden": jnp.full((5, 5), 0.1)}
    value = lambda start, x, **s: jnp.sum(
        relax(MODEL, {"input": x}, start=start, method=Method(**s)).state["output"]
    )
    with pytest.warns(UserWarning, match="gradient with respect to `start` is zero"):
        gradient = jax.grad(value)(start, BATCH)
    np.testing.assert_array_equal(gradient["hidden"], 0)
    jax.grad(value, argnums=1)(start, BATCH)  # warnings are errors here
    unrolled = jax.grad(lambda start: value(start, BATCH, gradient=Unrolled(2)))(start)
    assert np.any(unrolled["hidden"] != 0)


def test_even_odd_is_refused_where_the_free_graph_is_not_bipartite():
    model, clamp = ZOO["triangle"]
    with pytest.raises(ValueError, match="odd cycle"):
        relax(model, clamp, method=Method(update=EvenOdd()))


def test_a_method_first_used_inside_jit_serves_outside():
    """Its tolerances are made into arrays once; arrays made in a trace would leak out of it."""
    method, clamp = Method(rtol=1e-3), {"input": BATCH[0]}
    inside = jax.jit(lambda clamp: relax(MODEL, clamp, method=method).state)(clamp)
    assert close(inside, relax(MODEL, clamp, method=method).state)
