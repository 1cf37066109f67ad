"""Is the default solver the fastest? It against the others, on every kind of network, batch and tolerance.

    python benchmarks/default.py [--rounds 7] [--only 784]

A contestant counts where it converges on as many examples as the default, in at most 300 updates. What takes more than
five times the default's time in one call is not timed again, nor tried at smaller tolerances. Newton's method, which
takes minutes for large batches, is tried with one example only. Trained networks see MNIST for one epoch here. What is
stored is not measured again. Times are medians of calls in turn, in milliseconds; "over the fastest" is the ratio of
the default to the fastest contestant, itself included.
"""

import dataclasses
import functools as ft
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from common import RESULTS, arguments, interleaved, write

import hopfax
from hopfax.apps.bench.solving import random_network
from hopfax.data import load
from hopfax.memory import ModernHopfield
from hopfax.memory.phase import equidistant_patterns, thresholds
from hopfax.solvers import Anderson, Broyden, Energy, Picard, Residual, Unguarded, newton
from hopfax.training import train_in_memory
from hopfax.training.recipes import Recipe, goemaere2023, goemaere2024, low_feedback

DEFAULT = "default"
SOLVERS = {
    DEFAULT: Anderson(),
    "Picard": Picard(),
    "exact energy": Anderson(safeguard=Energy()),
    "residual": Anderson(safeguard=Residual()),
    "unguarded": Anderson(safeguard=Unguarded()),
    "Broyden": Broyden(),
    "Newton": newton(),
}
BATCHES, TOLERANCES = (1, 64, 1024), (1e-3, 1e-4, 1e-5, 1e-6)
CAP, TOO_SLOW = 300, 5
MOST_FOR_NEWTON = 1  # example
PATTERNS, DIMENSION, NORM = 8, 64, 2.0


@dataclasses.dataclass(frozen=True)
class Problem:
    """A kind of network: `relaxed(examples, method)` solves a batch of `examples(size)`."""

    examples: Callable[[int], Any]
    relaxed: Callable[[Any, hopfax.Method], hopfax.solvers.Statistics]


def main() -> None:
    parser = arguments(__doc__)
    parser.set_defaults(rounds=7)
    parser.add_argument("--only", default="", help="networks whose names begin so")
    parser.add_argument("--batches", type=int, nargs="*", default=BATCHES)
    options = parser.parse_args()
    path = options.json or RESULTS / "default.json"
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"] if path.exists() else []
    for name, make in problems().items():
        done = {row["batch"] for row in rows if row["network"] == name}
        left = [batch for batch in options.batches if batch not in done]
        problem = make() if left and name.startswith(options.only) else None
        for batch in left if problem else ():
            rows += measure(name, problem, batch, options.rounds)
            write("default", _result(rows), path)
            jax.clear_caches()  # so many programs do not fit into one process


def _result(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    ratios = sorted(row["over the fastest"] for row in rows)
    summary = {"median": ratios[len(ratios) // 2], "largest": ratios[-1]}
    within = sum(ratio <= 1.1 for ratio in ratios) / len(ratios)
    return {"cap": CAP, "over the fastest": {**summary, "share within 1.1": within}, "rows": list(rows)}


def problems() -> dict[str, Callable[[], Problem]]:
    """Every kind of network by its name; it is made, and trained, where it is asked for."""
    wide, five, seven = (784, 1990, 10), (784, 1280, 510, 200, 10), (784, 1024, 512, 256, 128, 70, 10)
    made: dict[str, Callable[[], Problem]] = {}
    for layers, recipes in {
        (784, 512, 10): {"2023": goemaere2023, "low feedback": low_feedback},
        wide: {"2024": goemaere2024, "low feedback": low_feedback},
        five: {"2024": goemaere2024},
        seven: {"2024": goemaere2024},
    }.items():
        sizes = "-".join(map(str, layers))
        made[f"{sizes}, untrained"] = ft.partial(_of_images, next(iter(recipes.values()))(layers), False)
        for name, recipe in recipes.items():
            made[f"{sizes}, {name}, one epoch"] = ft.partial(_of_images, recipe(layers), True)
    for coupling in (0.9, 0.99, 1.2, 2.0, 3.0):
        made[f"random tanh, coupling {coupling}"] = ft.partial(_random_tanh, coupling)
    return {**made, "modern Hopfield, critical": _critical}


def _of_images(recipe: Recipe, trained: bool) -> Problem:
    data = load("mnist")
    model = (
        train_in_memory(dataclasses.replace(recipe, epochs=1), data).network if trained else recipe.network()
    )
    relaxed = lambda images, method: hopfax.relax(model, {"input": images}, method=method).statistics
    return Problem(lambda size: jnp.asarray(data.test_images[:size]), relaxed)


def _random_tanh(coupling: float) -> Problem:
    build = random_network(coupling, 0)[0]
    solve = lambda method: lambda biases: hopfax.relax(build(biases), method=method).statistics
    relaxed = lambda biases, method: jax.vmap(solve(method))(biases)
    return Problem(lambda size: random_network(coupling, 0, batch=size)[1], relaxed)


def _critical() -> Problem:
    """Where the minima at single patterns appear; starts near the patterns."""
    patterns = equidistant_patterns(PATTERNS, DIMENSION, NORM, 0.0, jr.key(0))
    beta = thresholds(PATTERNS).in_beta(NORM, 0.0).spinodal
    model = ModernHopfield(jnp.asarray(patterns, jnp.float32), beta).ham()
    near = lambda size: (
        jnp.resize(patterns, (size, DIMENSION)) + 0.1 * jr.normal(jr.key(1), (size, DIMENSION))
    )
    relaxed = lambda starts, method: hopfax.relax(model, start={"visible": starts}, method=method).statistics
    return Problem(lambda size: near(size).astype(jnp.float32), relaxed)


def measure(name: str, problem: Problem, batch: int, rounds: int) -> Iterator[dict[str, Any]]:
    """One row for each tolerance; each solver is compiled once."""
    examples = problem.examples(batch)
    solve = eqx.filter_jit(problem.relaxed)
    labels = [label for label in SOLVERS if label != "Newton" or batch <= MOST_FOR_NEWTON]
    for label in labels:
        solve(examples, hopfax.Method(solver=SOLVERS[label], atol=0.0, max_steps=1).with_arrays)  # compiles
    for rtol in TOLERANCES:
        method = lambda solver, rtol=rtol: hopfax.Method(solver=solver, rtol=rtol, atol=0.0, max_steps=CAP)
        methods = {label: method(SOLVERS[label]).with_arrays for label in labels}
        row = _compared(solve, examples, methods, rounds)
        yield {"network": name, "batch": batch, "rtol": rtol, **row}
        labels = list(row["milliseconds"])


def _compared(solve, examples, methods: Mapping[str, hopfax.Method], rounds: int) -> dict[str, Any]:
    call = lambda label: jax.block_until_ready(solve(examples, methods[label]))
    first = {label: _with_seconds(ft.partial(call, label)) for label in methods}
    statistics = {label: result for label, (result, _) in first.items()}
    timed = [label for label, (_, seconds) in first.items() if seconds <= TOO_SLOW * first[DEFAULT][1]]
    times = interleaved({label: ft.partial(call, label) for label in timed}, rounds)
    solved = {label: int(jnp.sum(s.status == 0)) for label, s in statistics.items()}
    median = {label: times[label]["median"] for label in timed}
    fastest = min((x for x in timed if solved[x] >= solved[DEFAULT]), key=median.__getitem__)
    return {
        "milliseconds": median,
        "converged": solved,
        "sweeps": {label: float(jnp.mean(s.evaluations)) for label, s in statistics.items()},
        "fastest": fastest,
        "over the fastest": median[DEFAULT] / median[fastest],
    }


def _with_seconds(call: Callable[[], Any]) -> tuple[Any, float]:
    start = time.perf_counter()
    result = call()
    return result, time.perf_counter() - start


if __name__ == "__main__":
    main()
