"""What a memory is compared by: recall against load, flips and masks, capacity against size, a map of basins."""

from collections.abc import Mapping, Sequence

import equinox as eqx
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ..._internal.checks import require, as_integer
from .measure import (
    Curve,
    Trial,
    basin_size,
    capacity,
    recall_against_corruption,
    recall_against_load,
)
from .memories import Store
from .patterns import Flip, Mask

PRNGKey = Key[Array, ""]


class Curves(eqx.Module):
    """Recall of one memory, with 95 % intervals.

    `load`: against the number of patterns, spoiled as `Trial.corruption` says. `flips`, `masks`: of `count`
    patterns, against the share of signs flipped, and of values masked.
    """

    load: Curve
    flips: Curve
    masks: Curve
    count: int


class Growth(eqx.Module):
    """Capacity against the number of neurons: `holds` patterns are recalled, `fails` are not.

    Where both are equal, so many were tried at most, and are held.
    """

    neurons: Int[np.ndarray, " sizes"]
    holds: Int[np.ndarray, " sizes"]
    fails: Int[np.ndarray, " sizes"]


class BasinMap(eqx.Module):
    """Share of the patterns recalled at each load and share of flipped signs; `basin` is where half are."""

    counts: Int[np.ndarray, " loads"]
    flips: Float[np.ndarray, " flips"]
    share: Float[np.ndarray, "loads flips"]
    basin: Float[np.ndarray, " loads"]


def curves(
    store: Store,
    trial: Trial,
    counts: Sequence[int],
    shares: tuple[Sequence[float], Sequence[float]],
    count: int,
    key: PRNGKey,
) -> Curves:
    """Recall at each load of `counts`, and of `count` patterns at each of two `shares`: flipped, and masked.

    Raises: `ValueError` for no counts or shares, numbers below 1, or shares outside [0, 1].
    """
    keys = jr.split(key, 3)
    load = recall_against_load(store, trial, counts, keys[0])
    flips = recall_against_corruption(store, trial, count, [Flip(x) for x in shares[0]], keys[1])
    masks = recall_against_corruption(store, trial, count, [Mask(x) for x in shares[1]], keys[2])
    return Curves(load, _at(flips, shares[0]), _at(masks, shares[1]), count)


def growth(
    store: Store, trial: Trial, sizes: Sequence[int], key: PRNGKey, *, share: float = 0.9, most: int = 1000
) -> Growth:
    """`capacity` of each number of neurons, to a tenth; no more than `most` patterns are tried.

    Raises: `ValueError` for no sizes or one below 1, or as `capacity`.
    """
    require(len(sizes) > 0, "`sizes` must hold at least one number of neurons.")
    sized = [eqx.tree_at(lambda t: t.neurons, trial, as_integer("sizes", n, 1)) for n in sizes]
    found = [capacity(store, each, key, share=share, most=most, rtol=0.1) for each in sized]
    holds, fails = np.asarray(found).T
    return Growth(np.asarray(sizes), holds, fails)


def basin_map(
    store: Store, trial: Trial, counts: Sequence[int], flips: Sequence[float], key: PRNGKey
) -> BasinMap:
    """Recall at each load and share of flipped signs, and `basin_size` at each load.

    Raises: `ValueError` for no counts or flips, or numbers out of range.
    """
    require(len(counts) > 0 and len(flips) > 0, "`counts` and `flips` must hold at least one number each.")
    spoiled = [Flip(share) for share in flips]
    rows = [recall_against_corruption(store, trial, count, spoiled, key).share for count in counts]
    basins = [basin_size(store, trial, count, key) for count in counts]
    return BasinMap(np.asarray(counts), np.asarray(flips, float), np.stack(rows), np.asarray(basins))


def loads(most: int, points: int = 8) -> list[int]:
    """Up to `points` numbers of patterns from 1 to `most`, in about equal ratios."""
    return sorted({round(x) for x in np.geomspace(1, as_integer("most", most, 1), points)})


def as_lists(found: Mapping[str, eqx.Module]) -> dict[str, dict]:
    """Curves of several memories as numbers and lists, for JSON."""
    return {name: _listed(each) for name, each in found.items()}


def _listed(found):
    if isinstance(found, eqx.Module):
        return {name: _listed(value) for name, value in vars(found).items()}
    return found.tolist() if isinstance(found, np.ndarray) else found


def _at(curve: Curve, values: Sequence[float]) -> Curve:
    """`curve` against `values` in place of their numbers."""
    return Curve(np.asarray(values, float), curve.share, curve.low, curve.high)
