"""Honest times: contestants in turn, medians, ratios."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any

Times = dict[str, dict[str, float]]


def interleaved(calls: Mapping[str, Callable[[], Any]], rounds: int) -> Times:
    """Milliseconds of each call, taken in turn so that a drift of the machine meets all alike.

    Raises: `ValueError` for fewer than two rounds, of which there are no quartiles.
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
    """Median with the quartiles, in the units given."""
    lower, _, upper = statistics.quantiles(values, n=4)
    return {"median": statistics.median(values), "lower": lower, "upper": upper, "least": min(values)}


def ratio(times: Times, one: str, other: str) -> float:
    """Median of one over median of the other."""
    return times[one]["median"] / times[other]["median"]
