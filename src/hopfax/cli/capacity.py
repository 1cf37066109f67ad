"""`hopfax capacity`: how many random patterns a kind of memory holds."""

import enum
from typing import Annotated

import typer
from rich.console import Console

from .output import Json, check_json, emit, error_console


class Kind(enum.StrEnum):
    """Memories to measure."""

    hebb = "hebb"
    projection = "projection"
    storkey = "storkey"
    polynomial = "polynomial"
    modern = "modern"


def capacity(
    memory: Annotated[Kind, typer.Argument(help="Which kind of memory.")],
    neurons: Annotated[int, typer.Option(help="Number of neurons.")] = 100,
    flips: Annotated[float, typer.Option(help="Share of signs flipped in the queries.")] = 0.1,
    share: Annotated[float, typer.Option(help="Share of queries to be recalled right.")] = 0.9,
    most: Annotated[int, typer.Option(help="Stop looking at this many patterns.")] = 1000,
    seed: Annotated[int, typer.Option(help="Of the patterns and flips.")] = 0,
    json: Json = None,
) -> None:
    """Bisect for the number of random patterns of signs at which recall falls below a share."""
    import jax

    from ..analysis.capacity import Trial, recall_rate
    from ..analysis.capacity import capacity as search
    from ..analysis.pattern_sets import Flip

    check_json(json)
    store, trial, key = _store(memory), Trial(neurons, corruption=Flip(flips)), jax.random.key(seed)
    with error_console().status("measuring"):
        low, high = search(store, trial, key, share=share, most=most)
        at = recall_rate(store, trial, max(low, 1), key)
    result = {"memory": memory.value, "neurons": neurons, "flips": flips, "holds": low, "fails": high}
    result |= {"recall_at_holds": at.share, "interval": [at.low, at.high], "theory": _theory(memory, neurons)}

    def show(console: Console) -> None:
        console.print(
            f"{memory.value}, {neurons} neurons: {low} patterns hold, {high} do not", soft_wrap=True
        )
        console.print(f"theory: {result['theory']}", soft_wrap=True)

    emit(result, json, show)


def _store(memory: Kind):
    from .. import classical
    from ..analysis import stores

    others = {Kind.polynomial: lambda: stores.polynomial(3), Kind.modern: lambda: stores.modern(_beta)}
    return others[memory]() if memory in others else stores.binary(getattr(classical, memory.value))


def _beta(patterns):
    """Twice the spinodal of as many orthogonal patterns of signs."""
    from ..analysis.phase import thresholds

    return 2 * thresholds(max(len(patterns), 2)).spinodal / patterns.shape[1]


def _theory(memory: Kind, neurons: int) -> dict[str, float]:
    from ..analysis import capacity_theory as theory

    lines = {
        Kind.hebb: {"0.138 n": theory.hebbian(neurons), "n / (2 ln n)": theory.hebbian_exact(neurons)},
        Kind.projection: {"n": float(neurons)},
        Kind.storkey: {"n / sqrt(2 ln n)": theory.storkey(neurons)},
        Kind.polynomial: {"n^2 / (6 ln n)": theory.polynomial(neurons, 3)},
        Kind.modern: {"2^(n/2)": theory.exponential(neurons)},
    }
    return lines[memory]
