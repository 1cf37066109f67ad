"""Classifiers of sets that differ in how they pool: by Hopfield pooling, by attention, by the mean."""

from collections.abc import Callable

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array

from hopfax.layers import Hopfield, HopfieldPooling, Repeated, Sizes

WIDTH = 16  # of an embedded member, and of a pooled set


class BagClassifier(eqx.Module):
    """The logit of label 1: every member is embedded by two layers, the set is pooled and read linearly."""

    embed: eqx.nn.MLP
    pool: eqx.Module
    read: eqx.nn.Linear

    def __init__(self, width: int, hidden: int, pool: Callable[[Array], eqx.Module], key: Array):
        keys = jr.split(key, 3)
        self.embed = eqx.nn.MLP(width, WIDTH, hidden, 1, key=keys[0])
        self.pool, self.read = pool(keys[1]), eqx.nn.Linear(WIDTH, "scalar", key=keys[2])

    def __call__(self, rows: Array, mask: Array) -> Array:
        return self.read(self.pool(jax.vmap(self.embed)(rows), mask))


class Mean(eqx.Module):
    """The mean of the members."""

    def __call__(self, rows: Array, mask: Array) -> Array:
        return jnp.sum(jnp.where(mask[:, None], rows, 0), axis=0) / jnp.sum(mask)


class Attention(eqx.Module):
    """`Σ_k a_k h_k`, `a = softmax(w · tanh(V h_k))`: Ilse, Tomczak and Welling (2018), eq. 7 and 8."""

    hidden: eqx.nn.Linear
    score: eqx.nn.Linear

    def __init__(self, key: Array):
        keys = jr.split(key)
        self.hidden = eqx.nn.Linear(WIDTH, WIDTH, use_bias=False, key=keys[0])
        self.score = eqx.nn.Linear(WIDTH, "scalar", use_bias=False, key=keys[1])

    def __call__(self, rows: Array, mask: Array) -> Array:
        scores = jax.vmap(lambda row: self.score(jnp.tanh(self.hidden(row))))(rows)
        return jax.nn.softmax(scores, where=mask) @ rows


class HopfieldPool(eqx.Module):
    """`HopfieldPooling` with one query, four heads, and up to `steps` updates of the state."""

    pooling: HopfieldPooling

    def __init__(self, key: Array, steps: int = 3):
        keys, sizes = jr.split(key), Sizes(WIDTH, head=8, head_values=8)
        association = Hopfield(sizes, heads=4, iteration=Repeated(steps), key=keys[0])
        self.pooling = HopfieldPooling(association, jr.normal(keys[1], (1, WIDTH)))

    def __call__(self, rows: Array, mask: Array) -> Array:
        return self.pooling(rows, pattern_mask=mask)


POOLS = {"hopfield": HopfieldPool, "attention": Attention, "mean": lambda key: Mean()}


def build(name: str, width: int, hidden: int, key: Array) -> BagClassifier:
    """The classifier with this pool, and as many weights as that with Hopfield pooling and `hidden` neurons has.

    What another pool has less goes to the hidden neurons of the embedding.
    """
    count = lambda name: weights(BagClassifier(width, hidden, POOLS[name], key))
    missing, per_neuron = count("hopfield") - count(name), width + 1 + WIDTH
    return BagClassifier(width, hidden + round(missing / per_neuron), POOLS[name], key)


def weights(model: eqx.Module) -> int:
    """How many numbers are trained."""
    return sum(x.size for x in jax.tree.leaves(eqx.filter(model, eqx.is_inexact_array)))
