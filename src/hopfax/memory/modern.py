"""Modern Hopfield networks: a HAM of one visible and one memory layer, with the memory layer eliminated."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jax.core import Tracer
from jaxtyping import Array, ArrayLike, Float

from .._internal.checks import require_kind, require_matrix
from ..lagrangians import AbstractElementwise, AbstractLagrangian, Identity, Softmax
from ..lagrangians.base import require_lagrangian
from ..networks.ham import HAM
from ..networks.layers import Layer
from ..networks.synapses.dense import Bias, Dense
from .similarities import AbstractNormalisation, AbstractSimilarity, Dot, Raw

State = Float[Array, " dimension"]
Shares = Float[Array, " patterns"]
VISIBLE, MEMORY = "visible", "memory"


class ModernHopfield(eqx.Module):
    """`x' = X^T p` with the association `p = softmax(beta X g(x))`: the fixed points of a HAM with two
    layers.

    All methods take one state; batch with `jax.vmap`. The defaults give the network of [ramsauer2020], eq.
    2-3: the softmax Lagrangian on the memory layer, the identity on the visible one.

    Args:
        patterns: in rows, (patterns, dimension); stored as `normalisation` returns them.
        beta: inverse temperature, a positive scalar (an array is trained).
        separation: from `beta` to the memory layer's Lagrangian: `Softmax`, `Sparsemax`, `Exponential`,
            `functools.partial(Entmax, 1.5)`, `functools.partial(Polynomial, 3)`. The last and `Exponential`
            have no bound, and need bounded visible neurons (`Tanh()`, `SphericalNorm()`) for the energy to
            have one.
        similarity: `Dot()`, or `Euclidean()`, which adds a bias to the memory layer and no more.
        normalisation: `Raw()`, `UnitNorm()` or `Standardised()`.
        visible: the visible layer's Lagrangian.
        values: (patterns, outputs) read out by `read`, for heteroassociation: the patterns are then keys.
            They are no part of the energy.
    Raises: `ValueError` for patterns that are not finite or not in rows, values that do not fit them, or
        `beta` not positive.
    """

    patterns: Float[Array, "patterns dimension"]
    memory: AbstractLagrangian
    visible: AbstractLagrangian
    similarity: AbstractSimilarity
    values: Float[Array, "values outputs"] | None

    def __init__(
        self,
        patterns: Float[Array | np.ndarray, "patterns dimension"],
        beta: ArrayLike,
        *,
        separation: Callable[[ArrayLike], AbstractLagrangian] = Softmax,
        similarity: AbstractSimilarity = Dot(),
        normalisation: AbstractNormalisation = Raw(),
        visible: AbstractLagrangian = Identity(),
        values: Float[Array | np.ndarray, "values outputs"] | None = None,
    ):
        require_kind("similarity", similarity, AbstractSimilarity, "Dot()")
        require_kind("normalisation", normalisation, AbstractNormalisation, "Raw()")
        self.patterns = normalisation(_rows("patterns", patterns))
        require_lagrangian("ModernHopfield(visible=...)", visible)
        if isinstance(separation, AbstractLagrangian):
            raise ValueError(f"`separation={separation}` is made already; give its class, such as `Softmax`.")
        self.memory, self.visible, self.similarity = separation(beta), visible, similarity
        require_lagrangian("ModernHopfield(separation=...)", self.memory)
        self.values = None if values is None else _rows("values", values)

    def __check_init__(self):
        if self.values is not None and len(self.values) != len(self.patterns):
            raise ValueError(
                f"`values` has {len(self.values)} rows for {len(self.patterns)} patterns; give one for each."
            )

    def ham(self) -> HAM:
        """The same network as a HAM: relaxed with `EvenOdd()`, its map is `update` and its energy
        `energy`.
        """
        layers = {
            MEMORY: Layer(self.patterns.shape[0], self.memory),
            VISIBLE: Layer(self.patterns.shape[1], self.visible),
        }
        thresholds = Bias(MEMORY, self.similarity.thresholds(self.patterns))
        return HAM(layers, [Dense((MEMORY, VISIBLE), self.patterns), thresholds])

    def drive(self, state: State) -> Shares:
        """`s = X g(x) + t`: the state of the memory layer. Raises: `ValueError` for a state of another shape."""
        if jnp.shape(state) != self.patterns.shape[1:]:
            raise ValueError(
                f"`state` has shape {jnp.shape(state)}, a pattern {self.patterns.shape[1:]}; batch with `jax.vmap`."
            )
        return self.patterns @ self.visible.activation(state) + self.similarity.thresholds(self.patterns)

    def association(self, state: State) -> Shares:
        """`p`, the activation of the memory layer: how much of each pattern the next state holds."""
        return self.memory.activation(self.drive(state))

    def update(self, state: State) -> State:
        """`x' = X^T p`, which never raises the energy."""
        return self.association(state) @ self.patterns

    def read(self, state: State) -> Float[Array, " outputs"]:
        """`V^T p`: what is associated with the state, the patterns themselves where there are no values."""
        return self.association(state) @ (self.patterns if self.values is None else self.values)

    def energy(self, state: State) -> Float[Array, ""]:
        """`E(x) = L_v*(x) - L_m(X g(x) + t)`; by default `|x|^2 / 2 - logsumexp(beta X x) / beta`.

        That of `ham()` with the memory layer at its best, no constant between them.
        """
        return self.visible.energy(state) - self.memory(self.drive(state))

    def offset(self) -> Float[Array, ""]:
        """`M^2 / 2 + L_m(0)`, `M` the largest norm: added to `energy` it gives one that is never negative.

        For softmax that is [ramsauer2020]'s `M^2 / 2 + (1/beta) log N`. For separations on the simplex and
        linear visible neurons.
        """
        largest = jnp.max(jnp.sum(jnp.square(self.patterns), axis=1))
        return largest / 2 + self.memory(jnp.zeros(self.patterns.shape[0], self.patterns.dtype))

    def jacobian(self, state: State) -> Float[Array, "dimension dimension"]:
        """`J = dx'/dx`, for linear visible neurons symmetric and without negative eigenvalues.

        `J = Y^T H Y` with `H` the second derivative of `L_m`. Where memories compete, `H` ignores what all
        have in common, so `Y` are the patterns less their mean under `p`: a small `J` is then not a small
        difference.
        """
        centred = self.patterns
        if not isinstance(self.memory, AbstractElementwise):
            centred = centred - (self.association(state) @ centred)[None, :]
        slope = jax.linearize(self.memory.activation, self.drive(state))[1]
        seen = jax.vmap(jax.linearize(self.visible.activation, state)[1])(
            jnp.eye(state.size, dtype=state.dtype)
        )
        return centred.T @ jax.vmap(slope, in_axes=1, out_axes=1)(centred @ seen.T)

    def hessian(self, state: State) -> Float[Array, "dimension dimension"]:
        """`d^2 E / dx^2`; `I - J` for linear visible neurons."""
        return jax.hessian(self.energy)(state)

    def entropy(self, state: State) -> Float[Array, ""]:
        """`-sum p log p` in nats of the association scaled to sum to one: 0 for one pattern, `log N` for all
        alike.
        """
        p = self.association(state)
        shares = p / jnp.sum(p)
        # A share that underflows contributes its limit, 0, and a finite gradient.
        return -jnp.sum(shares * jnp.log(jnp.where(shares > 0, shares, 1)))


def _rows(name: str, values: Float[Array | np.ndarray, "rows columns"]) -> Float[Array, "rows columns"]:
    require_matrix(name, values)
    if not isinstance(values, Tracer):
        bad = np.flatnonzero(~np.isfinite(np.asarray(values)).all(axis=1))
        if bad.size:
            raise ValueError(
                f"`{name}` must be finite; rows {bad[:5].tolist()} hold NaN or infinity. Leave them out."
            )
    return jnp.asarray(values)
