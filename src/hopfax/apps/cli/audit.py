"""`hopfax audit`: every gradient of a network held against the exact one."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from .numbers import sizes
from .output import Json, check_json, emit, error_console


def audit(
    model: Annotated[Path | None, typer.Option(help="Folder of a trained model.", show_default=False)] = None,
    layers: Annotated[
        str, typer.Option(help="Sizes of a fresh chain, input first: 784 512 10.")
    ] = "784 512 10",
    batch: Annotated[int, typer.Option(min=1, help="Examples.")] = 8,
    beta: Annotated[
        float | None,
        typer.Option(
            min=1e-6, max=0.99, help="Nudge; by default well below the critical one.", show_default=False
        ),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the weights and the random examples.")] = 0,
    json: Json = None,
) -> None:
    """Compare all gradients of a model with the exact one, in float64.

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
    network = chain(sizes(layers), key=key) if model is None else load_model(model)
    network = network.to_ham() if isinstance(network, CHN) else network  # the same equilibria, and EP there
    first, last = network.order[0], network.order[-1]
    images = jr.uniform(jr.fold_in(key, 1), (batch, network.layers[first].size))
    targets = jax.nn.one_hot(jr.randint(jr.fold_in(key, 2), (batch,), 0, 10), network.layers[last].size)
    with error_console().status("auditing"):
        clamp, cost = {first: images}, SquaredError(last)
        result = check_gradients(network, clamp, cost, targets, beta=beta, key=jr.fold_in(key, 3))
    emit(result, json, lambda console: _show(console, result))


def _show(console: Console, result: dict) -> None:
    table = Table(
        "gradient", "cosine", "relative error", "seconds", "products", title="against the exact gradient"
    )
    for name, row in result["gradients"].items():
        cells = (
            f"{row['cosine']:.9f}",
            f"{row['relative_error']:.1e}",
            f"{row['seconds']:.4f}",
            f"{row['products']:.0f}",
        )
        table.add_row(name, *cells)
    console.print(table)
    order, radius = result["ep_order"], result["spectral_radius"]
    facts = {
        "exact gradient against a finite difference, relative error": f"{result['reference_vs_finite_difference']:.1e}",
        "order of equilibrium propagation in beta": f"centred {order['centred']:.2f}, positive {order['positive']:.2f}",
        "EP at a finite beta against the gradient of its contrastive function": f"{result['ep_finite_beta']:.1e}",
        "EP step by step against truncated backpropagation": f"{result['ep_steps']:.1e}",
        "spectral radius": f"synchronous {radius['synchronous']:.6f}, even-odd {radius['even_odd']:.6f} "
        f"(squared synchronous {radius['synchronous'] ** 2:.6f})",
        "smallest scaled eigenvalue of the Hessian (strict minimum if positive)": (
            f"{result['smallest_hessian_eigenvalue']:.4f}"
        ),
        "nudge used, and critical": f"{result['beta']:.4f}, {result['critical_nudge']:.4f}",
    }
    for what, value in facts.items():
        console.print(f"{what}: {value}", soft_wrap=True)
