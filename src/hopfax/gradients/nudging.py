"""Variants of equilibrium propagation: the nudges `β` at which `F = E + β C` is solved, and their weights."""

import abc
from typing import ClassVar

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key, ScalarLike

from .._internal.checks import require_integer


class AbstractVariant(eqx.Module):
    """A finite difference in `β` that estimates `d/dβ ∂F/∂θ` at 0."""

    holomorphic: eqx.AbstractVar[bool]
    """Whether the nudges are complex."""

    one_sided: ClassVar[bool] = False
    """Whether the last nudge is zero: the free equilibrium takes part."""

    @abc.abstractmethod
    def nudges(self, beta: ScalarLike) -> tuple[Array, Array]:
        """The nudges, and the weight of `∂F/∂θ` at each of them; real weights sum to zero.

        Where the free equilibrium takes part, it is the last, with a nudge of zero. So it is solved as accurately as
        the others, and its remaining residual is not mistaken for an effect of the nudge.
        """


class Centred(AbstractVariant):
    """`[∂F(β) - ∂F(-β)] / 2β`, of error `O(β²)`. Source: [laborieux2021]."""

    holomorphic: ClassVar[bool] = False

    def nudges(self, beta):
        betas = jnp.stack([jnp.asarray(beta), -jnp.asarray(beta)])
        return betas, 0.5 / betas


class Positive(AbstractVariant):
    """`[∂F(β) - ∂F(0)] / β`, of error `O(β)`. Source: [scellier2017], eq. 11."""

    holomorphic: ClassVar[bool] = False
    one_sided: ClassVar[bool] = True

    def nudges(self, beta):
        return _one_sided(jnp.asarray(beta))


class Negative(AbstractVariant):
    """`[∂F(0) - ∂F(-β)] / β`, of error `O(β)`. Source: [scellier2024]."""

    holomorphic: ClassVar[bool] = False
    one_sided: ClassVar[bool] = True

    def nudges(self, beta):
        return _one_sided(-jnp.asarray(beta))


class RandomSign(AbstractVariant):
    """`Positive()` or `Negative()`, each with probability ½.

    Args:
        key: decides; give a new one at each step.
    Source: [laborieux2021].
    """

    key: Key[Array, ""]
    holomorphic: ClassVar[bool] = False
    one_sided: ClassVar[bool] = True

    def nudges(self, beta):
        beta = jnp.asarray(beta)
        signed = jnp.where(jr.rademacher(self.key, (), jnp.float32) > 0, beta, -beta)
        return _one_sided(signed)


class Holomorphic(AbstractVariant):
    """`(1/N) Σ_k ∂F(β_k) / β_k` over the circle `β_k = β e^{2πik/N}`, of error `O(β^N)`; needs holomorphic neurons.

    By conjugate symmetry `N/2 + 1` solves suffice.

    Args:
        count: `N`, at least 2.
    Raises: `ValueError` for another `count`.
    Source: [laborieux2022].
    """

    count: int = eqx.field(static=True, default=6)
    holomorphic: ClassVar[bool] = True

    def __check_init__(self):
        require_integer("Holomorphic.count", self.count, 2)

    def nudges(self, beta):
        beta = jnp.asarray(beta)
        k = jnp.arange(self.count // 2 + 1, dtype=beta.dtype)
        angle = 2 * jnp.pi * k / self.count
        betas = jax.lax.complex(beta * jnp.cos(angle), beta * jnp.sin(angle))
        multiplicity = jnp.where((k == 0) | (2 * k == self.count), 1, 2).astype(betas.dtype)
        return betas, multiplicity / (self.count * betas)


def _one_sided(beta: Array) -> tuple[Array, Array]:
    return jnp.stack([beta, jnp.zeros_like(beta)]), jnp.stack([1 / beta, -1 / beta])
