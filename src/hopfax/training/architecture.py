"""Architectures: the neurons of a chain of layers, and the distribution of its first weights."""

import dataclasses
from collections.abc import Sequence

import equinox as eqx
import jax
from jaxtyping import Array, Key

from ..lagrangians import AbstractLagrangian, Sigmoid
from ..lagrangians.base import require_lagrangian
from ..networks import with_feedback
from ..networks.ham import HAM, chain


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
    """A chain of layers without their sizes; that of the 2023 paper by default.

    Attributes:
        input, hidden, output: Lagrangians of the layers.
        weight_scale: factor of Xavier's uniform distribution.
        bias_std: standard deviation of the first biases; with 0, Madam never changes them.
        feedback: strength of the input from the next layer, in (0, 1], see `hopfax.networks.with_feedback`.

    Raises:
        ValueError: naming the value that is out of range.
    """

    input: AbstractLagrangian = Sigmoid.paper()
    hidden: AbstractLagrangian = Sigmoid.paper()
    output: AbstractLagrangian = Sigmoid.paper()
    weight_scale: float = 1.0
    bias_std: float = 0.0
    feedback: float = 1.0

    def __post_init__(self):
        for name, valid, rule in (
            ("weight_scale", self.weight_scale > 0, "positive"),
            ("bias_std", self.bias_std >= 0, "0 or more"),
            ("feedback", 0 < self.feedback <= 1, "in (0, 1]"),
        ):
            if not valid:
                raise ValueError(f"`Architecture({name}={getattr(self, name)})` must be {rule}.")
        for name in ("input", "hidden", "output"):
            require_lagrangian(f"Architecture({name}={getattr(self, name)!r})", getattr(self, name))

    def network(self, layers: Sequence[int], *, key: Key[Array, ""]) -> HAM:
        """An untrained chain of layers of these sizes, input first."""
        lagrangians = [self.input, *[self.hidden] * (len(layers) - 2), self.output]
        plain = chain(layers, lagrangians, key=key, bias_std=self.bias_std)
        return with_feedback(_scaled(plain, self.weight_scale), self.feedback)


def _scaled(model: HAM, scale: float) -> HAM:
    """The model with its matrices multiplied by `scale`."""
    scaled = lambda leaf: scale * leaf if eqx.is_array(leaf) and leaf.ndim > 1 else leaf
    return model if scale == 1 else HAM(model.layers, jax.tree.map(scaled, model.synapses))
