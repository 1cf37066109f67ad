"""The four models of the Hopfield VAE paper, a fifth and its witness, as we reconstruct them: one JSON for each run.

Names and their meaning are read out of the paper's abstract and two summaries of it; sizes, data, losses and all
numbers of the paper could not be had. Everything here is our reconstruction.
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
DECIDED = {"model", "equilibrium_propagation", "seed", "pixels"}  # by the row, the seed and the data set


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
        "TH-VAE": VAERow("tied", "one layered Hopfield network for both (ours)"),
        "TH-VAE-implicit": VAERow("tied", "the same, by implicit differentiation: the witness", False),
        "H-VAE-implicit": VAERow("untied", "H-VAE by implicit differentiation", False),
    }
)


@dataclasses.dataclass(frozen=True)
class Protocol:
    """How a trained model is measured: the first `subset` test images with `samples` importance samples each.

    Damaged images are completed for the first `completed` test images, all if None.
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
    """Train and measure each of `rows` (all if none) with each seed, but what `out/results` has already.

    `epochs` are those of the data set's settings if None; `changes` names other fields of `VAEConfig` with the values
    to take in their place. Runs go to `out/runs`, one JSON a run to `out/results`; the result has them all under
    "runs".
    Raises: `ValueError` for an unknown row or field, or a stored result of other settings.
    """
    if unknown := [name for name in rows if name not in ROWS]:
        raise ValueError(f"unknown row {unknown[0]!r}; choose of {', '.join(ROWS)}.")
    _check_changes(changes)
    folder, dataset = out or OUT, load(data)
    changes = dict(changes) if epochs is None else {**changes, "epochs": epochs}
    results = [
        _run(name, seed, changes, dataset, folder, protocol) for seed in seeds for name in rows or ROWS
    ]
    return {"note": "our reconstruction; the paper's numbers could not be had", "runs": results}


def _check_changes(changes: Mapping[str, Any]) -> None:
    fields = {field.name for field in dataclasses.fields(VAEConfig)} - DECIDED
    if unknown := set(changes) - fields:
        raise ValueError(
            f"`changes` names {min(unknown)!r}, which is not to be set here; choose of {sorted(fields)}."
        )


def _run(
    name: str, seed: int, changes: Mapping[str, Any], dataset: Dataset, folder: Path, protocol: Protocol
) -> dict[str, Any]:
    """The result of a run with its settings: read if it is stored, else made and stored."""
    row = ROWS[name]
    usual = preset(dataset, row.model)
    job = VAEJob(
        dataclasses.replace(usual, equilibrium_propagation=row.equilibrium_propagation, seed=seed, **changes),
        dataset,
    )
    path = folder / "results" / f"{dataset.name}-{name}-seed{seed}.json"
    config = {**job.settings.json(), "protocol": dataclasses.asdict(protocol)}

    def make() -> dict[str, Any]:
        place = folder / "runs" / path.stem
        seconds = run_and_store(job, place)["seconds_per_epoch"]
        about = {"row": name, "meaning": row.meaning, "data": dataset.name, "seed": seed}
        measured = measure(load_vae(place)[0], job.settings, dataset, protocol)
        return {**about, **measured, "seconds_per_epoch": seconds}

    return {"config": config, **stored_or_made(path, config, make)}


def measure(vae: AbstractVAE, config: VAEConfig, dataset: Dataset, protocol: Protocol) -> dict[str, Any]:
    """All numbers of a trained model on the test images; each with what it was measured on."""
    key = jr.fold_in(jr.key(config.seed), 2)
    found = evaluate_vae(vae, dataset.test_images, key=key, binarise=config.bernoulli).summary()
    some = dataset.test_images[: protocol.subset]
    weighed = importance_weighted(vae, some, samples=protocol.samples, key=key, binarise=config.bernoulli)
    classifier = feature_classifier(dataset, epochs=protocol.classifier_epochs)
    pixels = "drawn 0 or 1 (stochastic binarisation)" if config.bernoulli else "grey, Gaussian density"
    return {
        "pixels": pixels,
        "negative_elbo": -found["elbo"],
        "importance_weighted": float(jnp.mean(weighed)),
        "squared_error": found["squared_error"],
        "did_not_converge": found["did_not_converge"],
        "feature_distance": {"frechet": feature_distance(vae, dataset, classifier), "features": FEATURES},
        "completion": completion_errors(vae, _first(dataset, protocol.completed)),
        "parameters": parameters(vae),
    }


def _first(dataset: Dataset, count: int | None) -> Dataset:
    """With no more than `count` test images."""
    images, labels = dataset.test_images[:count], dataset.test_labels[:count]
    return dataclasses.replace(dataset, test_images=images, test_labels=labels)
