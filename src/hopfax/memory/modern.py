"""Modern Hopfield networks: a HAM of a visible and a memory layer, with the memory layer eliminated."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, ArrayLike, Bool, Float

from .._internal.checks import require, require_kind
from ..lagrangians import AbstractLagrangian, Identity, Softmax
from ..lagrangians.base import require_lagrangian
from ..networks.ham import HAM
from ..networks.layers import Layer
from ..networks.synapses.dense import Bias, Dense
from .inputs import as_rows, as_values, check_known, check_row_mask
from .retrieval import Retrieval, largest_norm, repeat_update
from .similarities import AbstractNormalisation, AbstractSimilarity, Dot, Raw

State = Float[Array, " dimension"]
Known = Bool[Array | np.ndarray, " dimension"]
Weights = Float[Array, " patterns"]
VISIBLE, MEMORY = "visible", "memory"


class ModernHopfield(eqx.Module):
    """`x' = Xᵀ p` with the retrieval weights `p = softmax(beta (X g(x) + t))`: a HAM with two layers.

    All methods take one state; batch with `jax.vmap`. The defaults give the network of [ramsauer2020], eq. 2-3:
    a softmax memory layer, linear visible neurons and no thresholds `t`.

    `weights`, `read`, `energy` and `retrieve` take a mask `known` of the elements of a state. Elements where it is
    false have no influence, whatever they hold (NaN too): patterns are compared in the known elements alone.

    Args:
        patterns: in rows, (patterns, dimension); stored as `normalisation` returns them.
        beta: inverse temperature, a positive scalar; a float is fixed, an array is trained.
        separation: from `beta` to the memory layer's Lagrangian: `Softmax`, `Softmax1`, `Sparsemax`, `Exponential`,
            `functools.partial(Entmax, 1.5)`, and so on with `Normmax`, `KSubsets` and `Polynomial`. The last and
            `Exponential` are unbounded and need bounded visible neurons (`Tanh()`, `SphericalNorm()`) for an energy
            bounded below.
        similarity: `Dot()`, or `Euclidean()`, which adds a bias to the memory layer.
        normalisation: `Raw()`, `UnitNorm()` or `Standardised()`.
        visible: the visible layer's Lagrangian.
        values: (patterns, outputs), which `read` mixes, for heteroassociation: the patterns are then keys. The
            energy does not depend on them.
        pattern_mask: (patterns,), true for patterns and false for padding. Padded rows have weight and gradient
            zero whatever they hold, so sets of different size can be padded to one size and batched with
            `jax.vmap`. This holds for separations that vanish at low scores, as all of the above do.

    Raises: `ValueError` for patterns that are not finite or not in rows, values or a mask that do not fit them, a
        mask that is false everywhere, or a `beta` that is not positive.
    """

    patterns: Float[Array, "patterns dimension"]
    memory: AbstractLagrangian
    visible: AbstractLagrangian
    similarity: AbstractSimilarity
    values: Float[Array, "values outputs"] | None
    pattern_mask: Bool[Array, " patterns"] | None

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
        pattern_mask: Bool[Array | np.ndarray, " mask"] | None = None,
    ):
        require_kind("similarity", similarity, AbstractSimilarity, "Dot()")
        require_kind("normalisation", normalisation, AbstractNormalisation, "Raw()")
        require_lagrangian("ModernHopfield(visible=...)", visible)
        require(
            not isinstance(separation, AbstractLagrangian),
            f"`separation={separation}` is an object; give its class, such as `Softmax`.",
        )
        mask = None if pattern_mask is None else check_row_mask("pattern_mask", pattern_mask, len(patterns))
        self.patterns = normalisation(as_rows("patterns", patterns, mask))
        self.memory, self.visible, self.similarity = separation(beta), visible, similarity
        require_lagrangian("ModernHopfield(separation=...)", self.memory)
        self.values = None if values is None else as_values(values, len(self.patterns), mask)
        self.pattern_mask = mask

    def ham(self) -> HAM:
        """The same network as a HAM: relaxed with `EvenOdd()`, its map is `update` and its energy is `energy`."""
        layers = {
            MEMORY: Layer(self.patterns.shape[0], self.memory),
            VISIBLE: Layer(self.patterns.shape[1], self.visible),
        }
        thresholds = Bias(MEMORY, self._exclude_padding(self.similarity.thresholds(self.patterns)))
        return HAM(layers, [Dense((MEMORY, VISIBLE), self.patterns), thresholds])

    def drive(self, state: State, known: Known | None = None) -> Weights:
        """`s = X g(x) + t`: the state of the memory layer. Raises: `ValueError` for a state of another shape."""
        require(
            jnp.shape(state) == self.patterns.shape[1:],
            f"`state` has shape {jnp.shape(state)}, a pattern {self.patterns.shape[1:]}; batch with `jax.vmap`.",
        )
        if known is None:
            scores = self.patterns @ self.visible.activation(state) + self.similarity.thresholds(
                self.patterns
            )
            return self._exclude_padding(scores)
        mask = jnp.asarray(check_known(state, known))
        activation = jnp.where(mask, self.visible.activation(jnp.where(mask, state, 0)), 0)
        thresholds = self.similarity.marginal_thresholds(self.patterns, mask[None].astype(activation.dtype))
        return self._exclude_padding(self.patterns @ activation + thresholds[0])

    def weights(self, state: State, known: Known | None = None) -> Weights:
        """`p`, the activation of the memory layer: the weight of each pattern in the next state.

        The weight of padding is zero, even where a traced mask leaves no pattern.
        """
        p = self.memory.activation(self.drive(state, known))
        return p if self.pattern_mask is None else jnp.where(self.pattern_mask, p, 0)

    def update(self, state: State) -> State:
        """`x' = Xᵀ p`, which never raises the energy."""
        return self.weights(state) @ self.patterns

    def retrieve(
        self,
        state: State,
        known: Known | None = None,
        *,
        tolerance: float | None = None,
        max_steps: int = 20_000,
    ) -> Retrieval:
        """Repeats `update` until a step is at most `tolerance` times the largest norm of a pattern.

        With `known`, these elements keep their values, and the others start from `Xᵀ p` of the known elements.
        The default tolerance is `eps^(3/4)`, 2e-12 in double precision: just below the threshold of a minimum the
        steps past its former place are small, and a larger tolerance would stop there.
        """
        scale = largest_norm(self.patterns)
        if tolerance is None:
            tolerance = float(jnp.finfo(jnp.result_type(self.patterns, state)).eps) ** 0.75
        limits = {"scale": scale, "tolerance": tolerance, "max_steps": max_steps}
        if known is None:
            return repeat_update(self.update, state, **limits)
        mask = jnp.asarray(check_known(state, known))
        start = jnp.where(mask, state, self.weights(state, mask) @ self.patterns)
        return repeat_update(self.update, start, mask, **limits)

    def read(self, state: State, known: Known | None = None) -> Float[Array, " outputs"]:
        """`Vᵀ p`: the mixture of the values, or of the patterns where there are no values."""
        return self.weights(state, known) @ (self.patterns if self.values is None else self.values)

    def energy(self, state: State, known: Known | None = None) -> Float[Array, ""]:
        """`E(x) = L_v*(x) - L_m(X g(x) + t)`; by default `|x|² / 2 - logsumexp(beta X x) / beta`.

        This is the energy of `ham()` with the memory layer at its minimum. Unknown elements count as zero in `L_v*`.
        """
        scores = self.drive(state, known)
        visible = state if known is None else jnp.where(jnp.asarray(known), state, 0)
        return self.visible.energy(visible) - self.memory(scores)

    def offset(self) -> Float[Array, ""]:
        """`M² / 2 + L_m(0)`, `M` the largest norm: added to `energy`, it makes it non-negative.

        With softmax this is `M² / 2 + (1/beta) log N` of [ramsauer2020]. It holds for separations on the simplex
        and linear visible neurons.
        """
        largest = jnp.max(jnp.sum(jnp.square(self.patterns), axis=1))
        zeros = jnp.zeros(self.patterns.shape[0], self.patterns.dtype)
        return largest / 2 + self.memory(self._exclude_padding(zeros))

    def centred(self, state: State) -> Float[Array, "patterns dimension"]:
        """The patterns, minus their mean `Xᵀ p` if the weights ignore a constant added to all scores."""
        shift = self.update(state) if self.memory.shift_invariant else jnp.zeros_like(state)
        return self.patterns - shift[None, :]

    def jacobian(self, state: State) -> Float[Array, "dimension dimension"]:
        """`J = dx'/dx`; for linear visible neurons it is symmetric and has no negative eigenvalue.

        `J = Yᵀ H Y dg/dx` with `H` the second derivative of `L_m`. For separations on the simplex `H` ignores a
        vector added to all patterns, so `Y` are the patterns minus their mean under `p`: a small `J` is then not the
        difference of large numbers.
        """
        centred = self.centred(state)
        curvature = jax.linearize(self.memory.activation, self.drive(state))[1]
        gains = jax.vmap(jax.linearize(self.visible.activation, state)[1])(
            jnp.eye(state.size, dtype=state.dtype)
        )
        return centred.T @ jax.vmap(curvature, in_axes=1, out_axes=1)(centred @ gains.T)

    def hessian(self, state: State) -> Float[Array, "dimension dimension"]:
        """`d²E / dx²`; `I - J` for linear visible neurons."""
        return jax.hessian(self.energy)(state)

    def entropy(self, state: State) -> Float[Array, ""]:
        """`-Σ p_i log p_i` in nats, `p` scaled to sum to one: 0 for one pattern, `log N` for equal weights."""
        p = self.weights(state)
        p = p / jnp.sum(p)
        # A weight that underflows contributes its limit, 0, and a finite gradient.
        return -jnp.sum(p * jnp.log(jnp.where(p > 0, p, 1)))

    def _exclude_padding(self, scores: Weights) -> Weights:
        """`scores`, with those of padded rows so low that their weights are zero."""
        if self.pattern_mask is None:
            return scores
        # Finite, since minus infinity times a weight of zero is NaN.
        return jnp.where(self.pattern_mask, scores, jnp.finfo(scores.dtype).min / 2)
