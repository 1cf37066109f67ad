"""`hopfax vae train`."""

import dataclasses
import functools as ft
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ..._internal.compiled import cache_compiled_code
from .interrupts import interruptible
from .options import DataName, Directory
from .output import Json, check_json, emit, error_console, progress_bar, writable_folder
from .resuming import (
    Context,
    end_if_asked,
    how_to_go_on,
    options_on_command_line,
    refuse_other_value,
    stored_settings,
)

if TYPE_CHECKING:
    from ...data import Dataset
    from ...training import Chunk
    from ...vae import AbstractVAE, VAEConfig
    from ...vae.gallery import ImageRows

Seed = Annotated[int, typer.Option("--seed", help="Random seed.")]
AS_DATA = "Default: chosen for the data"


def train(
    context: Context,
    out: Annotated[
        Path,
        typer.Option("--out", metavar="DIR", help="Folder for the model, metrics, checkpoints and figures."),
    ],
    data: DataName = "digits",
    model: Annotated[
        str, typer.Option("--model", metavar="NAME", help="tied, untied, tied-dense, dense or feedforward.")
    ] = "tied",
    epochs: Annotated[int, typer.Option("--epochs", help="Number of epochs.")] = 20,
    seed: Seed = 0,
    gradient: Annotated[
        str,
        typer.Option(
            "--gradient",
            metavar="NAME",
            help="ep (equilibrium propagation) or implicit (implicit differentiation).",
        ),
    ] = "ep",
    hidden: Annotated[
        int | None,
        typer.Option(
            "--hidden", help=f"Number of hidden neurons. {AS_DATA}, 128 for digits.", show_default=False
        ),
    ] = None,
    latents: Annotated[
        int | None,
        typer.Option(
            "--latents", help=f"Number of latent neurons. {AS_DATA}, 8 for digits.", show_default=False
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option("--learning-rate", help=f"Learning rate at the start. {AS_DATA}.", show_default=False),
    ] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Continue the run in the folder of --out, with its settings.")
    ] = False,
    directory: Directory = None,
    json: Json = None,
) -> None:
    """Train a VAE, evaluate it on the test images, and draw figures.

    With --resume, --out alone is enough: the other settings are those of the run in that folder.

    The evidence lower bound is in nats, estimated with one sample for each image.
    The digits have Gaussian densities; pixels of other data are drawn as 0 or 1
    (stochastic binarisation). The squared error is the sum over the pixels,
    which lie in [0, 1], of the image decoded from the mean of its posterior.

    Example: hopfax vae train --data digits --epochs 20 --out runs/vae
    """
    settings = {"hidden": hidden, "latents": latents, "learning_rate": learning_rate}
    changes: dict[str, Any] = {name: value for name, value in settings.items() if value is not None}
    if gradient not in ("ep", "implicit"):
        raise ValueError(f"--gradient {gradient!r} is unknown; give ep or implicit.")
    changes |= {"model": model, "epochs": epochs, "seed": seed, "equilibrium_propagation": gradient == "ep"}
    check_json(json, to_be_made=out)
    stored = stored_settings(out) if resume else None
    if stored is not None:
        from ...training.job import without_data_settings

        _refuse_other_settings(options_on_command_line(context), {**changes, "data": data}, stored, out)
        model, data = stored["model"], stored["data"]
        changes = without_data_settings(stored)
    with interruptible(how_to_go_on("hopfax vae train", out, directory)):
        result = _train(data, directory, changes, writable_folder(out), resume)
    emit(result, json, ft.partial(_show_training, name=f"{model} on {data}", result=result))


def _refuse_other_settings(
    typed: set[str], settings: dict[str, Any], stored: dict[str, Any], folder: Path
) -> None:
    """Raises: `ValueError` naming an option that was typed and differs from the run in `folder`."""
    if "gradient" in typed:
        names = {True: "ep", False: "implicit"}
        nudged = "equilibrium_propagation"
        refuse_other_value("--gradient", names[settings[nudged]], names[stored[nudged]], folder)
    for name in typed & settings.keys():
        refuse_other_value(f"--{name.replace('_', '-')}", settings[name], stored[name], folder)


def _train(
    data: str, directory: Path | None, changes: dict[str, Any], out: Path, resume: bool
) -> dict[str, Any]:
    from ...data import load
    from ...training import run_and_store
    from ...vae.config import preset
    from ...vae.run import VAEJob, load_vae

    cache_compiled_code()
    start, dataset = time.perf_counter(), load(data, directory)
    config = dataclasses.replace(preset(dataset, changes["model"]), **changes)
    with progress_bar(config.epochs) as show:

        def report(chunk: "Chunk") -> None:
            show(chunk)
            end_if_asked(chunk, config.epochs)

        result = run_and_store(VAEJob(config, dataset), out, resume=resume, callback=report)
    with error_console().status("drawing"):
        figures = _draw_figures(load_vae(out)[0], config, dataset, out)
    return {**result, "seconds": time.perf_counter() - start, "figures": figures}


def _draw_figures(vae: "AbstractVAE", config: "VAEConfig", dataset: "Dataset", folder: Path) -> list[str]:
    """Save the figures of a finished run as PNG in `folder`. Returns: the paths."""
    from ...vae.gallery import all_figures

    figures = all_figures(vae, dataset, config.seed, binarise=config.bernoulli)
    return [str(save_figure(rows, folder / f"{name}.png")) for name, rows in figures.items()]


def _show_training(console: Console, name: str, result: dict[str, Any]) -> None:
    console.print(f"{name}: {result['parameters']:,} parameters, {result['seconds']:.0f} s", soft_wrap=True)
    console.print(quality(result), soft_wrap=True)
    console.print("Figures: " + ", ".join(result["figures"]), soft_wrap=True)


def save_figure(rows: "ImageRows", path: Path) -> Path:
    """Save the rows as a figure. Returns: `path`."""
    from ...figures.images import images_figure

    images_figure(rows).savefig(path, bbox_inches="tight", pad_inches=0.1)
    return path


def quality(result: dict[str, Any]) -> str:
    return (
        f"Test images: evidence lower bound {result['test_elbo']:.2f} nats, squared error "
        f"{result['test_squared_error']:.3f}, means per image"
    )
