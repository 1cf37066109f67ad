"""How does the default method end in random networks whose pool is not linear, and do elements of a window tie there?

    python -m experiments.architectures.ties [--seed 0] [--smoke] [--table]

The networks are those of `energy_law`, relaxed from zero.
"""

import argparse
import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from benchmarks.common import circumstances
from jaxtyping import Array

import hopfax
from hopfax._internal.files import write_json
from hopfax.networks import ConvPool

from . import energy_law


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Networks of `energy_law` with two convolutions.

    Attributes:
        networks: of each combination.
        smallest, largest: factors of weights and biases, spaced evenly on a logarithmic scale.
        rtol, max_steps: of the default method.
        combinations: pool and neurons.
        seed: of everything.
    """

    networks: int = 100
    smallest: float = 0.2
    largest: float = 3.0
    rtol: float = 1e-5
    max_steps: int = 500
    combinations: tuple[tuple[str, str], ...] = (("max", "Tanh"), ("soft", "Tanh"), ("max", "HardSigmoid"))
    seed: int = 0


SMOKE = Config(networks=3, max_steps=20, combinations=(("max", "HardSigmoid"),))


def main(arguments: Sequence[str] | None = None) -> None:
    energy_law.command(__doc__, arguments, "ties", run, table)


def run(options: argparse.Namespace, path: Path) -> None:
    """How the networks of each combination end."""
    config = dataclasses.replace(SMOKE if options.smoke else Config(), seed=options.seed)
    result: dict[str, Any] = {"config": dataclasses.asdict(config), "ends": {}}
    with jax.enable_x64(True):
        for pool, neurons in config.combinations:
            result["ends"][f"{pool}, {neurons}"] = ends(config, pool, neurons)
            write_json(path, {**result, "circumstances": circumstances()}, indent=1)
            print(pool, neurons, result["ends"][f"{pool}, {neurons}"], flush=True)


def ends(config: Config, pool: str, neurons: str) -> dict[str, dict[str, float | int | None]]:
    """For each status how many networks ended so, and the medians of their smallest gaps."""
    method = hopfax.Method(rtol=config.rtol, max_steps=config.max_steps)
    shared = energy_law.Config(seed=config.seed)

    @jax.jit
    @jax.vmap
    def one(key, factor):
        model_key, rest = jr.split(key)
        model = energy_law.network(shared, pool, neurons, 2, model_key, factor)
        image = jr.normal(jr.split(rest)[0], shared.shape, jnp.float64)
        equilibrium = hopfax.relax(model, {"input": image}, method=method)
        synapse, activation = model.synapses["hidden1-hidden2"], equilibrium.activation
        assert isinstance(synapse, ConvPool)
        between = gaps(synapse.convolve(activation["hidden1"], synapse.kernel, (1, 1)))
        negative = activation["hidden2"] < 0
        smallest = lambda where: jnp.min(jnp.where(where, between, jnp.inf))
        return equilibrium.status, smallest(negative), smallest(~negative)

    factors = np.geomspace(config.smallest, config.largest, config.networks)
    keys = jr.split(jr.key(config.seed), config.networks)
    status, negative, nonnegative = map(np.asarray, one(keys, factors))
    return {
        hopfax.Status(kind).name: {
            "networks": int(np.sum(status == kind)),
            "gap below negative": _median(negative[status == kind]),
            "gap below nonnegative": _median(nonnegative[status == kind]),
        }
        for kind in map(int, np.unique(status))
    }


def _median(values: np.ndarray) -> float | None:
    """None where there is no such neuron in most networks."""
    median = float(np.median(values))
    return median if np.isfinite(median) else None


def gaps(maps: Array) -> Array:
    """The largest element of each window of 2 x 2 less the second largest, over the largest of all maps."""
    rows, columns, channels = maps.shape[0] // 2, maps.shape[1] // 2, maps.shape[2]
    windows = maps[: 2 * rows, : 2 * columns].reshape(rows, 2, columns, 2, channels)
    ordered = jnp.sort(jnp.moveaxis(windows, 3, 1).reshape(rows, 4, columns, channels), axis=1)
    return (ordered[:, 3] - ordered[:, 2]) / jnp.max(jnp.abs(maps))


def table(result: Mapping[str, Any]) -> str:
    """One row for each combination, in Markdown."""
    rows = [
        "| pool, neurons | status | networks | gap below negative neurons | below others |",
        "| --- " * 5 + "|",
    ]
    for name, statuses in result["ends"].items():
        for status, row in statuses.items():
            medians = (row[f"gap below {sign}"] for sign in ("negative", "nonnegative"))
            distances = ("none" if median is None else f"{median:.1e}" for median in medians)
            rows.append("| " + " | ".join([name, status, str(row["networks"]), *distances]) + " |")
    return "\n".join(rows)


if __name__ == "__main__":
    main()
