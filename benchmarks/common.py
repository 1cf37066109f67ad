"""What every benchmark shares: its options, and JSON with its circumstances."""

import argparse
import json
import os
from pathlib import Path
from typing import Any

from hopfax._internal.provenance import circumstances as of_hopfax
from hopfax.apps.bench.benchmark import interleaved as interleaved
from hopfax.apps.bench.benchmark import ratio as ratio

RESULTS = Path(__file__).parent / "results"
PEERS = ("torch", "scikit-learn")


def arguments(description: str | None) -> argparse.ArgumentParser:
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
