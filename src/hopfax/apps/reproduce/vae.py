"""The four models of the Hopfield VAE paper, a fifth and its witness, as we reconstruct them: one JSON for each run.

Names and their meaning are read out of the paper's abstract and two summaries of it; sizes, data, losses and all
numbers of the paper could not be had. Everything here is our reconstruction.
"""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

import jax.numpy as jnp
import jax.random as jr

from ..._internal.files import write_json
from ..._internal.provenance import circumstances
from ...data import Dataset, load
from ...vae.completion_errors import completion_errors
from ...vae.config import VAEConfig, preset
from ...vae.evaluation import evaluate_vae, importance_weighted
from ...vae.features import FEATURES, feature_classifier, feature_distance
from ...vae.model import AbstractVAE, parameters
from ...vae.run import MODEL, load_vae, train_vae

OUT = Path("experiments/vandermeersch2023")
DECIDED = {"model", "propagation", "seed", "pixels"}  # by the row, the seed and the data set


@dataclasses.dataclass(frozen=True)
class VAERow:
    """One model of the table; `model` and `propagation` as in `VAEConfig`."""

    model: str
    meaning: str
    propagation: bool = True


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
        _one(name, seed, changes, dataset, folder, protocol) for seed in seeds for name in rows or ROWS
    ]
    return {"note": "our reconstruction; the paper's numbers could not be had", "runs": results}


def _check_changes(changes: Mapping[str, Any]) -> None:
    fields = {field.name for field in dataclasses.fields(VAEConfig)} - DECIDED
    if unknown := set(changes) - fields:
        raise ValueError(
            f"`changes` names {min(unknown)!r}, which is not to be set here; choose of {sorted(fields)}."
        )


def _one(
    name: str, seed: int, changes: Mapping[str, Any], dataset: Dataset, folder: Path, protocol: Protocol
) -> dict[str, Any]:
    """The stored result of a run, or the run."""
    row = ROWS[name]
    usual = preset(dataset, row.model)
    config = dataclasses.replace(usual, propagation=row.propagation, seed=seed, **changes)
    path = folder / "results" / f"{dataset.name}-{name}-seed{seed}.json"
    settings = {"config": config.json(), "protocol": dataclasses.asdict(protocol)}
    if path.exists():
        return _stored(path, config, protocol)
    vae, seconds = _trained(config, dataset, folder / "runs" / path.stem)
    told = {"row": name, "meaning": ROWS[name].meaning, "data": dataset.name, "seed": seed, **settings}
    measured = measure(vae, config, dataset, protocol)
    result = {**told, **measured, "seconds_per_epoch": seconds, "circumstances": circumstances()}
    path.parent.mkdir(parents=True, exist_ok=True)
    write_json(path, result, indent=1)
    return result


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


def _trained(config: VAEConfig, dataset: Dataset, folder: Path) -> tuple[AbstractVAE, list[float]]:
    """The model, trained unless `folder` has it, and the seconds of each epoch."""
    if not (folder / MODEL).exists():
        train_vae(config, dataset, folder, resume=True)
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    vae, found = load_vae(folder)
    if found != config:
        raise ValueError(f"`{folder}` has a model of other settings; move it away, or restore them.")
    return vae, [json.loads(line)["seconds"] for line in lines]


def _stored(path: Path, config: VAEConfig, protocol: Protocol) -> dict[str, Any]:
    """A setting that the file lacks was made later and had its default."""
    result = json.loads(path.read_text(encoding="utf-8"))
    if VAEConfig(**result["config"]) != config or Protocol(**result["protocol"]) != protocol:
        raise ValueError(f"`{path}` has the result of other settings; move it away, or restore them.")
    return result
