"""The learning rule of predictive coding: the gradient of the energy with the output clamped at the target."""

from jaxtyping import Array, Scalar

from .._internal.tree import tree_dtype
from ..costs import AbstractCost
from ..networks.network import AbstractNetwork, States
from ..solvers.equilibrium import Statistics
from ..updates.errors import require_linear
from ..updates.problem import Problem
from .base import AbstractGradient, AdjointStats, Solve, replace_gradient_at, stop_gradient
from .contrast import energy_at
from .phases import connection, only_read, reported


class PredictiveCoding(AbstractGradient):
    """`∂E/∂θ` at the equilibrium with the output clamped at the target: `∂E/∂W_k = -φ(s_{k-1}) e_kᵀ`, `∂E/∂b_k = -e_k`.

    `e_k = s_k - f_k(s_{k-1})` is the error of layer k, so the rule is local. It is the gradient of the energy
    `E*(target)` of that equilibrium, which is not the cost. In a linear network `E* = ½ rᵀ (I + J Jᵀ)⁻¹ r` for the
    error `r` of the feed-forward pass and the derivative `J` of the output in the errors of the hidden layers, where
    the cost is `½ |r|²`. The gradient of the cost is the limit of a small nudge, `EquilibriumPropagation(beta)`, or
    `Implicit()`, which is backpropagation here.

    The value is the cost of the feed-forward pass. The clamped solve starts there. Equilibria that are
    read by `hopfax.relax` cannot be differentiated.

    Raises: `ValueError` for a network that is not of `Prediction` synapses between linear layers, a cost other than
        `SquaredError`, and where a state is differentiated.
    Source: [whittington2017]; the energy of a linear network is derived in [innocenti2024].
    """

    def connect(
        self, problem: Problem, solve: Solve, stats: AdjointStats | None
    ) -> tuple[States, States, Statistics]:
        return only_read("PredictiveCoding", problem, solve)

    def value(
        self, problem: Problem, solve: Solve, stats: AdjointStats | None, cost: AbstractCost, target: Array
    ) -> tuple[Scalar, States, Statistics]:
        unknowns, statistics = solve(problem)
        free = problem.reconstruct(unknowns)
        clamp = {n: s.astype(tree_dtype(free)) for n, s in cost.clamp(problem.model, target).items()}
        clamped = Problem(problem.model.condition(clamp), problem.update)
        _check_predictions(clamped.model)
        hidden, clamped_statistics = Solve(solve.solver, clamped.restrict(free), solve.stopping)(clamped)
        clamped, hidden = connection(stats)(clamped, hidden)
        value = cost(free, problem.model.activations(free), target)
        value = replace_gradient_at(value, _energy, (problem.model, clamp), clamped.reconstruct(hidden))
        return reported(value, stats, clamped_statistics), stop_gradient(free), statistics


def _energy(parameters: tuple[AbstractNetwork, States], hidden: States) -> Scalar:
    model, clamp = parameters
    states = {**hidden, **clamp}
    return energy_at(model, states, model.activations(states))


def _check_predictions(model: AbstractNetwork) -> None:
    if not model.order:
        raise ValueError(
            "`PredictiveCoding()` needs a hidden layer; without one it is backpropagation, `Implicit()`."
        )
    require_linear("PredictiveCoding()", model, model.order)
    for name in model.order:
        if not model.not_affine_in(name):
            raise ValueError(
                "`PredictiveCoding()` needs a network of predictions, such as `predictive_coding(sizes, key=key)`, "
                f"but layer {name!r} predicts no other."
            )
