"""Ridges: how the small least-squares problem of Anderson acceleration is regularised."""

import abc

import equinox as eqx
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from .._internal.checks import require_number


class AbstractRidge(eqx.Module):
    """Adds to the normal equations `(ΔGᵀΔG) γ = ΔGᵀ g` of the residual differences `ΔG`."""

    @abc.abstractmethod
    def add(
        self, gram: Float[Array, "m m"], right: Float[Array, " m"], used: Bool[Array, " m"]
    ) -> tuple[Float[Array, "m m"], Float[Array, " m"]]:
        """The regularised matrix and right-hand side."""


class Relative(AbstractRidge):
    """`λ tr(ΔGᵀΔG) I`: the same acceleration whatever the scale of the residual; by default 1e4 eps² scaled to eps.

    `factor=None` means 0.1 eps of the working precision.
    """

    factor: float | None = None

    def __check_init__(self):
        if self.factor is not None:
            require_number("Relative.factor", self.factor, lambda x: x >= 0, "a number, 0 or more")

    def add(self, gram, right, used):
        factor = 0.1 * jnp.finfo(gram.dtype).eps if self.factor is None else self.factor
        return gram + factor * jnp.trace(gram) * jnp.eye(len(gram), dtype=gram.dtype), right


class Absolute(AbstractRidge):
    """`λ |a|²` on the weights `a` that sum to one: the published `(FᵀF + λ I) a = 1`.

    In differences, `a = (γ, 1 - Σγ)`, that is `λ (I + 11ᵀ)` and `λ 1`. Absolute, so it slows the last digits.
    Source: [goemaere2024], Appendix C; [walkerni2011], form 1.1.
    """

    factor: float = 1e-10

    def __check_init__(self):
        require_number("Absolute.factor", self.factor, lambda x: x >= 0, "a number, 0 or more")

    def add(self, gram, right, used):
        ones = used.astype(gram.dtype)
        ridge = jnp.diag(ones) + jnp.outer(ones, ones)
        return gram + self.factor * ridge, right + self.factor * ones
