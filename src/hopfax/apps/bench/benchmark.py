"""Benchmarks: several implementations of the same work, timed in turn, with a check of each result."""

import dataclasses
import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

from .peers import Peers

Times = dict[str, dict[str, float]]


@dataclasses.dataclass(frozen=True)
class Implementation:
    """One way to do the work of a benchmark.

    Attributes:
        call: does the work once and waits for its end.
        check: numbers that say how correct a result of `call` is.
        note: a remark for the reader of its row.
        ours: whether it is hopfax.
    """

    call: Callable[[], Any]
    check: Callable[[Any], Mapping[str, Any]]
    note: str = ""
    ours: bool = False


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """One kind of work.

    Attributes:
        name: of the benchmark, one word.
        work: what is computed, in a sentence.
        reference: the name of the implementation in hopfax that the times are divided by.
        implementations: all of them by name, those of other libraries as far as `Peers` has them.
        slower: where hopfax is not the fastest, why.
    """

    name: str
    work: str
    reference: str
    implementations: Callable[[Peers], Mapping[str, Implementation]]
    slower: str = ""


@dataclasses.dataclass(frozen=True)
class Timing:
    """The result of one implementation; `relative_time` is its median over that of the reference."""

    benchmark: str
    implementation: str
    milliseconds: Mapping[str, float]
    relative_time: float
    check: Mapping[str, float]
    note: str


@dataclasses.dataclass(frozen=True)
class BenchmarkResult:
    """The timings of a benchmark, the reference first, and whether no other library was faster than it."""

    benchmark: str
    work: str
    rows: tuple[Timing, ...]
    fastest: bool
    remark: str


def run_benchmark(benchmark: Benchmark, peers: Peers, rounds: int) -> BenchmarkResult:
    """Time all implementations in turn, and check the result of each."""
    implementations = benchmark.implementations(peers)
    times = interleaved({name: way.call for name, way in implementations.items()}, rounds)
    rows = tuple(_timing(benchmark, name, way, times) for name, way in implementations.items())
    fastest = all(row.relative_time >= 1 for row in rows if not implementations[row.implementation].ours)
    return BenchmarkResult(benchmark.name, benchmark.work, rows, fastest, "" if fastest else benchmark.slower)


def interleaved(calls: Mapping[str, Callable[[], Any]], rounds: int) -> Times:
    """Milliseconds of each call. They take turns, so that a drift of the machine affects all alike.

    Raises: `ValueError` for fewer than two rounds, which have no quartiles.
    """
    if rounds < 2:
        raise ValueError(f"`rounds={rounds}` must be at least 2, to have a spread.")
    for call in calls.values():
        for _ in range(2):  # compile, and fill the caches
            call()
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - begin))
    return {name: summary(values) for name, values in times.items()}


def summary(values: list[float]) -> dict[str, float]:
    """Median, quartiles and minimum, in the units of `values`."""
    lower, _, upper = statistics.quantiles(values, n=4)
    return {"median": statistics.median(values), "lower": lower, "upper": upper, "least": min(values)}


def ratio(times: Times, one: str, other: str) -> float:
    """The median of `one` over the median of `other`."""
    return times[one]["median"] / times[other]["median"]


def _timing(benchmark: Benchmark, name: str, implementation: Implementation, times: Times) -> Timing:
    check = {what: float(value) for what, value in implementation.check(implementation.call()).items()}
    relative = ratio(times, name, benchmark.reference)
    return Timing(benchmark.name, name, times[name], relative, check, implementation.note)
