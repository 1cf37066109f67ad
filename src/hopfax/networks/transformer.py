"""The energy transformer: attention and a memory for each token, as one energy."""

import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Key

from .._internal.checks import require_integer, require_key
from ..lagrangians import AbstractLagrangian, AlongAxis, LayerNorm, ReLU
from .ham import HAM
from .layers import Layer
from .synapses import AbstractSynapse, Attention, SharedDense


def energy_transformer(
    tokens: int,
    dim: int,
    heads: int,
    memories: int,
    *,
    width: int | None = None,
    memory: AbstractLagrangian | None = None,
    key: Key[Array, ""],
) -> HAM:
    """Layers "tokens" of (tokens, dim), normalised for each token, and "memories" of (tokens, memories).

    Tokens attend to one another by `Attention`, and each is joined to its memories by the same weights. The memories
    are eliminated exactly. `image_transformer` has patches of an image beside them.

    Args:
        tokens: at least 2.
        dim: of each token.
        heads: of the attention.
        memories: of each token.
        width: of queries and keys; `dim / heads`, rounded up, if None.
        memory: the Lagrangian of the memories; `ReLU()` if None. `AlongAxis(Softmax(beta))` is a modern Hopfield
            network.
        key: for the weights.
    Raises: `ValueError` for numbers that are not positive and whole.
    Source: [hoover2023], eq. 1 to 5; relaxed to equilibrium here, with positions in the attention.
    """
    sizes = {"tokens": tokens, "dim": dim, "heads": heads, "memories": memories}
    for name, value in sizes.items():
        require_integer(f"energy_transformer({name}=...)", value, 2 if name == "tokens" else 1)
    require_key("energy_transformer", key)
    width = -(-dim // heads) if width is None else width
    keys = jr.split(key, 4)
    normal = lambda k, *shape: jr.normal(k, shape, jnp.float32)
    layers = {
        "tokens": Layer((tokens, dim), AlongAxis(LayerNorm(), -1)),
        "memories": Layer((tokens, memories), ReLU() if memory is None else memory),
    }
    attention = Attention(
        layer="tokens",
        query=normal(keys[0], heads, dim, width) / dim**0.5,
        key=normal(keys[1], heads, dim, width) / dim**0.5,
        positions=0.1 * normal(keys[2], tokens, dim),
    )
    synapses: list[AbstractSynapse] = [
        attention,
        SharedDense(("tokens", "memories"), normal(keys[3], dim, memories) / (dim + memories) ** 0.5),
    ]
    return HAM(layers, synapses)
