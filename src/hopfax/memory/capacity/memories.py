"""Memories of all kinds as functions, so that one measurement serves all: patterns -> (queries -> states)."""

from collections.abc import Callable

from jaxtyping import Array, ArrayLike, Float

from ...lagrangians import Tanh
from ...lagrangians.separations import Polynomial
from ...method import Method
from ...networks.ham import HAM
from ...relax import relax
from ...solvers import Picard
from ..binary import AbstractOrder, BinaryHopfield, Sequential, hebb
from ..modern import VISIBLE, ModernHopfield

Patterns = Float[Array, "patterns neurons"]
Recall = Callable[[Patterns], Patterns]
Store = Callable[[Patterns], Recall]


def binary(rule: Callable[[Patterns], Array] = hebb, order: AbstractOrder = Sequential()) -> Store:
    """Classical networks with the rule `classical.hebb`, `projection` or `storkey`."""

    def store(patterns: Patterns) -> Recall:
        network = BinaryHopfield.store(patterns, rule)
        return lambda queries: network.recall(queries, order=order).state

    return store


def continuous(build: Callable[[Patterns], HAM], layer: str = VISIBLE, *, max_steps: int = 50) -> Store:
    """Any HAM, relaxed from the queries as states of `layer` and read as its activations.

    `build` makes the network of the patterns; of a trained one, it returns that and ignores them.
    """

    def store(patterns: Patterns) -> Recall:
        model = build(patterns)

        def recall(queries: Patterns) -> Patterns:
            found = relax(model, start={layer: queries}, method=Method(solver=Picard(), max_steps=max_steps))
            return found.activation[layer]

        return recall

    return store


def modern(beta: ArrayLike | Callable[[Patterns], ArrayLike], *, max_steps: int = 50) -> Store:
    """Modern Hopfield networks of one `beta`, or of one that is a function of the patterns."""
    choose = beta if callable(beta) else lambda patterns: beta
    return continuous(lambda patterns: ModernHopfield(patterns, choose(patterns)).ham(), max_steps=max_steps)


def polynomial(degree: int, *, slope: float = 20.0, max_steps: int = 50) -> Store:
    """Krotov and Hopfield's dense memories of signs: `x' = X^T max(m, 0)^(degree-1)`, overlaps `m`, `g =
    tanh(slope x)`.

    At the default slope a neuron at a tenth of the drive of a pattern is saturated to 4 %. Source:
    [krotov2016], eq. 3, with continuous in place of binary neurons.
    """

    def build(patterns: Patterns) -> HAM:
        separation = lambda beta: Polynomial(degree, beta)
        return ModernHopfield(
            patterns, 1 / patterns.shape[1], separation=separation, visible=Tanh(slope)
        ).ham()

    return continuous(build, max_steps=max_steps)
