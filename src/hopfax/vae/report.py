"""The numbers and figures with which a run ends."""

from pathlib import Path

import jax.random as jr

from ..data import Dataset
from .config import VAEConfig
from .evaluation import evaluate_vae
from .gallery import class_means, interpolations, reconstructions, samples
from .model import AbstractVAE


def final_numbers(vae: AbstractVAE, config: VAEConfig, dataset: Dataset) -> dict[str, float]:
    """One-sample evidence lower bound (nats) and squared error, means over the test images."""
    key = jr.fold_in(jr.key(config.seed), 2)
    found = evaluate_vae(vae, dataset.test_images, key=key, binarise=config.bernoulli).summary()
    return {"test_elbo": found["elbo"], "test_squared_error": found["squared_error"]}


def final_figures(vae: AbstractVAE, config: VAEConfig, dataset: Dataset, folder: Path) -> list[str]:
    """Reconstructions, samples from the prior, interpolations and class means, as PNG in `folder`; their paths."""
    from ..plots import images_figure

    pictures = {
        "reconstructions": reconstructions(vae, dataset, binarise=config.bernoulli),
        "samples": samples(vae, dataset, key=jr.fold_in(jr.key(config.seed), 3)),
        "interpolations": interpolations(vae, dataset),
        "class_means": class_means(vae, dataset),
    }
    paths = {name: folder / f"{name}.png" for name in pictures}
    for name, rows in pictures.items():
        images_figure(rows).savefig(paths[name], bbox_inches="tight", pad_inches=0.1)
    return [str(path) for path in paths.values()]
