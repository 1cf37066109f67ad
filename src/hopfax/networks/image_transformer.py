"""An energy transformer for the patches of an image, with initial weights from which it learns to complete them."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, ArrayLike, Bool, Float, Key

from .._internal.checks import require_integer, require_key
from ..lagrangians import Identity
from .ham import HAM
from .layers import Clamp, Layer, PartialClamp
from .synapses import AbstractSynapse, Attention, Bias, SharedDense
from .transformer import energy_transformer

FREQUENCIES = 3  # of a place, along each axis of the grid
PLACE = (
    4 * FREQUENCIES
)  # elements of a token that hold its place: a cosine and a sine for each frequency and axis
NEIGHBOURS = ((0, 1), (1, 0), (1, 1), (1, -1))  # steps in rows and columns; the energy goes both ways
SHARE = 0.1  # fraction of its position that a token passes on, beside its content
FOCUS = 2.5  # of the attention on one place
TURN = 0.7  # size of what is passed on


def image_transformer(
    mean: Float[ArrayLike, "..."],
    dim: int,
    heads: int,
    memories: int,
    *,
    key: Key[Array, ""],
) -> HAM:
    """An energy transformer of the patches of an image, for the completion of those that are missing.

    Beside the "tokens" and "memories" of `energy_transformer` there are two linear layers: "known" of
    (tokens, patch + 1), which is clamped, and "image" of (tokens, patch), which is read at equilibrium.
    `PatchClamp(mean.reshape(tokens, patch))` makes the clamp.

    The initial weights let each token attend to its neighbours on the grid: the first head to the token on the right,
    the second to the one below, the next two to the diagonal ones, further heads the same at twice the distance. A pair
    of tokens is driven both ways, as the energy has no direction. The first twelve elements of a token hold its place,
    as cosines and sines, and the place in a query is that of the neighbour. The other elements are divided among the
    heads, and an orthogonal matrix rotates what is passed on. With random weights, tokens attend to all tokens alike,
    and the network did not learn.

    Args:
        mean: the mean image, a grid of patches with one number for each pixel and channel. Tokens follow by rows.
        dim: of each token; at least 12 more than there are heads.
        heads: of the attention.
        memories: of each token.
        key: for the weights.
    Raises: `ValueError` for numbers that are not whole, or too small, or a mean of another shape.
    Source: [hoover2023] for the energy; the layers of the image and the initial weights are derived in this project.
    """
    require_key("image_transformer", key)
    if jnp.ndim(mean) != 3:
        raise ValueError(f"`mean` has shape {jnp.shape(mean)}; give (rows, columns, numbers in a patch).")
    for name, value in {"heads": heads, "memories": memories}.items():
        require_integer(f"image_transformer({name}=...)", value, 1)
    require_integer("image_transformer(dim=...)", dim, PLACE + heads)
    rows, columns, patch = jnp.shape(mean)
    tokens, free = rows * columns, dim - PLACE
    keys = jr.split(key, 4)
    width = PLACE + free // heads
    model = energy_transformer(tokens, dim, heads, memories, width=width, key=keys[0])
    (memory,) = jax.tree.leaves(model.synapses["tokens-memories"])
    frequencies = jnp.pi / max(rows, columns) * 2 ** jnp.arange(FREQUENCIES, dtype=jnp.float32)
    code = _code(jnp.stack(jnp.divmod(jnp.arange(tokens), columns), axis=1), frequencies)
    in_place, content = ((0, 0), (0, free)), ((0, 0), (PLACE, 0))
    normal = lambda k, rows: jnp.pad(jr.normal(k, (rows, free), jnp.float32), content)
    synapses: list[AbstractSynapse] = [
        SharedDense(("known", "tokens"), 0.75 * normal(keys[1], patch + 1)),
        _attention(keys[2], heads, free, jnp.pad(FOCUS / SHARE * code, in_place), frequencies),
        SharedDense(("tokens", "memories"), 0.5 * memory),
        SharedDense(("image", "tokens"), 0.05 * normal(keys[3], patch)),
        Bias("tokens", jnp.pad(4 * code / (2 * FREQUENCIES) ** 0.5, in_place)),
        Bias("image", jnp.asarray(mean, jnp.float32).reshape(tokens, patch)),
    ]
    layers = {
        "known": Layer((tokens, patch + 1), Identity()),
        **model.layers,
        "image": Layer((tokens, patch), Identity()),
    }
    return HAM(layers, synapses)


class PatchClamp(eqx.Module):
    """The clamp of an `image_transformer` at known patches, of one image or a batch.

    What `patches` hold where nothing is known, NaN or any number, has no influence. One mask may serve a whole batch.
    """

    mean: Float[Array, "tokens patch"]

    def __call__(
        self, patches: Float[ArrayLike, "*batch tokens patch"], known: Bool[ArrayLike, "..."]
    ) -> Clamp:
        """The layer "known" has differences from the mean, zero where unknown; its last column is 1 where known."""
        patches, known = jnp.asarray(patches), jnp.asarray(known)
        mean, known = jnp.broadcast_to(self.mean, patches.shape), jnp.broadcast_to(known, patches.shape)
        values = jnp.where(known, patches, mean)
        flag = known[..., :1].astype(values.dtype)
        differences = jnp.concatenate([values - mean, flag], axis=-1)
        return {"known": differences, "image": PartialClamp(values, known)}


def _attention(key: Key[Array, ""], heads: int, free: int, positions: Array, frequencies: Array) -> Attention:
    """Heads that attend to one neighbour each, and pass on a share of the free elements, rotated."""
    share = free // heads
    basis, *turns = (
        jr.orthogonal(k, n, dtype=jnp.float32)
        for k, n in zip(jr.split(key, 3), (free, share, share), strict=True)
    )
    shares = basis[:, : heads * share].reshape(free, heads, share).transpose(1, 0, 2)
    places = jnp.stack([_rotation(_step(head), frequencies) for head in range(heads)])
    blocks = lambda place, turn: jax.vmap(jax.scipy.linalg.block_diag)(SHARE * place, TURN * shares @ turn)
    same = jnp.broadcast_to(jnp.eye(PLACE, dtype=jnp.float32), places.shape)
    return Attention(
        "tokens", query=blocks(places, turns[0]), key=blocks(same, turns[1]), positions=positions
    )


def _step(head: int) -> tuple[int, int]:
    """The step from a token to the one that a head attends to, in rows and columns."""
    distance, direction = divmod(head, len(NEIGHBOURS))
    rows, columns = NEIGHBOURS[direction]
    return (distance + 1) * rows, (distance + 1) * columns


def _code(places: Array, frequencies: Array) -> Float[Array, "places code"]:
    """Cosines and sines of places (rows, columns)."""
    angles = jnp.einsum("na,f->naf", places.astype(frequencies.dtype), frequencies).reshape(len(places), -1)
    return jnp.concatenate([jnp.cos(angles), jnp.sin(angles)], axis=1)


def _rotation(step: tuple[int, int], frequencies: Array) -> Float[Array, "code code"]:
    """The matrix `R` for which `code(place) @ R` is the code of the place that is a step further."""
    angles = jnp.outer(jnp.asarray(step, frequencies.dtype), frequencies).reshape(-1)
    cosines, sines = jnp.diag(jnp.cos(angles)), jnp.diag(jnp.sin(angles))
    return jnp.block([[cosines, sines], [-sines, cosines]])
