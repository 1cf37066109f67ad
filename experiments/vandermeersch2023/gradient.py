"""How exact is the gradient of a trained tied VAE, and what does it cost, by solver, tolerance and kind of gradient?

    python -m experiments.vandermeersch2023.gradient RUN

`RUN` is the folder of a run on MNIST, such as `runs/mnist-TH-VAE-seed0`. Each gradient is the mean over the first
batches of the training images, and is compared with implicit differentiation to a tolerance of 1e-6. A mean over
batches shows what a single one hides: the few images near the decoder's critical coupling, whose gradients are large.
"""

import argparse
import dataclasses
import json
import time
from pathlib import Path
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from experiments.runs import markdown

from hopfax._internal.files import write_json
from hopfax._internal.provenance import circumstances
from hopfax.data import load
from hopfax.diagnostics import worst_array
from hopfax.solvers import Anderson, Picard
from hopfax.vae import EPGradient, ImplicitGradient
from hopfax.vae.run import load_vae

HERE = Path(__file__).parent
BATCHES, BATCH = 10, 100
SOLVERS = {"Picard": Picard(), "Anderson": Anderson()}
GRADIENTS = {"equilibrium propagation": EPGradient(), "implicit": ImplicitGradient()}
TOLERANCES = (1e-3, 3e-4, 1e-4)
HEAD = ("gradient", "solver", "relative tolerance", "worst cosine of an array", "ms a batch")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--json", type=Path, default=HERE / "results" / "gradient-mnist-TH-VAE.json")
    options = parser.parse_args()
    vae, config = load_vae(options.run)
    images, noise = batches(config.latents)
    exact, _ = mean_gradient(with_method(vae, Anderson(), 1e-6), ImplicitGradient(), images, noise)
    rows = []
    for kind, gradient in GRADIENTS.items():
        for name, solver in SOLVERS.items():
            for rtol in TOLERANCES:
                value, seconds = mean_gradient(with_method(vae, solver, rtol), gradient, images, noise)
                row = {
                    "gradient": kind,
                    "solver": name,
                    "rtol": rtol,
                    "worst_cosine": worst_array(value, exact)[1],
                }
                rows.append({**row, "milliseconds": 1000 * seconds})
                print(rows[-1], flush=True)
    result = {"config": config.json(), "batches": BATCHES, "batch": BATCH, "rows": rows}
    write_json(options.json, {**result, "circumstances": circumstances()}, indent=1)


def batches(latents: int) -> tuple[jax.Array, jax.Array]:
    """Pixels drawn 0 or 1, and the noise of the posterior's samples."""
    images = jnp.asarray(load("mnist").train_images[: BATCHES * BATCH])
    images = jr.bernoulli(jr.key(0), images).astype(images.dtype).reshape(BATCHES, BATCH, -1)
    return images, jr.normal(jr.key(1), (BATCHES, BATCH, latents))


def with_method(vae: Any, solver: Any, rtol: float) -> Any:
    """The model with another solver and tolerance, and the most steps of training; more for the reference."""
    steps = vae.method.max_steps if rtol > 1e-5 else 1000
    method = dataclasses.replace(vae.method, solver=solver, rtol=rtol, max_steps=steps)
    return eqx.tree_at(lambda vae: vae.method, vae, method)


def mean_gradient(vae: Any, gradient: Any, images: jax.Array, noise: jax.Array) -> tuple[Any, float]:
    """The mean over the batches, of the networks' arrays, and the seconds of a batch after compiling."""

    @eqx.filter_jit
    def of_batch(vae, images, noise):
        return eqx.filter(gradient(vae, images, noise, 1.0)[1].networks, eqx.is_inexact_array)

    jax.block_until_ready(of_batch(vae, images[0], noise[0]))
    begin = time.perf_counter()
    every = jax.block_until_ready([of_batch(vae, *batch) for batch in zip(images, noise, strict=True)])
    seconds = (time.perf_counter() - begin) / len(every)
    return jax.tree.map(lambda *parts: sum(parts) / len(parts), *every), seconds


def table(path: Path = HERE / "results" / "gradient-mnist-TH-VAE.json") -> str:
    rows = json.loads(path.read_text(encoding="utf-8"))["rows"]
    cells = (
        [
            row["gradient"],
            row["solver"],
            f"{row['rtol']:g}",
            f"{row['worst_cosine']:.3f}",
            f"{row['milliseconds']:.0f}",
        ]
        for row in rows
    )
    return markdown(HEAD, cells)


if __name__ == "__main__":
    main()
