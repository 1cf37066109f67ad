"""Searches the settings of one row by Optuna, on a validation split; every trial is kept.

    python -m experiments.vandermeersch2023.search --row TH-VAE --trials 20 [--data digits]

The objective is the one-sample evidence lower bound, in nats, of the last `HELD_OUT` training images, which take no
part in training. Trials go to `results/search-DATA-ROW.json` as they end; a search goes on from there if the settings
that it varies are the same. Needs `optuna`.
"""

import argparse
import dataclasses
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax.random as jr
import optuna

from hopfax._internal.files import check_config, write_json
from hopfax._internal.provenance import circumstances
from hopfax.apps.reproduce.vae import ROWS
from hopfax.data import Dataset, load, validation_split
from hopfax.training import Diverged, train
from hopfax.training.job import read_result
from hopfax.vae import VAEConfig
from hopfax.vae.config import preset
from hopfax.vae.evaluation import evaluate_vae
from hopfax.vae.run import VAEJob

HERE = Path(__file__).parent
HELD_OUT = {"digits": 300}  # of larger sets 5,000
WORST = -1e4  # nats, of a run that diverged
# The first trial of perceptrons: an ordinary VAE, whose decoder begins with dark images.
ORDINARY: Mapping[str, Any] = MappingProxyType(
    {
        "hidden": 200,
        "hidden_layers": 2,
        "muon_iterations": 0,
        "learning_rate": 2e-3,
        "image_scale": 1.0,
        "visible_slope": 1.0,
        "kl_warmup": 0.0,
        "batch_size": 100,
    }
)


def main(arguments: Sequence[str] | None = None) -> None:
    options = _options(arguments)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    dataset = load(options.data)
    part = validation_split(dataset, HELD_OUT.get(dataset.name, 5000))
    config = dataclasses.replace(preset(dataset), model=ROWS[options.row].model)
    config = dataclasses.replace(
        config, epochs=options.epochs or config.epochs, equilibrium_propagation=False
    )
    path = options.out / "results" / f"search-{dataset.name}-{options.row}.json"
    trials = _stored(path, config)
    # A search that goes on must not draw its first trials again.
    sampler = optuna.samplers.TPESampler(seed=options.seed + len(trials))
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials([_as_trial(trial, config) for trial in trials])
    if not trials:
        study.enqueue_trial(_first(config))
    while len(trials) < options.trials:
        trial = study.ask(_space(config))
        value = _value(dataclasses.replace(config, **trial.params), part)
        study.tell(trial, value)
        trials.append({"settings": trial.params, "elbo": value})
        _keep(path, options, config, part, trials)
        print(f"{len(trials)}: {value:.2f} nats, best {study.best_value:.2f}", flush=True)


def _first(config: VAEConfig) -> dict[str, Any]:
    """The settings of the first trial."""
    if _of_perceptrons(config):
        return dict(ORDINARY)
    return {name: getattr(config, name) for name in _space(config)}


def _space(config: VAEConfig) -> dict[str, Any]:
    """What is searched, and where. The variance of grey pixels decides the unit and stays."""
    return _space_of_perceptrons() if _of_perceptrons(config) else _space_of_networks(config)


def _of_perceptrons(config: VAEConfig) -> bool:
    """Whether perceptrons are searched, for pixels that are drawn 0 or 1."""
    return config.model == "feedforward" and config.bernoulli


def _space_of_perceptrons() -> dict[str, Any]:
    real = optuna.distributions.FloatDistribution
    choices = optuna.distributions.CategoricalDistribution
    return {
        "hidden": choices([200, 400]),  # an epoch of Muon takes minutes with more
        "hidden_layers": choices([1, 2]),
        "muon_iterations": choices([0, 3]),
        "learning_rate": real(3e-4, 1e-2, log=True),
        "image_scale": real(0.5, 10.0, log=True),
        "visible_slope": real(0.5, 16.0, log=True),
        "kl_warmup": real(0.0, 2.0),
        "batch_size": choices([100, 200]),
    }


def _space_of_networks(config: VAEConfig) -> dict[str, Any]:
    real = optuna.distributions.FloatDistribution
    space: dict[str, Any] = {
        "learning_rate": real(config.learning_rate / 5, config.learning_rate * 5, log=True),
        "hidden_slope": real(0.5, 4.0, log=True),
        "latent_gain": real(0.1, 2.0, log=True),
        "batch_size": optuna.distributions.CategoricalDistribution(
            [config.batch_size, 2 * config.batch_size]
        ),
    }
    if config.sigma is not None:
        space["sigma"] = real(0.05, 0.4, log=True)
    if config.hidden_centre is not None:
        space["hidden_centre"] = real(0.3, 1.5)
    return space


def _value(config: VAEConfig, part: Dataset) -> float:
    """Validation ELBO of a run with these settings. The gradient is exact; equilibrium propagation follows it."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            vae, _ = train(VAEJob(config, part), Path(folder))
        except Diverged:
            return WORST
    evaluation = evaluate_vae(vae, part.test_images, key=jr.key(0), binarise=config.bernoulli)
    return evaluation.summary()["elbo"]


def _keep(
    path: Path, options: argparse.Namespace, config: VAEConfig, part: Dataset, trials: list[Any]
) -> None:
    content = {
        "row": options.row,
        "data": part.name,
        "held_out": len(part.test_labels),
        "config": config.json(),
        "seed": options.seed,
        "trials": trials,
        "circumstances": circumstances(("optuna",)),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, content, indent=1)


def _stored(path: Path, config: VAEConfig) -> list[dict[str, Any]]:
    """The trials in the file, if there is one. Raises: `ValueError` where they began from other settings."""
    if not path.exists():
        return []
    content = read_result(path)
    check_config(content["config"], config.json(), str(path))
    return content["trials"]


def _as_trial(stored: dict[str, Any], config: VAEConfig) -> optuna.trial.FrozenTrial:
    space = _space(config)
    return optuna.trial.create_trial(params=stored["settings"], distributions=space, value=stored["elbo"])


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--row", choices=list(ROWS), default="TH-VAE")
    parser.add_argument("--trials", type=int, default=20, help="in all, the stored ones among them")
    parser.add_argument("--data", default="digits", help="digits, mnist or fashion-mnist")
    parser.add_argument("--epochs", type=int, help="of each trial; those of the settings if not given")
    parser.add_argument("--seed", type=int, default=0, help="of the search; all trials train from one seed")
    parser.add_argument("--out", type=Path, default=HERE, help="folder of results/")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
