"""Time and memory against width, depth, batch, tolerance and number of patterns, with the slopes that are expected.

    python benchmarks/scaling.py [--rounds 10]

Slopes are those of a line through the logarithms. A fixed number of even-odd sweeps is timed where something else than
the sweeps is asked about. Memory is what XLA says a compiled function takes besides its arguments and results. The last
part is the memory of a gradient against the number of forward steps: flat for `Implicit`, rising for `Unrolled`.
"""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from common import RESULTS, arguments, interleaved, write

import hopfax
from hopfax.gradients import AbstractGradient, Implicit, Unrolled
from hopfax.memory.sharded import ShardedPatterns
from hopfax.memory.similarities import Dot
from hopfax.memory.streaming import update

SWEEPS = 20
WIDTHS, FREE, BATCHES = (256, 512, 1024, 2048), (3, 5, 9, 17), (16, 32, 64, 128, 256)
TOLERANCES, PATTERNS = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6), (10_000, 20_000, 40_000, 80_000)
STEPS = (10, 100, 1000)


def main() -> None:
    options = arguments(__doc__).parse_args()
    curves = {
        "width": _curve(WIDTHS, lambda n: _relaxing((n, n, n), 64), options.rounds, time=2, memory=1),
        "free layers": _curve(
            FREE, lambda n: _relaxing((512,) * (n + 1), 64), options.rounds, time=1, memory=1
        ),
        "batch": _curve(BATCHES, lambda n: _relaxing((512, 512, 512), n), options.rounds, time=1, memory=1),
        "patterns": _curve(PATTERNS, _recalling, options.rounds, time=1, memory=0),
    }
    result = {"curves": curves, "sweeps": _sweeps(), "memory of the gradient": _gradient_memory()}
    write("scaling", result, options.json)
    _draw(curves, (options.json or RESULTS / "scaling.json").with_suffix(".png"))


def _curve(
    values: Sequence[int], make: Callable[[int], Any], rounds: int, *, time: float, memory: float
) -> dict[str, Any]:
    compiled = {value: make(value) for value in values}
    calls = {str(value): lambda c=call: jax.block_until_ready(c()) for value, (call, _) in compiled.items()}
    times = interleaved(calls, rounds)
    medians = [times[str(value)]["median"] for value in values]
    bytes_taken = [taken for _, taken in compiled.values()]
    return {
        "values": list(values),
        "milliseconds": times,
        "slope of time": {"measured": _slope(values, medians), "expected": time},
        "bytes": bytes_taken,
        "slope of memory": {"measured": _slope(values, bytes_taken), "expected": memory},
    }


def _slope(values: Sequence[float], measured: Sequence[float]) -> float:
    return float(np.polyfit(np.log(values), np.log(np.maximum(measured, 1)), 1)[0])


def _network(sizes: Sequence[int]) -> hopfax.HAM:
    return hopfax.chain(sizes, hopfax.lagrangians.Tanh(), key=jr.key(0))


def _ready(function: Callable, *arguments: Any) -> tuple[Callable[[], Any], int]:
    """The compiled call, and the bytes that it needs for itself."""
    arrays, static = eqx.partition(arguments, eqx.is_array)
    compiled = jax.jit(lambda arrays: function(*eqx.combine(arrays, static))).lower(arrays).compile()
    return lambda: compiled(arrays), int(compiled.memory_analysis().temp_size_in_bytes)


def _relaxing(sizes: Sequence[int], batch: int) -> tuple[Callable[[], Any], int]:
    """A number of even-odd sweeps, whether they are needed or not."""
    how = {"update": hopfax.EvenOdd(), "solver": hopfax.solvers.Picard(), "rtol": 0.0, "atol": 0.0}
    relaxed = lambda model, x: (
        hopfax.relax(model, {"input": x}, method=hopfax.Method(**how, max_steps=SWEEPS - 1)).state
    )
    return _ready(relaxed, _network(sizes), jr.normal(jr.key(1), (batch, sizes[0])))


def _recalling(patterns: int) -> tuple[Callable[[], Any], int]:
    rows = ShardedPatterns(jr.normal(jr.key(0), (patterns, 256)), Dot(), patterns, 4096)
    return _ready(update, rows, jr.normal(jr.key(1), (64, 256)), jnp.asarray(1 / 16))


def _sweeps() -> dict[str, Any]:
    """Sweeps against the tolerance: a straight line against its logarithm, for convergence is linear."""
    model, x = _network((256, 256, 256, 64)), jr.normal(jr.key(1), (64, 256))
    solvers = {"Picard": hopfax.solvers.Picard(), "Anderson": hopfax.solvers.Anderson()}
    settings = {"update": hopfax.EvenOdd(), "atol": 0.0, "max_steps": 500}
    counted = lambda solver, rtol: (
        hopfax.relax(model, {"input": x}, method=hopfax.Method(solver=solver, rtol=rtol, **settings)).steps
    )
    means = {name: [float(jnp.mean(counted(s, rtol))) for rtol in TOLERANCES] for name, s in solvers.items()}
    decades = -np.log10(TOLERANCES)
    return {
        "tolerances": list(TOLERANCES),
        "mean sweeps": means,
        "sweeps a decade": {name: float(np.polyfit(decades, own, 1)[0]) for name, own in means.items()},
        "correlation with the logarithm": {
            name: float(np.corrcoef(decades, own)[0, 1]) for name, own in means.items()
        },
    }


def _gradient_memory() -> dict[str, Any]:
    implicit = [_gradient_bytes(Implicit(), steps) for steps in STEPS]
    unrolled = [_gradient_bytes(Unrolled(steps), steps) for steps in STEPS[:2]]
    return {"steps": list(STEPS), "implicit, bytes": implicit, "unrolled, bytes": unrolled}


def _gradient_bytes(gradient: AbstractGradient, steps: int) -> int:
    method = hopfax.Method(hopfax.EvenOdd(), hopfax.solvers.Picard(), gradient, max_steps=steps)
    target, cost = jnp.zeros((64, 64)), hopfax.costs.SquaredError("output")

    def slope(model, x):
        mean = lambda m: jnp.mean(hopfax.objective(m, {"input": x}, cost, target, method=method)[0])
        return eqx.filter(eqx.filter_grad(mean)(model), eqx.is_array)

    return _ready(slope, _network((256, 256, 256, 64)), jr.normal(jr.key(1), (64, 256)))[1]


def _draw(curves: dict[str, Any], path: Path) -> None:
    from matplotlib.figure import Figure
    from matplotlib.ticker import NullFormatter

    figure = Figure(figsize=(11, 3), layout="constrained")
    for panel, (name, curve) in zip(figure.subplots(1, len(curves)), curves.items(), strict=True):
        values = np.asarray(curve["values"], float)
        medians = [curve["milliseconds"][str(value)]["median"] for value in curve["values"]]
        slope = curve["slope of time"]
        panel.loglog(values, medians, "o-", label=f"measured, slope {slope['measured']:.2f}")
        line = medians[-1] * (values / values[-1]) ** slope["expected"]
        panel.loglog(values, line, "k--", linewidth=0.8, label=f"slope {slope['expected']:g}")
        panel.set(xlabel=name, ylabel="ms")
        panel.set_xticks(values, [f"{value:g}" for value in values], fontsize=7)
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.legend(fontsize=7)
    figure.savefig(path, dpi=150)


if __name__ == "__main__":
    main()
