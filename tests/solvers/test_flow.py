"""Gradient flow: forward Euler is damped iteration, the steady state is the equilibrium, and the status is right."""

import dataclasses

import diffrax as dfx
import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from problems import close, double, scaled

from hopfax import Method, Status, Synchronous, chain, costs, objective, relax
from hopfax.gradients import Unrolled
from hopfax.lagrangians import Tanh
from hopfax.solvers import GradientFlow, Picard, Trace
from hopfax.updates import Damped

MODEL = chain([3, 4, 2], Tanh(), key=jr.key(0), bias_std=0.3)
INPUTS = np.array([[0.3, -1.0, 0.7], [0.1, np.nan, 1.0], [1.0, 0.3, -0.2]])
STEPS = 5
EULER = GradientFlow(dfx.Euler(), dfx.ConstantStepSize(), 0.3, max_steps=STEPS)


ZEROS = {name: np.zeros((3, size)) for name, size in {"input": 3, "hidden": 4, "output": 2}.items()}


def flow(model, start, max_steps, dtype=np.float64):
    start, clamp = {name: np.asarray(x, dtype) for name, x in start.items()}, {"input": INPUTS.astype(dtype)}
    return relax(
        model,
        clamp,
        start=start,
        method=Method(solver=GradientFlow(max_steps=max_steps), rtol=1e-5, atol=0.0),
    )


@pytest.fixture(scope="module")
def equilibria():
    """From zero, in float64 and float32."""
    return {"float64": flow(double(MODEL), ZEROS, 200), "float32": flow(MODEL, ZEROS, 200, np.float32)}


def test_forward_euler_is_damped_iteration_step_by_step():
    # With weak synapses residuals fall at every step, so the best state is the last.
    model, clamp = scaled(double(MODEL), 0.4), {"input": INPUTS[0]}
    run = lambda solver, update: relax(
        model,
        clamp,
        method=Method(solver=solver, update=update, rtol=0.0, atol=0.0, max_steps=STEPS),
        trace=Trace(STEPS + 1, energy=True, state=True),
    )
    flow = run(EULER, Synchronous())
    damped = [run(Picard(damping=0.7), Synchronous()), run(Picard(), Damped(Synchronous(), 0.3))]
    assert close(flow.state, damped[0].state)
    assert close(flow.state, damped[1].state)
    assert close(flow.trace.residual[:STEPS], damped[0].trace.residual[1:])
    assert close(flow.trace.energy[:STEPS], damped[0].trace.energy[1:])
    assert close(flow.trace.state["output"][:STEPS], damped[0].trace.state["output"][1:])
    assert flow.statistics.status == Status.max_steps
    assert relax(model, clamp, method=Method(solver=EULER)).statistics.trace.residual.shape == (0,)
    assert (flow.steps, flow.statistics.evaluations) == (STEPS, 1 + 2 * STEPS)


@pytest.mark.slow
def test_the_residual_is_that_of_one_sweep(equilibria):
    """As a solver that takes no step reports it at that state."""
    again = relax(
        double(MODEL),
        {"input": INPUTS[::2]},
        start=jax.tree.map(lambda x: x[::2], equilibria["float64"].state),
        method=Method(solver=Picard(), max_steps=0),
    ).statistics
    statistics = equilibria["float64"].statistics
    assert close(statistics.residual[::2], again.residual, 1e-9)
    assert close(statistics.relative_residual[::2], again.relative_residual, 1e-9)


@pytest.mark.parametrize("dtype", ["float64", "float32"])
def test_the_steady_state_is_the_equilibrium_and_a_bad_example_does_not_affect_the_others(dtype, equilibria):
    expected = relax(
        double(MODEL), {"input": INPUTS[::2]}, method=Method(solver=Picard(), rtol=1e-9, atol=0.0)
    )
    states = equilibria[dtype].state
    assert equilibria[dtype].status.tolist() == [Status.converged, Status.nonfinite, Status.converged]
    assert states["output"].dtype == dtype
    assert close(jax.tree.map(lambda x: x[::2], states), expected.state, 1e-4)
    assert np.isfinite(states["output"]).all()


def test_the_returned_state_is_within_the_tolerance(equilibria):
    states = {name: state[0] for name, state in equilibria["float64"].state.items()}
    free = double(MODEL).condition({"input": states["input"]})
    activations = free.activations({"hidden": states["hidden"], "output": states["output"]})
    drive = free.drive(activations, ("output",))["output"]
    rms = lambda x: float(jnp.sqrt(jnp.mean(x**2)))
    assert np.isclose(equilibria["float64"].residual[0], rms(drive - states["output"]))
    assert equilibria["float64"].residual[0] <= 1e-5 * rms(drive)


def test_a_start_at_the_equilibrium_takes_no_step_and_a_solve_may_run_out_of_steps(equilibria):
    again = flow(double(MODEL), equilibria["float64"].state, 200)
    assert again.steps.tolist() == [0, 0, 0]
    assert close(again.state["output"][0], equilibria["float64"].state["output"][0])
    short = flow(double(MODEL), ZEROS, 3)
    assert short.status.tolist() == [Status.max_steps, Status.nonfinite, Status.max_steps]
    assert (short.steps + short.statistics.rejections).tolist() == [3, 0, 3]
    one = relax(MODEL, {"input": INPUTS[0]}, method=Method(solver=dataclasses.replace(EULER, max_steps=1)))
    assert one.steps == 1
    assert np.any(np.asarray(one.state["output"]) != 0)


def test_gradients_are_those_of_the_equilibrium():
    @eqx.filter_jit
    @eqx.filter_grad
    def gradient(model, solver):
        method = Method(solver=solver, rtol=1e-9)
        clamp, cost = {"input": INPUTS[0]}, costs.StateSquaredError()
        return objective(model, clamp, cost, jnp.ones(2), method=method)[0]

    assert close(gradient(double(MODEL), GradientFlow()), gradient(double(MODEL), Picard()), 1e-6)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: GradientFlow(step=0.0), "step=0.0"),
        (lambda: GradientFlow(share=2.0), "share=2.0"),
        (lambda: relax(MODEL, {}, method=Method(solver=GradientFlow("Tsit5"))), "must be a diffrax solver"),
        (
            lambda: relax(MODEL, {}, method=Method(solver=GradientFlow(controller=0.1))),
            "must be a diffrax step-size controller",
        ),
    ],
)
def test_bad_settings_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_direct_solver_cannot_be_unrolled():
    with pytest.raises(ValueError, match="has none"):
        relax(MODEL, {}, method=Method(solver=GradientFlow(), gradient=Unrolled()))
