"""Curves that compare memories: recall against load, flips and masks, capacity against size, a map of basins."""

from collections.abc import Mapping, Sequence
from typing import Any

import equinox as eqx
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, Int, Key

from ..._internal.checks import as_integer, require
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

    Args:
        load: against the number of patterns, corrupted as `Trial.corruption` says.
        flips: of `count` patterns, against the fraction of signs flipped.
        masks: of `count` patterns, against the fraction of values masked.
        count: the number of patterns of these two.
    """

    load: Curve
    flips: Curve
    masks: Curve
    count: int


class Growth(eqx.Module):
    """Capacity against the number of neurons.

    Args:
        neurons: the numbers of neurons.
        holds: this many patterns are recalled.
        fails: this many patterns are not; equal to `holds` if no more were tried.
    """

    neurons: Int[np.ndarray, " sizes"]
    holds: Int[np.ndarray, " sizes"]
    fails: Int[np.ndarray, " sizes"]


class BasinMap(eqx.Module):
    """Recall at each load and fraction of flipped signs.

    Args:
        counts: the loads, numbers of patterns.
        flips: the fractions of flipped signs.
        fraction: of the patterns that are recalled.
        basin: the fraction of flipped signs at which half of the patterns are recalled.
    """

    counts: Int[np.ndarray, " loads"]
    flips: Float[np.ndarray, " flips"]
    fraction: Float[np.ndarray, "loads flips"]
    basin: Float[np.ndarray, " loads"]


def curves(
    store: Store,
    trial: Trial,
    counts: Sequence[int],
    fractions: tuple[Sequence[float], Sequence[float]],
    count: int,
    key: PRNGKey,
) -> Curves:
    """Recall at each load of `counts`, and of `count` patterns with fractions of them flipped or masked.

    Args:
        fractions: two lists, of the signs flipped and of the values masked.
    Raises: `ValueError` for no counts or fractions, numbers below 1, or fractions outside [0, 1].
    """
    load_key, flips_key, masks_key = jr.split(key, 3)
    flipped, masked = [Flip(x) for x in fractions[0]], [Mask(x) for x in fractions[1]]
    load = recall_against_load(store, trial, counts, load_key)
    flips = recall_against_corruption(store, trial, count, flipped, flips_key)
    masks = recall_against_corruption(store, trial, count, masked, masks_key)
    return Curves(load, _against(flips, fractions[0]), _against(masks, fractions[1]), count)


def growth(
    store: Store,
    trial: Trial,
    sizes: Sequence[int],
    key: PRNGKey,
    *,
    fraction: float = 0.9,
    most: int = 1000,
) -> Growth:
    """`capacity` for each number of neurons, to a tenth; no more than `most` patterns are tried.

    Raises: `ValueError` for no sizes or one below 1, or as `capacity`.
    """
    require(len(sizes) > 0, "`sizes` must hold at least one number of neurons.")
    trials = [eqx.tree_at(lambda t: t.neurons, trial, as_integer("sizes", n, 1)) for n in sizes]
    capacities = [capacity(store, t, key, fraction=fraction, most=most, rtol=0.1) for t in trials]
    holds, fails = np.asarray(capacities).T
    return Growth(np.asarray(sizes), holds, fails)


def basin_map(
    store: Store, trial: Trial, counts: Sequence[int], flips: Sequence[float], key: PRNGKey
) -> BasinMap:
    """Recall at each load and fraction of flipped signs, and `basin_size` at each load.

    Raises: `ValueError` for no counts or flips, or numbers out of range.
    """
    require(len(counts) > 0 and len(flips) > 0, "`counts` and `flips` must hold at least one number each.")
    corruptions = [Flip(fraction) for fraction in flips]
    rows = [recall_against_corruption(store, trial, count, corruptions, key).fraction for count in counts]
    basins = [basin_size(store, trial, count, key) for count in counts]
    return BasinMap(np.asarray(counts), np.asarray(flips, float), np.stack(rows), np.asarray(basins))


def loads(most: int, points: int = 8) -> list[int]:
    """Up to `points` numbers of patterns from 1 to `most`, in about equal ratios."""
    return sorted({round(x) for x in np.geomspace(1, as_integer("most", most, 1), points)})


def as_lists(results: Mapping[str, eqx.Module]) -> dict[str, dict]:
    """The results of several memories as numbers and lists, for JSON."""
    return {name: _as_lists(result) for name, result in results.items()}


def _as_lists(value: Any) -> Any:
    if isinstance(value, eqx.Module):
        return {name: _as_lists(field) for name, field in vars(value).items()}
    return value.tolist() if isinstance(value, np.ndarray) else value


def _against(curve: Curve, values: Sequence[float]) -> Curve:
    """`curve` against `values` in place of their numbers."""
    return Curve(np.asarray(values, float), curve.fraction, curve.low, curve.high)
