"""`hopfax vae`: train a Hopfield VAE, sample from it, reconstruct images, and complete corrupted ones."""

import functools as ft
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console

from ..._internal.compiled import cache_compiled_code
from .options import Directory, OtherData
from .output import COMPILING, Json, check_file, check_json, emit, error_console, result_table
from .vae_training import Seed, quality, save_figure, train

if TYPE_CHECKING:
    from ...data import Dataset
    from ...vae import AbstractVAE, VAEConfig
    from ...vae.gallery import ImageRows

app = typer.Typer(
    help="Hopfield VAE: one network that encodes and decodes, trained by equilibrium propagation.",
    no_args_is_help=True,
)
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder of a finished `hopfax vae train`.")]
FigureFile = Annotated[Path, typer.Option("--out", metavar="FILE", help="The .png file for the figure.")]

app.command("train")(train)


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
        console.print(quality(result), soft_wrap=True)
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
    return f"Figure {save_figure(rows, out)}: {content}."


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
