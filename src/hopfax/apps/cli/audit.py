"""`hopfax audit`: every gradient of a network compared with the exact one."""

from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from ..._internal.compiled import cache_compiled_code
from .options import check_network_folder, layer_sizes
from .output import Json, check_json, emit, long_task, result_table

LARGE = 10_000  # weights, from which on a comparison takes minutes


def audit(
    folder: Annotated[
        Path | None,
        typer.Argument(
            metavar="[DIR]",
            help="Folder of a finished `hopfax train`. Default: a random network of --layers.",
            show_default=False,
        ),
    ] = None,
    layers: Annotated[
        str, typer.Option(metavar="SIZES", help="Layers of a random network, from input to output.")
    ] = "64,32,10",
    batch: Annotated[int, typer.Option(min=1, help="Number of random examples.")] = 8,
    beta: Annotated[
        float | None,
        typer.Option(
            min=1e-6,
            max=0.99,
            help="Nudge of equilibrium propagation. Default: 0.05, or a twentieth of the critical nudge if that is "
            "less.",
            show_default=False,
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Random seed of the weights and the examples.")] = 0,
    json: Json = None,
) -> None:
    """Compare every gradient of a network with the exact one, in float64.

    It takes about 40 seconds for 64,32,10 neurons and 4 minutes for 784,512,10, on two cores. Most of it is
    compilation, which is kept for the next time.

    Example: hopfax audit --layers 64,32,10 --json audit.json
    """
    import jax
    import jax.random as jr

    from ...costs import SquaredError
    from ...diagnostics.gradient_check import check_gradients
    from ...networks.chn import CHN
    from ...networks.files import load_model
    from ...networks.ham import chain

    check_json(json)
    key = jr.key(seed)
    if folder is not None:
        check_network_folder(folder, "model.json")
    cache_compiled_code()
    network = chain(layer_sizes(layers), key=key) if folder is None else load_model(folder)
    network = (
        network.to_ham() if isinstance(network, CHN) else network
    )  # the same equilibria, and EP is for HAMs
    first, last = network.order[0], network.order[-1]
    images = jr.uniform(jr.fold_in(key, 1), (batch, *network.layers[first].shape))
    targets = jax.nn.one_hot(jr.randint(jr.fold_in(key, 2), (batch,), 0, 10), network.layers[last].size)
    weights = sum(x.size for x in jax.tree.leaves(network) if isinstance(x, jax.Array))
    with long_task("comparing gradients", 240 if weights > LARGE else 40):
        clamp, cost = {first: images}, SquaredError(last)
        result = check_gradients(network, clamp, cost, targets, beta=beta, key=jr.fold_in(key, 3))
    emit(result, json, lambda console: _show(console, result))


def _show(console: Console, result: dict[str, Any]) -> None:
    headings = ("gradient", "cosine", "of the worst array", "relative error", "seconds", "Jacobian products")
    table = result_table(*headings, title="Gradients compared with the exact one")
    for name, row in result["gradients"].items():
        cosines = f"{row['cosine']:.9f}", f"{row['worst_cosine']:.6f}"
        numbers = *cosines, f"{row['relative_error']:.1e}", f"{row['seconds']:.4f}"
        table.add_row(name, *numbers, f"{row['products']:.0f}")
    console.print(table)
    for what, value in _facts(result).items():
        console.print(f"{what}: {value}", soft_wrap=True)


def _facts(result: dict[str, Any]) -> dict[str, str]:
    order, radius = result["ep_order"], result["spectral_radius"]
    return {
        "Relative error of the exact gradient against a finite difference": (
            f"{result['reference_vs_finite_difference']:.1e}"
        ),
        "Order in beta of equilibrium propagation (2 centred, 1 positive in theory)": (
            f"{order['centred']:.2f} centred, {order['positive']:.2f} positive"
        ),
        "Relative error of equilibrium propagation at a finite beta against its contrastive function": (
            f"{result['ep_finite_beta']:.1e}"
        ),
        "Relative error of equilibrium propagation step by step against truncated backpropagation": (
            f"{result['ep_steps']:.1e}"
        ),
        "Spectral radius of the update": (
            f"{radius['synchronous']:.6f} synchronous (squared {radius['synchronous'] ** 2:.6f}), "
            f"{radius['even_odd']:.6f} even-odd"
        ),
        "Smallest scaled eigenvalue of the Hessian (positive at a strict minimum)": (
            f"{result['smallest_hessian_eigenvalue']:.4f}"
        ),
        "Nudge": f"{result['beta']:.4f} used, {result['critical_nudge']:.4f} critical",
    }
