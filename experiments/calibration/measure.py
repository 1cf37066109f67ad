"""Recall of stored patterns from noise and from halves, and what the keys of an attention head turn into."""

import warnings
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from hopfax.memory.calibration import calibrate
from hopfax.memory.memory import AveragingWarning, Memory
from hopfax.memory.phase import StateKind, mean_field_beta, thresholds
from hopfax.memory.similarities import AbstractSimilarity, Dot, Euclidean

from .config import Config

AUTO, LENIENT = "auto", "calibrated for 90 %"
# Name -> whether patterns are centred and scaled to unit variance first, and the similarity.
USUAL: dict[str, tuple[bool, AbstractSimilarity]] = {
    "1/sqrt(d), raw, distance": (False, Euclidean()),
    "1/sqrt(d), raw, product": (False, Dot()),
    "1/sqrt(d), standardised, distance": (True, Euclidean()),
    "1/sqrt(d), standardised, product": (True, Dot()),
}


def recall_of_set(patterns: np.ndarray, config: Config) -> dict[str, Any]:
    """Contestants and the sweep; all `beta` as effective ones, which no shift or scale of the set changes."""
    usual = patterns.shape[1] ** -0.5
    unit = float(mean_field_beta(jnp.asarray(patterns), 1.0))
    memories = {AUTO: Memory.store(patterns), LENIENT: store(patterns, lenient_beta(patterns), Euclidean())}
    for name, (standardise, similarity) in USUAL.items():
        memories[name] = store(standardised(patterns) if standardise else patterns, usual, similarity)
    contestants = {name: _contestant(memory, patterns, config) for name, memory in memories.items()}
    at = lambda effective: store(patterns, effective / unit, Euclidean())
    sweep = [
        {"effective": effective, **recalled(at(effective), patterns, config)} for effective in config.sweep
    ]
    limits = thresholds(len(patterns))
    return {
        "patterns": len(patterns),
        "dimension": patterns.shape[1],
        "spinodal": limits.spinodal,
        "instability": limits.instability,
        "contestants": contestants,
        "sweep": sweep,
    }


def _contestant(memory: Memory, patterns: np.ndarray, config: Config) -> dict[str, Any]:
    beta = float(memory.beta)
    effective = float(mean_field_beta(memory.patterns, beta))
    return {"beta": beta, "effective": effective, **recalled(memory, patterns, config)}


def lenient_beta(patterns: np.ndarray) -> float:
    """As "auto", for 90 % of the patterns in place of 99 %."""
    return calibrate(patterns, 0.9).recall_beta


def standardised(patterns: np.ndarray) -> np.ndarray:
    """Less their mean, over one number for the whole set: total variance `d`, as of standard normal keys."""
    centred = patterns - patterns.mean(axis=0)
    return centred / np.sqrt(np.sum(centred**2) / (len(patterns) - 1) / patterns.shape[1])


def store(patterns: np.ndarray, beta: float, similarity: AbstractSimilarity) -> Memory:
    """Without the warning of averaging, which is what is measured here."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AveragingWarning)
        return Memory.store(patterns, beta, similarity=similarity)


def recalled(memory: Memory, patterns: np.ndarray, config: Config) -> dict[str, Any]:
    """Of each kind of query the share that ended at its own pattern alone, and the error that was left.

    `error`: squared distance to the pattern in the values that were not held, over that of the set's mean.
    """
    stored = np.asarray(memory.patterns)
    generator = np.random.default_rng(config.seed)
    chosen = np.sort(generator.permutation(len(patterns))[: config.queries])
    truth, spread = stored[chosen], np.sqrt(np.mean(np.var(stored, axis=0, ddof=1)))
    known = np.arange(stored.shape[1]) < stored.shape[1] // 2
    noise = generator.standard_normal(truth.shape).astype(truth.dtype)
    results = {}
    for level in config.noises:
        queries = truth + (level * spread * noise).astype(truth.dtype)
        results[f"noise {level:g}"] = _score(memory, queries, None, chosen, config)
    results["half"] = _score(memory, np.where(known, truth, np.nan), known, chosen, config)
    return results


def _score(memory: Memory, queries, known, chosen: np.ndarray, config: Config) -> dict[str, float]:
    recall = memory.recall(queries, known, max_steps=config.max_steps)
    stored = np.asarray(memory.patterns)
    asked = slice(None) if known is None else ~known
    error = np.sum((recall.state - stored[chosen])[:, asked] ** 2)
    usual = np.sum((stored.mean(axis=0) - stored[chosen])[:, asked] ** 2)
    own = (recall.index == chosen) & (recall.kind == StateKind.PATTERN)
    kinds = {kind.name.lower(): float(np.mean(recall.kind == kind)) for kind in StateKind}
    return {"recalled": float(np.mean(own)), "error": float(error / usual), **kinds}


def attention(config: Config) -> Iterable[dict[str, Any]]:
    """For each dimension and number of keys: the prediction, and where the keys themselves end up."""
    for dimension in config.dimensions:
        for number in config.numbers:
            key = jr.fold_in(jr.fold_in(jr.key(config.seed), dimension), number)
            keys = np.asarray(jr.normal(key, (number, dimension), jnp.float32))
            yield {"dimension": dimension, "keys": number, **regime(keys, config)}


def predicted(effective: float, number: int) -> str:
    """The regime of equidistant patterns.

    `averaging`: only the average is a minimum. `metastable`: single patterns are minima too, with higher
    energy. `single pattern`: they are the lowest.
    """
    limits = thresholds(number)
    if effective < limits.spinodal:
        return "averaging"
    return "metastable" if effective < limits.coexistence else "single pattern"


def regime(keys: np.ndarray, config: Config) -> dict[str, Any]:
    """Prediction from the effective `beta`, and fixed points reached from keys with `Dot()` at 1/sqrt(d).

    `own`, `other`, `subset`, `average`: shares of the keys that end at themselves, at another key, at a
    subset, at the average of all or more than 16. `lowest`: those of `own` with less energy than the fixed
    point reached from the mean of all keys, whose kind is `from_mean`.
    """
    beta = keys.shape[1] ** -0.5
    memory = store(keys, beta, Dot())
    probes = keys[: config.probes]
    recall = memory.recall(probes, max_steps=config.max_steps)
    average = memory.recall(keys.mean(axis=0), max_steps=config.max_steps)
    states = jnp.asarray(np.concatenate([recall.state, average.state[None]]))
    energies = np.asarray(jax.lax.map(memory.network().energy, states))
    single = recall.kind == StateKind.PATTERN
    own = single & (recall.index == np.arange(len(probes)))
    effective = float(mean_field_beta(jnp.asarray(keys), beta))
    shares = {
        "own": own,
        "other": single & ~own,
        "subset": recall.kind == StateKind.SUBSET,
        "average": recall.kind == StateKind.GLOBAL,
        "lowest": own & (energies[:-1] < energies[-1]),
    }
    return {
        "effective": effective,
        "spinodal": thresholds(len(keys)).spinodal,
        "coexistence": thresholds(len(keys)).coexistence,
        "predicted": predicted(effective, len(keys)),
        **{name: float(np.mean(share)) for name, share in shares.items()},
        "from_mean": StateKind(int(average.kind)).name.lower(),
        "converged": float(np.mean(recall.converged)),
    }
