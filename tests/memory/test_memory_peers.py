"""One step of recall equals that of torchhd and of ml-jku's hopfield-layers, on the same patterns and `beta`."""

import warnings

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import hopfax
from hopfax.memory.memory import AveragingWarning, Memory
from hopfax.memory.similarities import Dot

PATTERNS = np.asarray(jr.normal(jr.key(0), (13, 6), jnp.float64))
QUERIES = np.asarray(jr.normal(jr.key(1), (5, 6), jnp.float64))
BETAS = (0.1, 1.0, 8.0)


def peer(name):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of their imports
        return pytest.importorskip(name)


def recalled(beta, steps=1):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AveragingWarning)
        memory = Memory.store(PATTERNS, beta, similarity=Dot(), chunk=4)
    return memory.recall(QUERIES, max_steps=steps, tolerance=0.0).state


@pytest.mark.parametrize("beta", BETAS)
def test_a_step_is_torchhds_attention(beta):
    torch, torchhd = peer("torch"), peer("torchhd")
    patterns = torch.tensor(PATTERNS)
    expected = torchhd.memory.attention(torch.tensor(QUERIES), patterns, patterns, beta)
    np.testing.assert_allclose(recalled(beta), expected.numpy(), rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize("beta", BETAS)
def test_torchhds_modern_hopfield_is_the_energy_that_a_flip_of_one_bit_costs(beta):
    """Its rule of Demircigil et al. for bits has no `beta`: patterns scaled by `beta`, energies over it."""
    torch, torchhd = peer("torch"), peer("torchhd")
    bits = np.where(QUERIES > 0, 1.0, -1.0)
    network = hopfax.ModernHopfield(PATTERNS, beta, similarity=Dot())

    def energies(state, bit):
        flipped = jax.vmap(lambda i: state.at[i].set(bit))(jnp.arange(state.size))
        return jax.vmap(network.energy)(flipped)

    cost = jax.jit(jax.vmap(lambda state: energies(state, -1.0) - energies(state, 1.0)))(jnp.asarray(bits))
    expected = torchhd.memory.modern_hopfield(torch.tensor(bits), torch.tensor(beta * PATTERNS)) / beta
    np.testing.assert_allclose(cost, expected.numpy(), rtol=1e-10, atol=1e-11)


@pytest.mark.parametrize("beta", BETAS)
@pytest.mark.parametrize("steps", [1, 3])
def test_steps_are_those_of_hopfield_layers(beta, steps):
    """Its layer without projections and normalisations; `update_steps_max` is one less than the updates."""
    torch, layers = peer("torch"), peer("hflayers")
    off = ("stored_pattern", "state_pattern", "pattern_projection")
    layer = layers.Hopfield(
        scaling=beta,
        update_steps_max=steps - 1,
        update_steps_eps=1e-12,
        disable_out_projection=True,
        **{f"{name}_as_static": True for name in off},
        **{f"normalize_{name}": False for name in off},
        **{f"normalize_{name}_affine": False for name in off},
    )
    patterns, queries = torch.tensor(PATTERNS)[None], torch.tensor(QUERIES)[None]
    with torch.no_grad():
        expected = layer((patterns, queries, patterns))[0]
    np.testing.assert_allclose(recalled(beta, steps), expected.numpy(), rtol=1e-10, atol=1e-11)
