"""Variants of equilibrium propagation: the nudges `β` at which `F = E + β C` is solved, and their weights."""

import abc
from typing import ClassVar

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key, ScalarLike

from .._internal.checks import require_integer


class AbstractVariant(eqx.Module):
    """The finite difference in `β` that estimates `d/dβ ∂F/∂θ` at 0."""

    holomorphic: eqx.AbstractVar[bool]  # whether `β` is complex

    @abc.abstractmethod
    def points(self, beta: ScalarLike) -> tuple[Array, Array, ScalarLike]:
        """Values of `β` to solve at, the weight of `∂F/∂θ` at each, and its weight at the free state."""


class Centred(AbstractVariant):
    """`[∂F(β) - ∂F(-β)] / 2β`, error `O(β²)`. Source: [laborieux2021]."""

    holomorphic: ClassVar[bool] = False

    def points(self, beta):
        betas = jnp.stack([jnp.asarray(beta), -jnp.asarray(beta)])
        return betas, 0.5 / betas, 0.0


class Positive(AbstractVariant):
    """`[∂F(β) - ∂F(0)] / β`, error `O(β)`. Source: [scellier2017], eq. 11."""

    holomorphic: ClassVar[bool] = False

    def points(self, beta):
        betas = jnp.asarray(beta)[None]
        return betas, 1 / betas, -1 / jnp.asarray(beta)


class Negative(AbstractVariant):
    """`[∂F(0) - ∂F(-β)] / β`, error `O(β)`. Source: [scellier2024]."""

    holomorphic: ClassVar[bool] = False

    def points(self, beta):
        betas = -jnp.asarray(beta)[None]
        return betas, 1 / betas, 1 / jnp.asarray(beta)


class RandomSign(AbstractVariant):
    """`Positive` or `Negative`, as the coin that `key` throws; give each step a new key. Source: [laborieux2021]."""

    key: Key[Array, ""]
    holomorphic: ClassVar[bool] = False

    def points(self, beta):
        signed = jnp.asarray(beta) * jr.rademacher(self.key, (), jnp.float32)
        return signed[None], 1 / signed[None], -1 / signed


class Holomorphic(AbstractVariant):
    """`(1/N) Σ_k ∂F(β_k) / β_k` on the circle `β_k = β e^{2πik/N}`, error `O(β^N)`; needs holomorphic neurons.

    Conjugate symmetry leaves `N/2 + 1` solves. Source: [laborieux2022].
    """

    count: int = eqx.field(static=True, default=6)
    holomorphic: ClassVar[bool] = True

    def __check_init__(self):
        require_integer("Holomorphic.count", self.count, 2)

    def points(self, beta):
        k = jnp.arange(self.count // 2 + 1)
        betas = jnp.asarray(beta) * jnp.exp(2j * jnp.pi * k / self.count)
        twice = jnp.where((k == 0) | (2 * k == self.count), 1, 2)
        return betas, twice / (self.count * betas), 0.0
