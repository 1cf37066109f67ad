"""How does the default method end in random networks whose pool is not linear, with signed neurons and without?

    python -m experiments.architectures.ties [--seed 0] [--smoke] [--table]

The networks are those of `energy_law`, relaxed from zero.
"""

import argparse
import collections
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from benchmarks.common import circumstances

import hopfax
from hopfax._internal.files import write_json

from . import energy_law

HERE = Path(__file__).parent


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
    options = _options(arguments)
    path = options.results / f"ties-seed{options.seed}.json"
    if options.table:
        print(table(json.loads(path.read_text(encoding="utf-8"))))
        return
    config = dataclasses.replace(SMOKE if options.smoke else Config(), seed=options.seed)
    result: dict[str, Any] = {"config": dataclasses.asdict(config), "statuses": {}}
    with jax.enable_x64(True):
        for pool, neurons in config.combinations:
            result["statuses"][f"{pool}, {neurons}"] = statuses(config, pool, neurons)
            path.parent.mkdir(parents=True, exist_ok=True)
            write_json(path, {**result, "circumstances": circumstances()}, indent=1)
            print(pool, neurons, result["statuses"][f"{pool}, {neurons}"], flush=True)


def statuses(config: Config, pool: str, neurons: str) -> dict[str, int]:
    """How many networks ended with each status."""
    method = hopfax.Method(rtol=config.rtol, max_steps=config.max_steps)
    shared = energy_law.Config(seed=config.seed)

    @jax.jit
    @jax.vmap
    def one(key, factor):
        model_key, rest = jr.split(key)
        model = energy_law.network(shared, pool, neurons, 2, model_key, factor)
        image = jr.normal(jr.split(rest)[0], shared.shape, jnp.float64)
        return hopfax.relax(model, {"input": image}, method=method).status

    factors = np.geomspace(config.smallest, config.largest, config.networks)
    found = one(jr.split(jr.key(config.seed), config.networks), factors)
    return dict(collections.Counter(hopfax.Status(int(status)).name for status in found))


def table(result: Mapping[str, Any]) -> str:
    """One row for each combination, in Markdown."""
    head = "| networks | " + " | ".join(status.name for status in hopfax.Status) + " |"
    rows = [
        f"| {name} | " + " | ".join(str(found.get(status.name, 0)) for status in hopfax.Status) + " |"
        for name, found in result["statuses"].items()
    ]
    return "\n".join([head, "| --- " * (1 + len(hopfax.Status)) + "|", *rows])


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="seconds, to see that it runs")
    parser.add_argument("--table", action="store_true", help="what is stored, in Markdown")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
