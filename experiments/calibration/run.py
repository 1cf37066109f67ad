"""Does `beta="auto"` recall better than 1/sqrt(d), and what does 1/sqrt(d) do to an attention head?

    python -m experiments.calibration.run [--seed 0] [--fresh | --smoke]

Writes JSON after each set and each head.
"""

import argparse
import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from benchmarks.common import circumstances

from hopfax._internal.files import write_json
from hopfax.data import load

from .config import Config, fresh, smoke
from .measure import attention, recall_of_set

HERE = Path(__file__).parent


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    if options.fresh:
        run(fresh(), options.results / "fresh.json")
        return
    config = smoke(options.seed) if options.smoke else Config(seed=options.seed)
    run(config, options.results / f"seed{config.seed}.json")


def run(config: Config, path: Path) -> dict[str, Any]:
    result: dict[str, Any] = {"config": dataclasses.asdict(config), "sets": {}, "attention": []}
    for name in config.sets:
        began = time.perf_counter()
        patterns = images(name)
        if patterns is None:
            print(f"{name} are left out: scikit-image is not installed", flush=True)
            continue
        measured = recall_of_set(patterns[: config.patterns].astype(np.float32), config)
        result["sets"][name] = {**measured, "seconds": time.perf_counter() - began}
        _write(path, result)
        print(f"{name}: {time.perf_counter() - began:.0f} s", flush=True)
    for row in attention(config):
        result["attention"].append(row)
        _write(path, result)
        print(
            f"{row['keys']} keys of {row['dimension']}: {row['predicted']}, own {row['own']:.2f}", flush=True
        )
    return result


def images(name: str) -> np.ndarray | None:
    """Images in rows, in [0, 1]; none where the package that has them is not installed."""
    match name:
        case "faces" | "not-faces":
            return _patches(slice(100) if name == "faces" else slice(100, 200))
        case "digits-test":
            return load("digits").test_images
        case "mnist-next":
            return load("mnist").train_images[2000:]
    return load(name).train_images


def _patches(chosen: slice) -> np.ndarray | None:
    """Of the patches of scikit-image; the first hundred are faces, the others are none."""
    try:
        from skimage.data import lfw_subset
    except ImportError:
        return None
    patches = lfw_subset()[chosen]
    return patches.reshape(len(patches), -1)


def _write(path: Path, result: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    whole = {**result, "circumstances": circumstances()}
    write_json(path, whole, indent=1)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--fresh", action="store_true", help="on patterns that nothing was chosen by")
    parser.add_argument("--smoke", action="store_true", help="seconds on small digits, to see that it runs")
    parser.add_argument("--results", type=Path, default=HERE / "results", help="folder of the JSON")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
