"""What every benchmark shares: interleaved timing, medians and ratios, and JSON with its circumstances."""

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hopfax.circumstances import circumstances as of_hopfax

RESULTS = Path(__file__).parent / "results"
PEERS = ("torch", "hamux", "torchdeq", "jaxopt", "banax")


def interleaved(calls: dict[str, Callable[[], Any]], rounds: int) -> dict[str, dict[str, float]]:
    """Milliseconds of each call, taken in turn so that a drift of the machine meets all alike."""
    for call in calls.values():
        call(), call()  # compile, and fill the caches
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(rounds):
        for name, call in calls.items():
            begin = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - begin))
    return {name: summary(values) for name, values in times.items()}


def summary(values: list[float]) -> dict[str, float]:
    """Median with the quartiles, in the units given."""
    quartiles = statistics.quantiles(values, n=4)
    return {
        "median": statistics.median(values),
        "lower": quartiles[0],
        "upper": quartiles[2],
        "least": min(values),
    }


def ratio(times: dict[str, dict[str, float]], one: str, other: str) -> float:
    """Median of one over median of the other."""
    return times[one]["median"] / times[other]["median"]


def arguments(description: str) -> argparse.ArgumentParser:
    """The options that every benchmark takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rounds", type=int, default=100, help="timed calls of each contestant")
    parser.add_argument("--json", type=Path, help="where to write the result; benchmarks/results by default")
    return parser


def write(name: str, result: dict[str, Any], path: Path | None) -> None:
    """The result with versions, commit and machine, as JSON and on the screen."""
    path = path or RESULTS / f"{name}.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    text = json.dumps({**result, "circumstances": circumstances()}, indent=2)
    path.write_text(text + "\n", encoding="utf-8")
    print(json.dumps(result, indent=2))


def circumstances() -> dict[str, Any]:
    """Those of hopfax, the peers' versions, and how busy the machine is."""
    return {**of_hopfax(PEERS), "load": os.getloadavg()[0]}
