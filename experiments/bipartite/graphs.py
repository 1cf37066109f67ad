"""Bipartite graphs beyond chains: hidden modules with skip connections, or joined like a small world."""

import dataclasses
import itertools
from collections.abc import Callable, Mapping
from types import MappingProxyType

import jax
import numpy as np
from jaxtyping import Array, Key

from hopfax import HAM, Layer, connect
from hopfax.lagrangians import Sigmoid

INPUT, OUTPUT = "input", "output"
Pairs = list[tuple[str, str]]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Config:
    """What is built, trained and measured.

    Attributes:
        modules: hidden modules, an odd number, so that the output has the parity of the input.
        neurons: in each of them.
        rewired: probability that an edge of the small world's lattice is rewired.
        rate: of Madam, falling to a tenth over the epochs.
        examples: test images relaxed after training.
    """

    modules: int = 9
    neurons: int = 64
    rewired: float = 0.25
    pixels: int = 784
    classes: int = 10
    data: str = "mnist"
    epochs: int = 3
    batch_size: int = 64
    rate: float = 0.005
    examples: int = 2000
    steps: int = 200
    seed: int = 0


def build(config: Config, pairs: Callable[[Config], Pairs], key: Key[Array, ""]) -> HAM:
    """A network of sigmoid layers on the graph; Xavier weights, halved where a layer has many neighbours."""
    sizes = {INPUT: config.pixels, **dict.fromkeys(_modules(config), config.neurons), OUTPUT: config.classes}
    joined = pairs(config)
    network = connect({n: Layer(s, Sigmoid.paper()) for n, s in sizes.items()}, joined, key=key)
    degree = {name: sum(name in pair for pair in joined) for name in sizes}
    # A chain's layers have two neighbours: with d of them, 2/d keeps the drive of the same size.
    scale = lambda s: (2 / max(max(degree[n] for n in s.layers), 2)) ** 0.5 if len(s.layers) == 2 else 1.0
    synapses = {n: jax.tree.map(lambda w, s=s: scale(s) * w, s) for n, s in network.synapses.items()}
    return HAM({n: network.layers[n] for n in network.order}, synapses)


def chain(config: Config) -> Pairs:
    """Each layer joined to the next."""
    return list(itertools.pairwise(_names(config)))


def skips(config: Config) -> Pairs:
    """The chain, and each layer joined to the third after it: odd distances keep the graph bipartite."""
    names = _names(config)
    return [*chain(config), *zip(names[:-3], names[3:], strict=True)]


def small_world(config: Config) -> Pairs:
    """A ring of modules joined to the first and third neighbours, some edges rewired to a module of the other parity.

    The input is joined to two modules of one parity, the output to two of it on the other side of the ring.
    Source: the idea of [watts1998], with the parity kept.
    """
    random, names = np.random.default_rng(config.seed), _modules(config)
    ring = names[: len(names) - len(names) % 2]
    edges: set[tuple[str, str]] = set()
    for i, distance in itertools.product(range(len(ring)), (1, 3)):
        far = (i + distance) % len(ring)
        if random.random() < config.rewired:
            far = int(random.choice(np.arange(1 - i % 2, len(ring), 2)))
        edges.add((ring[min(i, far)], ring[max(i, far)]))
    half = len(ring) // 2 // 2 * 2
    ends = [(INPUT, ring[0]), (INPUT, ring[2]), (ring[half], OUTPUT), (ring[half + 2 - len(ring)], OUTPUT)]
    spare = [(INPUT, name) for name in names[len(ring) :]] + [(name, OUTPUT) for name in names[len(ring) :]]
    return [*ends, *sorted(edges), *spare]


GRAPHS: Mapping[str, Callable[[Config], Pairs]] = MappingProxyType(
    {"chain": chain, "skip connections": skips, "small world": small_world}
)


def _modules(config: Config) -> list[str]:
    return [f"hidden{i}" for i in range(1, config.modules + 1)]


def _names(config: Config) -> list[str]:
    return [INPUT, *_modules(config), OUTPUT]
