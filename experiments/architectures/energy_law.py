"""Does the energy of convolutional networks with pooling ever rise? Random networks, sweep by sweep, in float64.

    python -m experiments.architectures.energy_law [--seed 0] [--smoke] [--table]

Writes JSON after each combination of pool and neurons.
"""

import argparse
import dataclasses
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from benchmarks.common import circumstances
from jax.flatten_util import ravel_pytree
from jaxtyping import Array, Key

from hopfax import HAM
from hopfax._internal.files import write_json
from hopfax.lagrangians import AbstractLagrangian, HardSigmoid, Identity, ReLU, Sigmoid, Tanh
from hopfax.networks import AbstractPool, AveragePool, ConvBlock, MaxPool, SoftPool, convolutional
from hopfax.solvers import Anderson
from hopfax.solvers.loop import fixed_point_function
from hopfax.updates import Coloured, Problem

HERE = Path(__file__).parent
POOLS: Mapping[str, AbstractPool] = {"average": AveragePool(2), "max": MaxPool(2), "soft": SoftPool(2)}
NEURONS: Mapping[str, AbstractLagrangian] = {
    "ReLU": ReLU(),
    "HardSigmoid": HardSigmoid(),
    "Sigmoid": Sigmoid(),
    "Tanh": Tanh(),
}
LAWFUL = (*((pool, neurons) for pool in POOLS for neurons in list(NEURONS)[:3]), ("average", "Tanh"))
GUARDED = (("max", "Tanh"), ("soft", "Tanh"))
Run = tuple[Array, Array, Array]  # energies, their sizes, and which points were accepted


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """Random networks: a clamped input, convolutions 3 x 3 of which the second one is pooled, a dense output.

    Attributes:
        networks: of each combination of pool and neurons; every second one has three convolutions, the others two.
        sweeps: from a random start, plain steps of the default update.
        guarded_sweeps: of the default solver, where plain steps may raise the energy.
        shape: of the input, which is standard normal.
        channels: of the convolutions.
        classes: neurons of the output, which are linear.
        smallest, largest: factors of Xavier-uniform weights and of biases, spaced evenly on a logarithmic scale.
        bias_std: of the biases.
        start_std: of the first states.
        batch: networks in one call.
        seed: of everything.
        law, guard: pool and neurons of the networks whose energy must not rise, and of those where a plain step may
            raise it.
    """

    networks: int = 1000
    sweeps: int = 25
    guarded_sweeps: int = 60
    shape: tuple[int, int, int] = (6, 6, 2)
    channels: tuple[int, int, int] = (3, 4, 3)
    classes: int = 3
    smallest: float = 0.2
    largest: float = 3.0
    bias_std: float = 0.3
    start_std: float = 2.0
    batch: int = 250
    seed: int = 0
    law: tuple[tuple[str, str], ...] = LAWFUL
    guard: tuple[tuple[str, str], ...] = GUARDED


SMOKE = Config(networks=4, sweeps=6, guarded_sweeps=10, law=LAWFUL[:1], guard=())


def main(arguments: Sequence[str] | None = None) -> None:
    command(__doc__, arguments, "energy_law", run, table)


def run(options: argparse.Namespace, path: Path) -> None:
    """The law for each combination, and for those without it what the guard does."""
    config = dataclasses.replace(SMOKE if options.smoke else Config(), seed=options.seed)
    result: dict[str, Any] = {"config": dataclasses.asdict(config), "law": {}, "guard": {}}
    combinations = [("law", *each) for each in config.law] + [("guard", *each) for each in config.guard]
    for kind, pool, neurons in combinations:
        began = time.perf_counter()
        name = f"{pool}, {neurons}"
        with jax.enable_x64(True):
            row = _plain(config, pool, neurons) | (_guarded(config, pool, neurons) if kind == "guard" else {})
        result[kind][name] = {**row, "seconds": time.perf_counter() - began}
        write_json(path, {**result, "circumstances": circumstances()}, indent=1)
        print(name, result[kind][name], flush=True)


def network(
    config: Config, pool: str, neurons: str, convolutions: int, key: Key[Array, ""], factor: Array
) -> HAM:
    """One random network in float64."""
    pools = (None, POOLS[pool], None)[:convolutions]
    sizes = config.channels[:convolutions]
    blocks = [ConvBlock(size, 3, pool=each) for size, each in zip(sizes, pools, strict=True)]
    lagrangians = [Identity(), *[NEURONS[neurons]] * convolutions, Identity()]
    model = convolutional(
        config.shape, blocks, config.classes, lagrangians, key=key, bias_std=config.bias_std
    )
    strong = lambda x: factor * x.astype(jnp.float64) if eqx.is_inexact_array(x) else x
    return eqx.tree_at(lambda m: m.synapses, model, jax.tree.map(strong, model.synapses))


def problem_and_start(model: HAM, config: Config, key: Key[Array, ""]) -> tuple[Problem, dict[str, Array]]:
    """The problem with a random input, and random states."""
    input_key, start_key = jr.split(key)
    clamp = {"input": jr.normal(input_key, config.shape, jnp.float64)}
    problem = Problem(model.condition(clamp), Coloured())
    return problem, random_start(problem, config.start_std, start_key)


def random_start(problem: Problem, std: float, key: Key[Array, ""]) -> dict[str, Array]:
    """Normal states of the unknown layers, in float64."""
    vector, unravel = ravel_pytree(problem.restrict(problem.model.zeros(jnp.float64)))
    return unravel(std * jr.normal(key, vector.shape, jnp.float64))


def plain_sweeps(problem: Problem, start: dict[str, Array], sweeps: int) -> Run:
    """Energies of the start and of the state after each sweep but the last."""

    def sweep(states, _):
        image, info = problem.evaluate(states)
        return image, (info.energy, info.energy_size, info.accepted)

    return jax.lax.scan(sweep, start, None, length=sweeps + 1)[1]


def guarded_sweeps(problem: Problem, start: dict[str, Array], sweeps: int) -> Run:
    """Energies of the points that the default solver evaluates, and which of them it accepts."""
    solver = Anderson()
    fn = fixed_point_function(problem, solver)
    image, info = jax.eval_shape(fn, start, None)
    state = solver.init(fn, start, None, {}, image, info, frozenset())
    dynamic, static = eqx.partition(state, eqx.is_array)

    def step(carry, _):
        point, dynamic = carry
        exact = problem.evaluate(point)[1]
        point, state, info = solver.step(fn, point, None, {}, eqx.combine(dynamic, static), frozenset())
        return (point, eqx.filter(state, eqx.is_array)), (exact.energy, exact.energy_size, info.accepted)

    return jax.lax.scan(step, (start, dynamic), None, length=sweeps)[1]


def _plain(config: Config, pool: str, neurons: str) -> dict[str, Any]:
    runs = _in_batches(config, pool, neurons, plain_sweeps, config.sweeps)
    rises = [relative_rises(*each) for each in runs]
    beyond = [np.count_nonzero(each > allowed()) for each in rises]
    return {
        "networks": len(runs),
        "sweeps": int(sum(each.size for each in rises)),
        "not finite": int(sum(not np.all(np.isfinite(energy)) for energy, _, _ in runs)),
        "largest rise": float(max(each.max(initial=-np.inf) for each in rises)),
        "sweeps with a rise": int(sum(beyond)),
        "networks with a rise": int(np.count_nonzero(beyond)),
    }


def _guarded(config: Config, pool: str, neurons: str) -> dict[str, Any]:
    runs = _in_batches(config, pool, neurons, guarded_sweeps, config.guarded_sweeps)
    rises = [relative_rises(*each) for each in runs]
    return {
        "guarded: points": int(sum(kept.size for _, _, kept in runs)),
        "guarded: rejected": int(sum(np.count_nonzero(~kept) for _, _, kept in runs)),
        "guarded: largest accepted rise": float(max(each.max(initial=-np.inf) for each in rises)),
        "guarded: accepted rises": int(sum(np.count_nonzero(each > allowed()) for each in rises)),
    }


def relative_rises(energy: np.ndarray, size: np.ndarray, accepted: np.ndarray) -> np.ndarray:
    """`[E(next) - E(point)] / size` of accepted points, where `size` is the sum of the magnitudes of the terms.

    Points with an energy that is not finite are left out; `not finite` counts their networks.
    """
    kept = accepted & np.isfinite(energy) & np.isfinite(size)
    energy, size = energy[kept], size[kept]
    return np.diff(energy) / np.maximum(size[1:], size[:-1])


def allowed() -> float:
    """What counts as rounding: four units, as in the safeguard."""
    return 4 * float(np.finfo(np.float64).eps)


def _in_batches(
    config: Config, pool: str, neurons: str, sweep: Callable[..., Run], sweeps: int
) -> list[tuple[np.ndarray, ...]]:
    """A run of each network."""
    factors = np.geomspace(config.smallest, config.largest, config.networks)
    keys = jr.split(jr.key(config.seed), config.networks)
    runs: list[tuple[np.ndarray, ...]] = []
    for convolutions in (2, 3):

        @jax.jit
        @jax.vmap
        def one(key, factor, convolutions=convolutions):
            model_key, rest = jr.split(key)
            model = network(config, pool, neurons, convolutions, model_key, factor)
            return sweep(*problem_and_start(model, config, rest), sweeps)

        chosen = np.arange(convolutions % 2, config.networks, 2)
        for part in np.array_split(chosen, -(-len(chosen) // config.batch)):
            runs += list(zip(*map(np.asarray, one(keys[part], factors[part])), strict=True))
    return runs


def table(result: Mapping[str, Any]) -> str:
    """One row for each combination, in Markdown."""
    head = "| pool | neurons | networks | sweeps | largest rise | sweeps that rise | networks with one | accepted |"
    rows = [head, "| --- " * 8 + "|"]
    for name, row in {**result["law"], **result["guard"]}.items():
        rises = row.get("guarded: accepted rises")
        accepted = "" if rises is None else f"{rises} of {row['guarded: points']}"
        shares = (
            f"{100 * row['sweeps with a rise'] / row['sweeps']:.1f} %",
            f"{100 * row['networks with a rise'] / row['networks']:.1f} %",
        )
        cells = [
            *name.split(", "),
            f"{row['networks']}",
            f"{row['sweeps']}",
            f"{row['largest rise']:.1e}",
            *shares,
            accepted,
        ]
        rows.append("| " + " | ".join(cells) + " |")
    return "\n".join(rows)


def command(
    description: str | None,
    arguments: Sequence[str] | None,
    name: str,
    run: Callable[[argparse.Namespace, Path], None],
    table: Callable[[dict[str, Any]], str],
) -> None:
    """What the scripts of this folder do: `run` writes a JSON of this name, and with `--table` `table` shows it."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true", help="seconds, to see that it runs")
    parser.add_argument("--table", action="store_true", help="what is stored, in Markdown")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the JSON")
    options = parser.parse_args(arguments)
    path = options.results / f"{name}-seed{options.seed}.json"
    if options.table:
        print(table(json.loads(path.read_text(encoding="utf-8"))))
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    run(options, path)


if __name__ == "__main__":
    main()
