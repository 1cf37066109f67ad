"""Relax one network's test images by every contestant, and compare the equilibria with even-odd Picard's."""

import dataclasses
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np

import hopfax
from hopfax._internal.tree import cast
from hopfax.costs import StateSquaredError
from hopfax.diagnostics.convergence import fixed_iterations
from hopfax.networks.ham import HAM
from hopfax.solvers import Picard
from hopfax.updates.block import EvenOdd, Synchronous
from hopfax.updates.problem import Problem

from .config import CONTESTANTS, REFERENCE, SYNCHRONOUS, Config

DECADES = np.arange(-16.0, 0.5, 0.5)  # of the distance, where its histogram has edges
PERIODIC = 1e-6  # relative residual, at most, of a fixed point; in a two-cycle, of the map applied twice
FAR = 1e-3  # relative residual of the map itself in a two-cycle, at least


@dataclasses.dataclass(frozen=True)
class Equilibria:
    """The equilibria of one contestant, one example a row."""

    activations: np.ndarray  # of all free neurons, in [0, 1]
    energy: np.ndarray
    converged: np.ndarray
    evaluations: np.ndarray
    prediction: np.ndarray


def compare(model: HAM, images: np.ndarray, labels: np.ndarray, config: Config) -> dict[str, Any]:
    """One row for each contestant, and the two-cycles of synchronous Picard; in float64."""
    with jax.enable_x64(True):
        model = cast(model, jnp.float64)
        images = np.asarray(images, np.float64)
        reference = relax_by(model, images, REFERENCE, config)
        others = {name: relax_by(model, images, name, config) for name in CONTESTANTS if name != REFERENCE}
        results = {REFERENCE: reference, **others}
        rows = {name: _row(result, reference, labels, config) for name, result in results.items()}
        cycles = two_cycles(model, images, reference, ~results[SYNCHRONOUS].converged, config)
        return {"contestants": rows, "two_cycles": cycles}


def _row(result: Equilibria, reference: Equilibria, labels: np.ndarray, config: Config) -> dict[str, Any]:
    both = result.converged & reference.converged
    distance = np.max(np.abs(result.activations - reference.activations), axis=1)
    same = both & (distance <= config.same)
    other = both & ~same
    difference = result.energy - reference.energy
    gap = difference[other]
    return {
        "same": int(same.sum()),
        "other_lower": int((gap < 0).sum()),
        "other_higher": int((gap >= 0).sum()),
        "not_converged": int((~result.converged).sum()),
        "not_converged_near": int((~result.converged & (distance <= config.same)).sum()),
        "only_reference_not_converged": int((result.converged & ~reference.converged).sum()),
        "energy_gaps": [float(f"{x:.6g}") for x in np.sort(gap)],
        "largest_distance_of_same": float(distance[same].max(initial=0)),
        "least_distance_of_other": float(distance[other].min()) if other.any() else None,
        "largest_energy_difference_of_same": float(np.abs(difference[same]).max(initial=0)),
        "histogram": _histogram(distance[both]),
        "same_prediction": int((result.prediction == reference.prediction).sum()),
        "other_same_prediction": int((result.prediction == reference.prediction)[other].sum()),
        "correct": int((result.prediction == labels).sum()),
        "mean_evaluations": float(result.evaluations.mean()),
    }


def _histogram(distance: np.ndarray) -> dict[str, int]:
    """How many distances lie in each half decade that has any, by the `log10` of its lower edge."""
    counts, edges = np.histogram(np.log10(np.maximum(distance, 10 ** DECADES[0])), DECADES)
    return {str(edge): int(count) for edge, count in zip(edges, counts, strict=False) if count}


def relax_by(model: HAM, images: np.ndarray, name: str, config: Config) -> Equilibria:
    """What the contestant of that name finds for each image."""
    update, solver = CONTESTANTS[name]
    stopping = {"rtol": config.rtol, "atol": 0.0, "max_steps": config.max_steps}
    chunks = (images[i : i + config.chunk] for i in range(0, len(images), config.chunk))
    reached = (
        hopfax.relax(model, {"input": x}, method=hopfax.Method(update=update, solver=solver, **stopping))
        for x in chunks
    )
    parts = [_of_batch(model, equilibrium) for equilibrium in reached]
    columns = (field.name for field in dataclasses.fields(Equilibria))
    return Equilibria(*(np.concatenate([getattr(part, column) for part in parts]) for column in columns))


def _of_batch(model: HAM, reached: hopfax.Equilibrium) -> Equilibria:
    free = [reached.activation[name] for name in model.order[1:]]
    scores = jax.vmap(StateSquaredError().scores)(reached.state, reached.activation)
    statistics = reached.statistics
    columns = (jnp.concatenate(free, axis=1), reached.energy, reached.converged, statistics.evaluations)
    return Equilibria(*(np.asarray(column) for column in (*columns, jnp.argmax(scores, axis=1))))


def two_cycles(
    model: HAM, images, reference: Equilibria, restless: np.ndarray, config: Config
) -> dict[str, Any]:
    """Where synchronous Picard ends on the `restless` examples, and the two equilibria that a cycle is made of.

    From zero, its even layers at even steps and odd layers at odd steps are even-odd Picard's; the rest is
    even-odd Picard from another start. A two-cycle is their meeting two equilibria.
    """
    chosen = np.flatnonzero(restless)
    padded = np.resize(chosen if len(chosen) else [0], -(-len(chosen) // config.chunk) * config.chunk)
    chunks = padded.reshape(-1, config.chunk)
    parts = [_last(model, jnp.asarray(images[chunk]), config.max_steps) for chunk in chunks]
    if not parts:
        return _cycles(*np.zeros((2, 0)), *np.zeros((2, 0, 1)), np.zeros((0, 2)), np.zeros((0, 1)), config)
    columns = (np.concatenate([np.asarray(part[i]) for part in parts])[: len(chosen)] for i in range(5))
    return _cycles(*columns, reference.activations[chosen], config)


def _cycles(once, twice, first, second, energies, reference, config: Config) -> dict[str, Any]:
    cycle = (twice <= PERIODIC) & (once > FAR)
    gap = (energies[:, 1] - energies[:, 0])[cycle]
    distance = np.max(np.abs(first - second), axis=1)[cycle]
    own = np.max(np.abs(first - reference), axis=1)[cycle] <= config.same
    return {
        "settled": int((once <= PERIODIC).sum()),
        "two_cycles": int(cycle.sum()),
        "neither": int((~cycle & (once > PERIODIC)).sum()),
        "half_is_reference": int(own.sum()),
        "other_half_differs": int((distance > config.same).sum()),
        "other_half_lower": int((gap < 0).sum()),
        "energy_gaps": [float(f"{x:.6g}") for x in np.sort(gap)],
    }


@eqx.filter_jit
def _last(model: HAM, images: jax.Array, steps: int):
    """Relative residuals of `f` and of `f∘f` after an even number of steps, and the equilibria there."""

    def one(image):
        problem = Problem(model.condition({"input": image}), Synchronous())
        solver = CONTESTANTS[SYNCHRONOUS][1]
        state, _ = fixed_iterations(problem, solver, problem.model.zeros(image.dtype), steps + steps % 2)
        image, _ = fixed_iterations(problem, Picard(), state, 1)
        again = problem.image(image)
        halves = [_half(problem.model, point) for point in (state, image)]
        energies = jnp.stack([problem.model.energy(half) for half in halves])
        first, second = (_activations(problem.model, half) for half in halves)
        return _relative(image, state), _relative(again, state), first, second, energies

    return jax.vmap(one)(images)


def _half(free: HAM, states):
    """The whole state that belongs to the even layers of `states`."""
    problem = Problem(free, EvenOdd())
    return problem.reconstruct(problem.restrict(states))


def _activations(free: HAM, states):
    activations = free.activations(states)
    return jnp.concatenate([activations[name] for name in free.order])


def _relative(one, other):
    """`|one - other| / |one|`."""
    flat = lambda states: jnp.concatenate([states[name] for name in sorted(states)])
    return jnp.linalg.norm(flat(one) - flat(other)) / jnp.linalg.norm(flat(one))
