"""Contrastive and coupled learning: the second phase clamps the output instead of nudging it."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Scalar, ScalarLike

from .._internal.checks import require_kind, require_number
from .._internal.tree import tree_dtype
from ..costs import AbstractCost
from ..networks.network import AbstractNetwork, States
from ..solvers.equilibrium import Statistics
from ..solvers.loop import Stopping
from ..updates.problem import Problem
from .base import AbstractGradient, AdjointStats, Solve, replace_gradient_at, stop_gradient
from .contrast import weighted_differences
from .nudging import AbstractVariant, Centred, Positive
from .phases import connection, only_read, phase_point, reported, require_descent

PHASE_TOLERANCE = (
    1e-4  # of a nudged phase, times `β`: the difference of two phases is about `β` times their size
)


class ContrastiveLearning(AbstractGradient):
    """`∂E/∂θ(clamped) - ∂E/∂θ(free)`: the output layer is clamped at the target in the second phase.

    This is the gradient of the contrastive function `E(clamped) - E(free)`, not of the cost: it is **biased**. The cost
    says which layer is the output, and its value is what `hopfax.objective` returns. The output must be a layer of
    linear neurons, where the target is a state. Equilibria that are read by `hopfax.relax` cannot be differentiated.

    Raises: `ValueError` for a cost of several layers, an output layer that is not free, or neurons that are not linear.
    Source: [movellan1991]; [scellier2024].
    """

    def connect(
        self, problem: Problem, solve: Solve, stats: AdjointStats | None
    ) -> tuple[States, States, Statistics]:
        return only_read("ContrastiveLearning", problem, solve)

    def value(self, problem, solve, stats, cost, target):
        return _clamped_value("ContrastiveLearning", problem, solve, stats, cost, target, 1.0, Positive())


class CoupledLearning(AbstractGradient):
    """`[∂E/∂θ(β) - ∂E/∂θ(-β)] / 2β`, with the output clamped at `(1 - β) free + β target` in the second phase.

    It is **biased**: for `β → 0` it is the gradient of `½ (g - target)ᵀ K (g - target)` in the output `g` with `K` held
    fixed, where `K` is the second derivative of the energy in the output, minimised over the other layers. So the
    direction is that of the gradient of the squared error for a single output neuron, and near it where feedback is
    weak and `K` is nearly the identity. For the cost, the output and reading by `relax` see `ContrastiveLearning`.

    Args:
        beta: `β`, in (0, 1).
        variant: the finite difference, as in equilibrium propagation: `Centred()`, `Positive()`, `Negative()` or
            `RandomSign(key)`.
    Raises: `ValueError` for another `beta` or variant, and as `ContrastiveLearning`.
    Source: [stern2021]; [scellier2024], for the variants; the limit is derived in this project.
    """

    beta: ScalarLike = 0.1
    variant: AbstractVariant = Centred()

    def __check_init__(self):
        require_number("CoupledLearning.beta", self.beta, lambda x: 0 < x < 1, "a number in (0, 1); try 0.1")
        require_kind("CoupledLearning.variant", self.variant, AbstractVariant, "Centred()")
        if self.variant.holomorphic:
            raise ValueError(
                f"`CoupledLearning(variant={self.variant})` would clamp the output at complex numbers; use `Centred()`."
            )

    def connect(
        self, problem: Problem, solve: Solve, stats: AdjointStats | None
    ) -> tuple[States, States, Statistics]:
        return only_read("CoupledLearning", problem, solve)

    def value(self, problem, solve, stats, cost, target):
        return _clamped_value("CoupledLearning", problem, solve, stats, cost, target, self.beta, self.variant)


def _clamped_value(
    owner: str,
    problem: Problem,
    solve: Solve,
    stats: AdjointStats | None,
    cost: AbstractCost,
    target: Array,
    beta: ScalarLike,
    variant: AbstractVariant,
) -> tuple[Scalar, States, Statistics]:
    """`AbstractGradient.value` with the output clamped on the line through the free output and the target."""
    name, gain = _linear_output(owner, problem.model, cost)
    unknowns, statistics = solve(problem)
    states, activations = problem.point(unknowns)
    betas, weights = (x.astype(tree_dtype(unknowns)) for x in variant.nudges(beta))
    connect = connection(stats)
    free = phase_point(*connect(problem, unknowns))

    def phase(amount):
        output = (1 - amount) * free[1][name] + amount * target.astype(amount.dtype)
        clamped = Problem(problem.model.condition({name: output / gain}), problem.update)
        second, statistics = _phase_solve(solve, clamped.restrict(states), beta)(clamped)
        hidden = phase_point(*connect(clamped, second))
        return _with_output(free, hidden, {name: output / gain}, {name: output}), statistics

    points, phases = jax.vmap(phase)(betas)
    value = cost(states, activations, target)
    value = replace_gradient_at(value, _contrast, (problem.model, weights), points)
    return reported(value, stats, phases), stop_gradient(states), statistics


def _phase_solve(solve: Solve, unknowns: States, beta: ScalarLike) -> Solve:
    """`solve` from the free equilibrium, with a tolerance that is small compared with the difference of phases."""
    eps = jnp.finfo(tree_dtype(unknowns)).eps
    free, factor = solve.stopping, PHASE_TOLERANCE * jnp.asarray(beta)
    rtol = jnp.minimum(free.rtol, jnp.maximum(factor, 4 * eps))
    return Solve(solve.solver, unknowns, Stopping(rtol, factor * free.atol, free.max_steps, free.check_every))


def _contrast(model_and_weights: tuple[AbstractNetwork, Array], points: tuple[States, States]) -> Scalar:
    model, weights = model_and_weights
    return weighted_differences(model, weights, points, points)


def _with_output(
    order: tuple[States, States], hidden: tuple[States, States], state: States, activation: States
) -> tuple[States, States]:
    """States and activations of all free layers in order, from the hidden ones and the clamped output."""
    states, activations = {**hidden[0], **state}, {**hidden[1], **activation}
    return {name: states[name] for name in order[0]}, {name: activations[name] for name in order[1]}


def _linear_output(owner: str, model: AbstractNetwork, cost: AbstractCost) -> tuple[str, float]:
    """The layer that the cost reads and the gain of its neurons. Raises: `ValueError` where it cannot be clamped."""
    require_descent(owner, model)
    if len(cost.layers) != 1:
        raise ValueError(f"`{owner}` clamps one output layer, but the cost reads {list(cost.layers)}.")
    name = cost.layers[0]
    if name not in model.layers or len(model.layers) < 2:
        raise ValueError(
            f"`{owner}` clamps layer {name!r} and relaxes the others; the free layers are {list(model.order)}. Let the "
            "cost read a free layer, and let the network have another one."
        )
    gain = model.layers[name].lagrangian.linear_gain
    if gain is None:
        raise ValueError(
            f"`{owner}` clamps layer {name!r} at the target, which needs linear neurons; got "
            f"`{type(model.layers[name].lagrangian).__name__}`. Use `Identity()` there, or `EquilibriumPropagation`."
        )
    return name, gain
