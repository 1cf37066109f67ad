"""A penalty on the largest eigenvalue of the update at equilibrium, which keeps solves short while a network learns."""

import math

import equinox as eqx
import jax
import jax.numpy as jnp
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Float, Scalar

from .._internal.checks import require_integer, require_number
from .._internal.tree import dot, subtract
from ..gradients.base import stop_gradient
from ..method import Method
from ..networks.network import AbstractNetwork, States
from ..updates.base import AbstractUpdate
from ..updates.problem import Problem


class SpectralPenalty(eqx.Module):
    """`weight max(λ - limit, 0)²`, with the largest eigenvalue `λ` of `J = ∂f/∂z` at the equilibrium of an example.

    `f` is the map of the unknown layers, after exact elimination where there is one. As weights grow, `λ` rises, and
    solves and adjoint solves take more steps. At 1 the equilibrium is no minimum any more, and near it the exact
    gradient of a single example can be larger than that of all others together. The penalty is zero below the limit,
    so it changes nothing in a network that is far from this. Negative eigenvalues, which attention has, are not
    penalised: below -1 plain steps oscillate, but the equilibrium is a minimum, and guarded solvers find it.

    `λ` is estimated by the Lanczos method, which begins with the residual `f(z) - z` of the solve: what a solver has
    not removed lies mostly along the eigenvectors of the largest eigenvalues. The gradient of the penalty is computed
    by automatic differentiation, also where that of the cost is computed by equilibrium propagation. It holds
    equilibrium and eigenvector fixed, so it is that of the eigenvalue at these states.

    Args:
        weight: in units of the cost; 0 or more.
        limit: up to which `λ` costs nothing, in [0, 1).
        products: Jacobian products of the estimate, as many as dimensions of the Krylov space. The penalty and its
            gradient take about three more.
    Raises: `ValueError` for a number out of range.

    Source: [bai2021] penalise the Frobenius norm of `J`; the eigenvalue and its estimate: derived in this project.
    """

    weight: float = 1.0
    limit: float = 0.9
    products: int = eqx.field(static=True, default=6)

    def __check_init__(self):
        finite = "a number, 0 or more and finite"
        require_number("SpectralPenalty.weight", self.weight, lambda x: 0 <= x < math.inf, finite)
        require_number("SpectralPenalty.limit", self.limit, lambda x: 0 <= x < 1, "in [0, 1)")
        require_integer("SpectralPenalty.products", self.products, 1)

    def __call__(self, free: AbstractNetwork, update: AbstractUpdate, states: States) -> Scalar:
        """The penalty of one example.

        Args:
            free: a HAM without clamped layers (`AbstractNetwork.condition`).
            update: whose map is penalised.
            states: at equilibrium, of the unknown layers at least.
        Raises: `ValueError` for a network that does not descend in its activations, such as a CHN.
        """
        if not free.descends_in_activations:
            raise ValueError(
                f"`SpectralPenalty` needs a HAM; a `{type(free).__name__}` descends in its states. Use `to_ham()`, or "
                "no penalty."
            )
        eigenvalue = largest_eigenvalue(free, update, states, self.products)
        return self.weight * jnp.square(jax.nn.relu(eigenvalue - self.limit))


def penalty_of(
    penalty: SpectralPenalty | None, free: AbstractNetwork, method: Method, states: States
) -> Scalar:
    """The penalty of one example at the equilibrium that `method` reaches; zero for None."""
    return jnp.zeros(()) if penalty is None else penalty(free, method.update, states)


def largest_eigenvalue(
    free: AbstractNetwork, update: AbstractUpdate, states: States, products: int
) -> Float[Array, ""]:
    """The largest eigenvalue of `J`, differentiable in `free`; zero where all neurons are saturated.

    It is the Rayleigh quotient `v·D J v / v·D v` of a Ritz vector `v`, with `D = ∂g/∂s`: in a HAM `D J` is symmetric.
    """
    fixed, states = stop_gradient((free, states))
    problem = Problem(fixed, update).eliminated()
    point = problem.restrict(states)
    vector, slopes = stop_gradient(_ritz_vector(problem, point, products))
    image = jax.jvp(Problem(free, problem.update).image, (point,), (vector,))[1]
    length = dot(slopes, vector)
    return dot(slopes, image) / jnp.where(length > 0, length, 1)


def _ritz_vector(problem: Problem, point: States, products: int) -> tuple[States, States]:
    """`v` and `D v` of the largest Ritz value of `J`, by Lanczos in the product `u·D v`, fully orthogonalised."""
    image, jacobian = jax.linearize(problem.image, point)
    curvature = jax.linearize(problem.model.activations, point)[1]
    start, unravel = ravel_pytree(subtract(image, point))
    eps, tiny = jnp.finfo(start.dtype).eps, jnp.finfo(start.dtype).tiny
    flat = lambda tree: ravel_pytree(tree)[0]
    product, slopes = (lambda v, f=f: flat(f(unravel(v))) for f in (jacobian, curvature))

    def unit(v, least):
        """`v` and `D v`, scaled to `v·D v = 1`; zero where that length is not above `least`."""
        weighted = slopes(v)
        length = jnp.sqrt(jnp.maximum(jnp.vdot(v, weighted), 0))
        factor = jnp.where(length > least, 1 / length, 0)
        return factor * v, factor * weighted

    def step(basis, index):
        vectors, weighted = basis
        image = product(vectors[index])
        first = weighted @ image
        image = image - first @ vectors
        second = weighted @ image
        # Where the Krylov space ends, what is left is rounding error.
        new = unit(image - second @ vectors, jnp.sqrt(eps) * jnp.linalg.norm(first))
        basis = vectors.at[index + 1].set(new[0]), weighted.at[index + 1].set(new[1])
        return basis, first + second

    # All of J's image has a meaning in the product u·D v, the residual need not.
    begin = unit(product(start / jnp.maximum(jnp.linalg.norm(start), tiny)), tiny)
    empty = jnp.zeros((products + 1, *start.shape), start.dtype)
    basis = empty.at[0].set(begin[0]), empty.at[0].set(begin[1])
    basis, columns = jax.lax.scan(step, basis, jnp.arange(products))
    # A column has the products with the vectors before it, so the matrix is lower triangular.
    values, rotations = jnp.linalg.eigh(columns[:, :products], "L", symmetrize_input=False)
    coordinates = rotations[:, jnp.argmax(values)]
    vector, weighted = (unravel(coordinates @ rows[:products]) for rows in basis)
    return vector, weighted
