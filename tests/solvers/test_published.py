"""Anderson acceleration as the papers publish it, transcribed in NumPy, iterate by iterate."""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from hopfax.papers import PUBLISHED_ANDERSON
from hopfax.solvers import Picard, Stopping, Unguarded, iterate
from hopfax.updates.problem import AbstractMap, StepInfo

# Linear maps by their eigenvalues, and whether the papers' safeguard admits acceleration.
MAPS = {
    "slow, one-sided": ([0.9, 0.5, 0.2], False),
    "slow, alternating": ([-0.9, 0.5, 0.2], True),
    "slow pair": ([-0.9, 0.9, 0.3], False),
    "fast": ([0.45, 0.3, 0.1], True),
}
PUBLISHED = PUBLISHED_ANDERSON
UNGUARDED = dataclasses.replace(PUBLISHED, safeguard=Unguarded())


class Linear(AbstractMap):
    """`f(z) = A z + b` in the form that the solver loop takes."""

    matrix: jax.Array
    shift: jax.Array

    def evaluate(self, states, energy=True, slope=False):
        image = self.matrix @ states["z"] + self.shift
        rms = lambda x: jnp.sqrt(jnp.mean(jnp.square(x)))
        zero = jnp.zeros((), jnp.float64)
        return {"z": image}, StepInfo(rms(image - states["z"]), rms(image), zero, zero)


def problem(eigenvalues):
    basis = np.linalg.qr(np.array([[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 1.0]]))[0]
    return Linear(jnp.asarray(basis @ np.diag(eigenvalues) @ basis.T), jnp.array([1.0, -0.5, 0.7]))


@eqx.filter_jit
def evaluations(linear, solver, rtol):
    start = {"z": jnp.zeros(3, jnp.float64)}
    return iterate(linear, solver, start, Stopping(rtol, jnp.asarray(0.0), jnp.asarray(500)))[1].evaluations


@eqx.filter_jit
def iterates(linear, solver, count):
    start = {"z": jnp.zeros(3, jnp.float64)}
    fn = lambda states, args: linear.evaluate(states)
    state = solver.init(fn, start, None, {}, *jax.eval_shape(fn, start, None), frozenset())

    def step(carry, _):
        new, state, _ = solver.step(fn, carry[0], None, {}, carry[1], frozenset())
        return (new, state), new["z"]

    return jax.lax.scan(step, (start, state), None, length=count)[1]


def published(f, z, count, guarded, window=4, ridge=1e-10):
    """`(FᵀF + λ I) a = 1`, `a / Σa`, candidate `Σ a_i f(z_i)`; then perhaps the papers' test."""
    points, images, visited = [], [], []
    norm = np.linalg.norm
    for _ in range(count):
        points, images = [*points, z][-window:], [*images, f(z)][-window:]
        residuals = np.stack([g - p for g, p in zip(images, points, strict=True)], axis=1)
        a = np.linalg.solve(residuals.T @ residuals + ridge * np.eye(len(points)), np.ones(len(points)))
        candidate, image, point = np.stack(images, axis=1) @ (a / a.sum()), images[-1], points[-1]
        keep = (
            norm(image - candidate) / norm(candidate) < norm(image - point) / norm(point)
            if point.any()
            else True
        )
        z = candidate if keep or not guarded else image
        visited.append(z)
    return np.stack(visited)


@pytest.mark.parametrize("name", list(MAPS))
@pytest.mark.parametrize("guarded", [True, False])
def test_iterates_are_those_of_the_published_form(name, guarded):
    linear = problem(MAPS[name][0])
    f = lambda z: np.asarray(linear.matrix) @ z + np.asarray(linear.shift)
    ours = np.asarray(iterates(linear, PUBLISHED if guarded else UNGUARDED, 6))
    theirs = published(f, np.zeros(3), 6, guarded)
    # The normal equations square the condition number, so the last digits are rounding errors.
    assert np.allclose(ours[:4], theirs[:4], rtol=1e-6, atol=1e-6)
    assert np.allclose(ours, theirs, rtol=0, atol=1e-3)


@pytest.mark.parametrize("name", list(MAPS))
def test_the_papers_safeguard_excludes_candidates_where_the_slow_mode_is_positive(name):
    """The papers have 104 evaluations against 96, 105 against 6, 111 against 108, 15 against 6; 6 or 7 unguarded."""
    eigenvalues, admits = MAPS[name]
    count = lambda solver: int(evaluations(problem(eigenvalues), solver, jnp.asarray(1e-6)))
    plain, guarded, free = count(Picard()), count(PUBLISHED), count(UNGUARDED)
    assert free <= 8
    assert guarded <= 8 if admits else guarded > 0.8 * plain
    assert abs(plain - np.log(1e-6) / np.log(np.abs(eigenvalues).max())) < 0.25 * plain
