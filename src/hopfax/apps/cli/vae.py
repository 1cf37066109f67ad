"""`hopfax vae`: train a Hopfield VAE, sample from it, reconstruct images, and complete corrupted ones."""

import dataclasses
import functools as ft
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ..._internal.compiled import cache_compiled_code
from .interrupts import interruptible
from .options import DataName, Directory, OtherData
from .output import (
    COMPILING,
    Json,
    check_file,
    check_json,
    emit,
    error_console,
    progress_bar,
    result_table,
    writable_folder,
)
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

app = typer.Typer(
    help="Hopfield VAE: one network that encodes and decodes, trained by equilibrium propagation.",
    no_args_is_help=True,
)
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a finished `hopfax vae train`.")]
FigureFile = Annotated[Path, typer.Option("--out", metavar="FILE", help="The .png file for the figure.")]
Seed = Annotated[int, typer.Option("--seed", help="Random seed.")]
AS_DATA = "Default: chosen for the data"


@app.command("train")
def train_command(
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
        typer.Option(
            "--learning-rate", help=f"Learning rate of Adam at the start. {AS_DATA}.", show_default=False
        ),
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


@app.command("sample")
def sample_command(folder: Folder, out: FigureFile, seed: Seed = 0, json: Json = None) -> None:
    """Draw latents from the prior and decode them.

    Example: hopfax vae sample runs/vae --out samples.png
    """
    import jax.random as jr

    from ...vae.gallery import samples

    vae, _, dataset = _open(folder, None, None, out, json)
    with error_console().status(f"sampling; {COMPILING}"):
        rows = samples(vae, dataset, key=jr.key(seed))
    figure = _draw(rows, out, "mean images decoded from latents that were drawn from the prior")
    emit({"figure": str(out)}, json, lambda console: console.print(figure, soft_wrap=True))


@app.command("reconstruct")
def reconstruct_command(
    folder: Folder,
    out: FigureFile,
    data: OtherData = None,
    seed: Seed = 0,
    directory: Directory = None,
    json: Json = None,
) -> None:
    """Encode and decode the test images; print their evidence lower bound and squared error.

    Example: hopfax vae reconstruct runs/vae --out reconstructed.png
    """
    import jax.random as jr

    from ...vae.evaluation import evaluate_vae
    from ...vae.gallery import reconstructions

    vae, config, dataset = _open(folder, data, directory, out, json)
    with error_console().status(f"reconstructing; {COMPILING}"):
        key = jr.key(seed)
        summary = evaluate_vae(vae, dataset.test_images, key=key, binarise=config.bernoulli).summary()
        rows = reconstructions(vae, dataset, binarise=config.bernoulli)
    figure = _draw(
        rows, out, "a test image of each class, and the image decoded from the mean of its posterior"
    )
    result = {
        "test_elbo": summary["elbo"],
        "test_squared_error": summary["squared_error"],
        "figure": str(out),
    }

    def show(console: Console) -> None:
        console.print(_quality(result), soft_wrap=True)
        console.print(figure, soft_wrap=True)

    emit(result, json, show)


@app.command("inpaint")
def inpaint_command(
    folder: Folder,
    out: FigureFile,
    against: Annotated[
        Path | None,
        typer.Option(
            "--against", metavar="DIR", help="Folder of another run to compare with.", show_default=False
        ),
    ] = None,
    data: OtherData = None,
    seed: Seed = 0,
    directory: Directory = None,
    json: Json = None,
) -> None:
    """Erase pixels of the test images and complete them; print squared errors on the erased pixels.

    An image is completed by its most probable latent given the known pixels. The mean training
    image, repeated encoding and decoding, and relaxing with the known pixels clamped are shown for comparison.

    Example: hopfax vae inpaint runs/vae --out completed.png
    """
    from ...vae.completion import completion_errors
    from ...vae.gallery import completions
    from ...vae.run import load_vae

    vae, _, dataset = _open(folder, data, directory, out, json)
    other = load_vae(against)[0] if against else None
    with error_console().status(f"completing; {COMPILING}"):
        errors = completion_errors(vae, dataset, other, seed=seed)
        rows = completions(vae, dataset, seed=seed)
    result = {"squared_error": errors, "examples": len(dataset.test_labels), "figure": str(out)}
    content = (
        "a test image of each class; for each kind of corruption the image with erased pixels, completed by its most "
        "probable latent, encoded and decoded once, and relaxed with its known pixels clamped"
    )
    figure = _draw(rows, out, content)
    emit(result, json, ft.partial(_show_completion, result=result, figure=figure))


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
    return [str(_save(rows, folder / f"{name}.png")) for name, rows in figures.items()]


def _open(
    folder: Path, data: str | None, directory: Path | None, out: Path, json: Path | None
) -> "tuple[AbstractVAE, VAEConfig, Dataset]":
    """The model, its settings and the data, after a check that all files can be written."""
    from ...data import load
    from ...vae.run import load_vae, trained_on

    check_json(json)
    check_file(out, ".png")
    cache_compiled_code()
    vae, config = load_vae(folder)
    return vae, config, load(data or trained_on(folder), directory)


def _draw(rows: "ImageRows", out: Path, content: str) -> str:
    """Save the rows as the figure `out`. Returns: a sentence that says what it shows."""
    return f"Figure {_save(rows, out)}: {content}."


def _save(rows: "ImageRows", path: Path) -> Path:
    """Save the rows as a figure. Returns: `path`."""
    from ...figures.images import images_figure

    images_figure(rows).savefig(path, bbox_inches="tight", pad_inches=0.1)
    return path


def _quality(result: dict[str, Any]) -> str:
    return (
        f"Test images: evidence lower bound {result['test_elbo']:.2f} nats, squared error "
        f"{result['test_squared_error']:.3f}, means per image"
    )


def _show_training(console: Console, name: str, result: dict[str, Any]) -> None:
    console.print(f"{name}: {result['parameters']:,} parameters, {result['seconds']:.0f} s", soft_wrap=True)
    console.print(_quality(result), soft_wrap=True)
    console.print("Figures: " + ", ".join(result["figures"]), soft_wrap=True)


def _show_completion(console: Console, result: dict[str, Any], figure: str) -> None:
    """A row for each way to complete the images, a column for each kind of corruption."""
    errors = result["squared_error"]
    headings = ("completed by", *(f"{corruption} erased" for corruption in errors))
    table = result_table(*headings, title="Squared error on the erased pixels, mean per test image")
    ways = [way for way in next(iter(errors.values())) if not way.endswith("did_not_converge")]
    for way in ways:
        table.add_row(_describe(way), *(f"{error[way]:.4g}" for error in errors.values()))
    console.print(table)
    failures = {"latent_did_not_converge": "in the latent", "did_not_converge": "when relaxed"}
    for corruption, error in errors.items():
        for name in [name for name in failures if name in error]:
            count = f"{error[name]:,} of {result['examples']:,} images"
            console.print(f"{corruption} erased: {count} did not converge {failures[name]}", soft_wrap=True)
    console.print(figure, soft_wrap=True)


def _describe(way: str) -> str:
    """A way to complete an image, for people."""
    if way.startswith("other, "):
        return f"the other model: {_describe(way.removeprefix('other, '))}"
    words = {
        "mean image": "the mean training image",
        "latent": "the most probable latent",
        "relaxed": "relaxing, known pixels clamped",
    }
    return words.get(way, f"encoding and decoding {way}")
