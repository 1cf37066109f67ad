"""Architectures: the neurons of a chain of layers, and the distribution of its initial weights."""

import dataclasses
from collections.abc import Mapping, Sequence
from types import MappingProxyType

import equinox as eqx
import jax
from jaxtyping import Array, Key

from ..lagrangians import AbstractLagrangian, Sigmoid
from ..lagrangians.base import require_lagrangian
from ..networks import AveragePool, ConvBlock, MaxPool, with_feedback
from ..networks.convolutional import build_chain
from ..networks.ham import HAM

LayerSize = int | tuple[int, ...] | ConvBlock
"""A number of neurons; of an input also its shape, and of a hidden layer of maps the convolution to it."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Architecture:
    """A chain of layers without their sizes; that of the 2023 paper by default.

    Attributes:
        input, hidden, output: Lagrangians of the layers.
        weight_scale: factor of Xavier's uniform distribution.
        bias_std: standard deviation of the initial biases; with 0, Madam never changes them.
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

    def network(self, layers: Sequence[LayerSize], *, key: Key[Array, ""]) -> HAM:
        """An untrained chain of these layers, input first."""
        lagrangians = [self.input, *[self.hidden] * (len(layers) - 2), self.output]
        plain = build_chain(layers, lagrangians, key=key, bias_std=self.bias_std)
        return with_feedback(_scaled(plain, self.weight_scale), self.feedback)


def _scaled(model: HAM, scale: float) -> HAM:
    """The model with its matrices multiplied by `scale`."""
    scaled = lambda leaf: scale * leaf if eqx.is_array(leaf) and leaf.ndim > 1 else leaf
    return model if scale == 1 else HAM(model.layers, jax.tree.map(scaled, model.synapses))


def conv_layers(image_shape: Sequence[int], classes: int, network: str = "conv") -> tuple[LayerSize, ...]:
    """The layers of a convolutional network by name, for images of (height, width) or (height, width, channels).

    Args:
        image_shape: of the data.
        classes: neurons of the output.
        network: "conv", 5 x 5 to 32 channels and 3 x 3 to 64, of stride 2; "conv_pool", the same of stride 1 with
            average pooling; "conv3", three of stride 2 to 32, 64 and 128; "vgg5", four of 3 x 3 to 128, 256, 512 and
            512 with max-pooling, the last without padding, as in [laborieux2021], for images of 32 x 32.
    Raises: `ValueError` for another name.
    """
    if network not in CONV_BLOCKS:
        raise ValueError(f"`network={network!r}` is unknown; known are {', '.join(CONV_BLOCKS)}.")
    shape = tuple(image_shape) if len(image_shape) > 2 else (*image_shape, 1)
    return (shape, *CONV_BLOCKS[network], classes)


CONV_BLOCKS: Mapping[str, tuple[ConvBlock, ...]] = MappingProxyType(
    {
        "conv": (ConvBlock(32, 5, stride=2), ConvBlock(64, 3, stride=2)),
        "conv_pool": (ConvBlock(32, 5, pool=AveragePool(2)), ConvBlock(64, 3, pool=AveragePool(2))),
        "conv3": tuple(ConvBlock(channels, 3, stride=2) for channels in (32, 64, 128)),
        "vgg5": (
            *(ConvBlock(channels, 3, pool=MaxPool(2)) for channels in (128, 256, 512)),
            ConvBlock(512, 3, padding=0, pool=MaxPool(2)),
        ),
    }
)
