"""The models of the Hopfield VAE paper as we reconstruct them, with one JSON file for each run.

The names and their meanings are from the abstract of the paper and two summaries of it. Its sizes, data, losses and
numbers were not available to us, so everything here is our reconstruction.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp
import jax.random as jr

from ...data import Dataset, load
from ...training.job import run_and_store, stored_or_made
from ...vae.completion import completion_errors
from ...vae.config import VAEConfig, preset
from ...vae.evaluation import evaluate_vae, importance_weighted
from ...vae.features import FEATURES, feature_classifier, feature_distance
from ...vae.model import AbstractVAE, parameters
from ...vae.run import VAEJob, load_vae

OUT = Path("experiments/vandermeersch2023")
# Of the stored runs, which are older than the choice of the nudge and than the solver of the preset for MNIST.
STORED: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {"digits": {"beta": 0.01}, "mnist": {"beta": 0.1, "anderson": False, "rtol": 1e-3}}
)
FIXED = {"model", "equilibrium_propagation", "seed", "pixels"}  # by the row, the seed and the data set


@dataclasses.dataclass(frozen=True)
class VAERow:
    """One model of the table; `model` and `equilibrium_propagation` as in `VAEConfig`."""

    model: str
    meaning: str
    equilibrium_propagation: bool = True


ROWS: Mapping[str, VAERow] = MappingProxyType(
    {
        "F-VAE": VAERow("feedforward", "two perceptrons, backpropagation"),
        "H-VAE": VAERow("untied", "two layered Hopfield networks, one encodes, one decodes"),
        "DH-VAE": VAERow("dense", "two dense Hopfield networks"),
        "TDH-VAE": VAERow("tied-dense", "one dense Hopfield network for both"),
        "TH-VAE": VAERow("tied", "one layered Hopfield network for both (our addition)"),
        "TH-VAE-implicit": VAERow("tied", "TH-VAE by implicit differentiation, as a check", False),
        "H-VAE-implicit": VAERow("untied", "H-VAE by implicit differentiation", False),
    }
)


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How a trained model is evaluated.

    Attributes:
        samples: importance samples for each image.
        subset: the number of test images with importance samples, the first ones.
        classifier_epochs: epochs of the classifier whose features are compared.
        completed: the number of test images that are corrupted and completed, the first ones; all if None.
    """

    samples: int = 5000
    subset: int = 100
    classifier_epochs: int = 5
    completed: int | None = None


def reproduce_vae(
    rows: Sequence[str] = (),
    seeds: Sequence[int] = (0,),
    epochs: int | None = None,
    data: str = "digits",
    out: Path | None = None,
    protocol: Protocol = Protocol(),
    changes: Mapping[str, Any] = MappingProxyType({}),
) -> dict[str, Any]:
    """Train and evaluate each row with each seed, unless its result is stored.

    Args:
        rows: names in `ROWS`; all of them if empty.
        seeds: random seeds.
        epochs: number of epochs; that of `preset` if None.
        data: the name of the data set.
        out: the folder, with a folder for each run in `runs` and a JSON file for each run in `results`.
        protocol: how the models are evaluated.
        changes: values for other fields of `VAEConfig`; those in `STORED` are those of the stored runs unless they are
            here.
    Returns: all results, under "runs".
    Raises: `ValueError` for an unknown row or field, or a stored result with other settings.
    """
    if unknown := [name for name in rows if name not in ROWS]:
        raise ValueError(f"unknown row {unknown[0]!r}; choose from {', '.join(ROWS)}.")
    _check_changes(changes)
    folder, dataset = out or OUT, load(data)
    changes = {**STORED.get(dataset.name, {}), **changes}
    if epochs is not None:
        changes["epochs"] = epochs
    results = [
        _run(name, seed, changes, dataset, folder, protocol) for seed in seeds for name in rows or ROWS
    ]
    return {"note": "our reconstruction; the numbers of the paper were not available", "runs": results}


def _check_changes(changes: Mapping[str, Any]) -> None:
    fields = {field.name for field in dataclasses.fields(VAEConfig)} - FIXED
    if unknown := set(changes) - fields:
        raise ValueError(
            f"`changes` names {min(unknown)!r}, which cannot be changed here; choose from {sorted(fields)}."
        )


def _run(
    name: str, seed: int, changes: Mapping[str, Any], dataset: Dataset, folder: Path, protocol: Protocol
) -> dict[str, Any]:
    """The result of a run with its settings: read if it is stored, else computed and stored."""
    row = ROWS[name]
    job = VAEJob(
        dataclasses.replace(
            preset(dataset, row.model),
            equilibrium_propagation=row.equilibrium_propagation,
            seed=seed,
            **changes,
        ),
        dataset,
    )
    path = folder / "results" / f"{dataset.name}-{name}-seed{seed}.json"
    config = {**job.settings.json(), "protocol": dataclasses.asdict(protocol)}

    def make() -> dict[str, Any]:
        place = folder / "runs" / path.stem
        seconds = run_and_store(job, place)["seconds_per_epoch"]
        about = {"row": name, "meaning": row.meaning, "data": dataset.name, "seed": seed}
        numbers = measure(load_vae(place)[0], job.settings, dataset, protocol)
        return {**about, **numbers, "seconds_per_epoch": seconds}

    return {"config": config, **stored_or_made(path, config, make)}


def measure(vae: AbstractVAE, config: VAEConfig, dataset: Dataset, protocol: Protocol) -> dict[str, Any]:
    """All numbers of a trained model on the test images."""
    key = jr.fold_in(jr.key(config.seed), 2)
    summary = evaluate_vae(vae, dataset.test_images, key=key, binarise=config.bernoulli).summary()
    images = dataset.test_images[: protocol.subset]
    bounds = importance_weighted(vae, images, samples=protocol.samples, key=key, binarise=config.bernoulli)
    classifier = feature_classifier(dataset, epochs=protocol.classifier_epochs)
    pixels = "drawn 0 or 1 (stochastic binarisation)" if config.bernoulli else "grey, Gaussian density"
    return {
        "pixels": pixels,
        "negative_elbo": -summary["elbo"],
        "importance_weighted": float(jnp.mean(bounds)),
        "squared_error": summary["squared_error"],
        "did_not_converge": summary["did_not_converge"],
        "feature_distance": {"frechet": feature_distance(vae, dataset, classifier), "features": FEATURES},
        "completion": completion_errors(vae, _first(dataset, protocol.completed)),
        "parameters": parameters(vae),
    }


def _first(dataset: Dataset, count: int | None) -> Dataset:
    """The data set with at most `count` test images."""
    images, labels = dataset.test_images[:count], dataset.test_labels[:count]
    return dataclasses.replace(dataset, test_images=images, test_labels=labels)
