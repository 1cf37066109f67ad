"""`hopfax vae`: train a Hopfield VAE, sample from it, reconstruct, and complete damaged images."""

import dataclasses
import functools as ft
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from .jax_setup import cache_compiled_code
from .output import Json, check_json, emit, error_console, writable_folder
from .progress import progress_bar

if TYPE_CHECKING:
    from ...data import Dataset
    from ...vae import AbstractVAE, VAEConfig
    from ...vae.gallery import ImageRows

app = typer.Typer(
    help="Hopfield VAE: one network that encodes and decodes, trained by equilibrium propagation.",
    no_args_is_help=True,
)
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a finished `hopfax vae train`.")]
Picture = Annotated[Path, typer.Option("--out", metavar="FILE", help="Where the figure goes, as .png.")]
Data = Annotated[
    str | None, typer.Option("--data", help="Another data set than it was trained on.", show_default=False)
]
Directory = Annotated[
    Path | None,
    typer.Option("--directory", metavar="DIR", help="Data directory to look in first.", show_default=False),
]
SEED = Annotated[int, typer.Option("--seed")]


@app.command("train")
def train_command(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder of the run and its figures.")],
    data: Annotated[str, typer.Option("--data", help="digits, mnist or fashion-mnist.")] = "digits",
    model: Annotated[
        str, typer.Option("--model", help="tied, untied, tied-dense, dense or feedforward.")
    ] = "tied",
    epochs: Annotated[int, typer.Option("--epochs")] = 20,
    seed: SEED = 0,
    gradient: Annotated[
        str, typer.Option("--gradient", help="ep (equilibrium propagation) or implicit differentiation.")
    ] = "ep",
    hidden: Annotated[
        int | None, typer.Option("--hidden", help="Hidden neurons; 128 on digits.", show_default=False)
    ] = None,
    latents: Annotated[
        int | None, typer.Option("--latents", help="Latent neurons; 8 on digits.", show_default=False)
    ] = None,
    learning_rate: Annotated[
        float | None, typer.Option("--learning-rate", help="Of Adam, at the start.", show_default=False)
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in DIR.")] = False,
    directory: Directory = None,
    json: Json = None,
) -> None:
    """Train a VAE; the model, metrics, a checkpoint and figures go to DIR.

    test_elbo is the mean one-sample evidence lower bound in nats: of densities on digits, of pixels drawn 0 or 1
    (stochastic binarisation) on other data. test_squared_error is the mean of |x - x'|^2 over the pixels of an
    image in [0, 1], x' decoded from the posterior's mean.

    Example: hopfax vae train --data digits --epochs 20 --out runs/vae
    """
    given = {"hidden": hidden, "latents": latents, "learning_rate": learning_rate}
    changes: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    changes |= {
        "model": model,
        "epochs": epochs,
        "seed": seed,
        "equilibrium_propagation": _by_propagation(gradient),
    }
    check_json(json, to_be_made=out)
    result = _train(data, directory, changes, writable_folder(out), resume)
    emit(result, json, ft.partial(_show_training, name=f"{model} on {data}", result=result))


@app.command("sample")
def sample_command(folder: Folder, out: Picture, seed: SEED = 0, json: Json = None) -> None:
    """Draw latents from the prior and decode them.

    Example: hopfax vae sample runs/vae --out samples.png
    """
    import jax.random as jr

    from ...vae.gallery import samples

    vae, _, dataset = _open(folder, None, None, out, json)
    with error_console().status("sampling"):
        rows = samples(vae, dataset, key=jr.key(seed))
    _finish(rows, out, json, {})


@app.command("reconstruct")
def reconstruct_command(
    folder: Folder,
    out: Picture,
    data: Data = None,
    seed: SEED = 0,
    directory: Directory = None,
    json: Json = None,
) -> None:
    """Encode and decode test images; evidence lower bound and squared error of all of them.

    Example: hopfax vae reconstruct runs/vae --out reconstructed.png
    """
    import jax.random as jr

    from ...vae.evaluation import evaluate_vae
    from ...vae.gallery import reconstructions

    vae, config, dataset = _open(folder, data, directory, out, json)
    with error_console().status("reconstructing"):
        found = evaluate_vae(vae, dataset.test_images, key=jr.key(seed), binarise=config.bernoulli).summary()
        rows = reconstructions(vae, dataset, binarise=config.bernoulli)
    result = {"test_elbo": found["elbo"], "test_squared_error": found["squared_error"]}
    _finish(rows, out, json, result)


@app.command("inpaint")
def inpaint_command(
    folder: Folder,
    out: Picture,
    against: Annotated[
        Path | None,
        typer.Option("--against", metavar="DIR", help="A run to compare with.", show_default=False),
    ] = None,
    data: Data = None,
    seed: SEED = 0,
    directory: Directory = None,
    json: Json = None,
) -> None:
    """Destroy pixels of test images, clamp the others, and relax; squared errors on what was destroyed.

    Example: hopfax vae inpaint runs/vae --out completed.png
    """
    from ...vae.completion import completion_errors
    from ...vae.gallery import completions
    from ...vae.run import load_vae

    vae, _, dataset = _open(folder, data, directory, out, json)
    other = load_vae(against)[0] if against else None
    with error_console().status("completing"):
        result = {"squared_error": completion_errors(vae, dataset, other, seed=seed)}
        rows = completions(vae, dataset, seed=seed)
    _finish(rows, out, json, result)


def _by_propagation(gradient: str) -> bool:
    if gradient not in ("ep", "implicit"):
        raise ValueError(f"--gradient {gradient!r} is unknown; give ep or implicit.")
    return gradient == "ep"


def _train(
    data: str, directory: Path | None, changes: dict[str, Any], out: Path, resume: bool
) -> dict[str, Any]:
    from ...data import load
    from ...training import run_and_store
    from ...vae.config import preset
    from ...vae.run import VAEJob, load_vae

    cache_compiled_code()
    began, dataset = time.perf_counter(), load(data, directory)
    config = dataclasses.replace(preset(dataset, changes["model"]), **changes)
    with progress_bar(config.epochs) as callback:
        result = run_and_store(VAEJob(config, dataset), out, resume=resume, callback=callback)
    with error_console().status("drawing"):
        figures = _draw_figures(load_vae(out)[0], config, dataset, out)
    return {**result, "seconds": time.perf_counter() - began, "figures": figures}


def _draw_figures(vae: "AbstractVAE", config: "VAEConfig", dataset: "Dataset", folder: Path) -> list[str]:
    """Save the figures of a finished run as PNG in `folder`. Returns: the paths."""
    from ...figures.images import images_figure
    from ...vae.gallery import all_figures

    paths = []
    for name, rows in all_figures(vae, dataset, config.seed, binarise=config.bernoulli).items():
        paths.append(str(folder / f"{name}.png"))
        images_figure(rows).savefig(paths[-1], bbox_inches="tight", pad_inches=0.1)
    return paths


def _open(
    folder: Path, data: str | None, directory: Path | None, out: Path, json: Path | None
) -> "tuple[AbstractVAE, VAEConfig, Dataset]":
    """The model, its settings, and the data, once all that is to be written can be."""
    from ...data import load
    from ...vae.run import load_vae, trained_on

    check_json(json)
    if out.suffix != ".png":
        raise ValueError(f"--out {out} must end in .png.")
    writable_folder(out.parent)
    cache_compiled_code()
    vae, config = load_vae(folder)
    return vae, config, load(data or trained_on(folder), directory)


def _finish(rows: "ImageRows", out: Path, json: Path | None, result: dict[str, Any]) -> None:
    from ...figures.images import images_figure

    images_figure(rows).savefig(out, bbox_inches="tight", pad_inches=0.1)
    result = {**result, "figure": str(out)}
    emit(result, json, lambda console: _show(console, result))


def _show(console: Console, result: dict[str, Any]) -> None:
    for name, value in result.items():
        if isinstance(value, dict):
            _show(console, {f"{name}, {each}": entry for each, entry in value.items()})
        else:
            text = f"{value:.4g}" if isinstance(value, float) else str(value)
            console.print(f"{name}: {text}", soft_wrap=True)


def _show_training(console: Console, name: str, result: dict[str, Any]) -> None:
    console.print(
        f"{name}: test ELBO {result['test_elbo']:.2f} nats (one sample), squared error "
        f"{result['test_squared_error']:.3f} an image, {result['parameters']} parameters, "
        f"{result['seconds']:.0f} s",
        soft_wrap=True,
    )
    console.print("Figures: " + ", ".join(result["figures"]), soft_wrap=True)
