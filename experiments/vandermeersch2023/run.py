"""Trains and measures the rows of the Hopfield VAE table, as we reconstruct it; one JSON a run.

    python -m experiments.vandermeersch2023.run [--rows H-VAE,TH-VAE] [--seeds 0,1,2] [--data digits] [--smoke]

Runs lie in `runs/`, results in `results/`; what is there is not done again.
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hopfax.apps.reproduce.vae import reproduce_vae

from .config import MNIST, Config, smoke

HERE = Path(__file__).parent


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    config = smoke() if options.smoke else Config()
    names = ("data", "epochs", "seeds", "rows")
    chosen = {name: getattr(options, name) for name in names}
    if options.data == "mnist" and not options.smoke:
        config = dataclasses.replace(config, protocol=MNIST)
    config = dataclasses.replace(
        config,
        changes=dict(options.changes),
        **{name: value for name, value in chosen.items() if value is not None},
    )
    for row in config.rows:
        results = reproduce_vae(
            [row],
            config.seeds,
            config.epochs,
            config.data,
            options.out,
            config.protocol,
            changes=config.changes,
        )
        for run in results["runs"]:
            print(
                f"{run['row']} on {run['data']}, seed {run['seed']}: negative ELBO {run['negative_elbo']:.2f} nats, "
                f"{run['config']['model']}, {run['parameters']} parameters, squared error "
                f"{run['squared_error']:.3f}",
                flush=True,
            )


def _setting(text: str) -> tuple[str, Any]:
    name, _, value = text.partition("=")
    return name, json.loads(value)


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=lambda text: tuple(text.split(",")), help="such as H-VAE,TH-VAE")
    parser.add_argument("--seeds", type=lambda text: tuple(map(int, text.split(","))), help="such as 0,1,2")
    parser.add_argument("--data", help="digits, mnist or fashion-mnist")
    parser.add_argument("--epochs", type=int, help="those of the settings if not given")
    parser.add_argument(
        "--set",
        type=_setting,
        action="append",
        default=[],
        dest="changes",
        metavar="NAME=VALUE",
        help="a setting of hopfax.vae.VAEConfig, such as hidden=1200; may be given more than once",
    )
    parser.add_argument("--smoke", action="store_true", help="seconds, to see that it runs")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of runs and results")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
