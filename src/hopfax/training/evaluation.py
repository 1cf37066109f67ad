"""Evaluation as in the papers: a fixed number of iterations, accuracy, and when each example converged."""

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float, Int

from .._internal.checks import require_integer
from ..costs import AbstractCost, SquaredError
from ..diagnostics.convergence import first_crossing, fixed_iterations, paper_iterations
from ..method import Method
from ..networks.network import AbstractNetwork
from ..updates.problem import Problem


class Evaluation(eqx.Module):
    """Predictions and the papers' relative residual at each iteration, for each example.

    `trace[:, n]` is `|s_{n+2} - s_{n+1}| / |s_{n+2}|` of the iterates `s_1 = f(s_0), s_2, ...` of the map, so it has
    one column less than there were evaluations.
    """

    predictions: Int[Array, " examples"]
    correct: Bool[Array, " examples"]
    trace: Float[Array, "examples iterations"]
    tolerance: float = 1e-4

    @property
    def accuracy(self) -> float:
        """The fraction of correct predictions, in [0, 1]."""
        return int(jnp.sum(self.correct)) / self.correct.size

    @property
    def iterations(self) -> Int[Array, " examples"]:
        """Iterations to converge, as published: see `hopfax.diagnostics.paper_iterations`."""
        return paper_iterations(self.trace, self.tolerance)

    @property
    def iterations_mean(self) -> float:
        """The papers' "iterations": the mean of `iterations` over the examples."""
        return float(np.mean(np.asarray(self.iterations)))

    @property
    def iterations_std(self) -> float:
        """The population standard deviation of `iterations` over the *examples* of this one run.

        The papers' tables have the standard deviation over runs with different seeds, which is far smaller.
        """
        return float(np.std(np.asarray(self.iterations)))

    @property
    def did_not_converge(self) -> int:
        """How many examples never fell below the tolerance, see `hopfax.diagnostics.first_crossing`."""
        return int(jnp.sum(~first_crossing(self.trace, self.tolerance)[1]))

    def summary(self) -> dict[str, float | int]:
        """The numbers above by name."""
        names = ("accuracy", "iterations_mean", "iterations_std", "did_not_converge")
        return {name: getattr(self, name) for name in names}


def evaluate(
    model: AbstractNetwork,
    images: Float[ArrayLike, "..."],
    labels: Int[ArrayLike, "..."],
    *,
    method: Method,
    steps: int = 40,
    cost: AbstractCost = SquaredError(),
    clamp: str = "input",
    chunk: int = 500,
) -> Evaluation:
    """Evaluate the map exactly `steps` times for each example, from zero, and read the class off the last iterate.

    Unlike in the papers, which drop the last partial batch, every example counts.

    Args:
        images, labels: of shape (examples, pixels) and (examples,), the labels whole numbers.
        method: its update and solver are used; its tolerances are not.
        steps: evaluations of the map, at least 3.
        cost: whose scores are read.
        clamp: the layer that is clamped at the image.
        chunk: how many examples are solved at a time.
    Raises: `ValueError` for images, labels or steps that do not fit.
    Source: [goemaere2024], section 4 and code.
    """
    images, labels = jnp.asarray(images, jnp.float32), jnp.asarray(labels, jnp.int32)
    _check(model, images, labels, clamp, steps)
    require_integer("chunk", chunk, 1)
    if cost.layers[0] not in model.layers:
        raise ValueError(
            f"`cost` reads an unknown layer {cost.layers[0]!r}; the layers are {list(model.order)}."
        )
    count = len(labels)
    chunk = min(chunk, count)
    padded = jnp.pad(images, ((0, -count % chunk), (0, 0)))
    chunks = padded.reshape(-1, chunk, images.shape[1])
    predictions, trace = _evaluate(model, chunks, method.update, method.solver, steps, cost, clamp)
    predictions, trace = predictions.reshape(-1)[:count], trace.reshape(-1, trace.shape[-1])[:count]
    return Evaluation(predictions, predictions == labels, trace)


@eqx.filter_jit
def _evaluate(model, chunks, update, solver, steps: int, cost, clamp: str) -> tuple[Array, Array]:
    def one(image):
        free = model.condition({clamp: image.reshape(model.layers[clamp].shape)})
        problem = Problem(free, update)
        start = problem.restrict(free.zeros(image.dtype))
        last, trace = fixed_iterations(problem, solver, start, steps)
        states = problem.reconstruct(last)
        return jnp.argmax(cost.scores(states, free.activations(states))), trace

    return jax.lax.map(jax.vmap(one), chunks)


def _check(model: AbstractNetwork, images: Array, labels: Array, clamp: str, steps: int) -> None:
    size = model.layers[clamp].size if clamp in model.layers else 0
    if images.ndim != 2 or images.shape[1] != size or not len(images):
        raise ValueError(
            f"`images` have shape {images.shape}; layer {clamp!r} of {list(model.order)} needs (examples, "
            f"{size})."
        )
    if labels.shape != images.shape[:1]:
        raise ValueError(f"`labels` have shape {labels.shape} for {len(images)} images; give one for each.")
    if steps < 3:
        raise ValueError(f"`evaluate(steps={steps})` must be at least 3, to see a residual fall.")
