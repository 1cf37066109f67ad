"""Hierarchical associative memories: an energy over named layers."""

import itertools
from collections.abc import Mapping, Sequence

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from jaxtyping import Array, Float, Key, Scalar

from ._tree import tree_sum
from .graph import Graph
from .lagrangians import AbstractElementwise, AbstractLagrangian, Sigmoid
from .layers import Held, Known, Layer
from .synapses import AbstractSynapse, Bias, Constant, Dense

States = dict[str, Array]
Clamp = Mapping[str, Array | Known]


class HAM(eqx.Module):
    """`E(s) = Σ_layers [s·g - L(s)] + Σ_synapses E(g_1, g_2, ...)`, with activations `g = ∇L(s)`.

    Args:
        layers: name -> `Layer`, in the order in which they are to be listed (input first by custom).
        synapses: name -> synapse, or a sequence of synapses, which are then named after their layers.
    Raises: `ValueError` for a layer or synapse that does not fit the rest, saying which and why.
    Source: [krotov2021], eq. 2; [goemaere2024], eq. 3.
    """

    layers: dict[str, Layer]
    synapses: dict[str, AbstractSynapse]
    order: tuple[str, ...] = eqx.field(static=True)  # of the layers: JAX sorts dictionaries by key

    def __init__(
        self, layers: Mapping[str, Layer], synapses: Mapping[str, AbstractSynapse] | Sequence[AbstractSynapse]
    ):
        self.layers, self.order = dict(layers), tuple(layers)
        self.synapses = dict(synapses) if isinstance(synapses, Mapping) else _named(synapses)

    def __check_init__(self):
        _check_names(self)
        for synapse in self.synapses.values():
            synapse.check({name: self.layers[name].shape for name in synapse.layers})
        _check_connected(self)

    @property
    def graph(self) -> Graph:
        return Graph(self.order, tuple(s.layers for s in self.synapses.values() if len(s.layers) > 1))

    def zeros(self, dtype=jnp.float32) -> States:
        """The state from which relaxing starts unless told otherwise."""
        return {name: jnp.zeros(self.layers[name].shape, dtype) for name in self.order}

    def activations(self, states: Mapping[str, Array]) -> States:
        """`g = ∇L(s)` of each layer given."""
        return {name: self.layers[name].lagrangian.activation(state) for name, state in states.items()}

    def interaction(self, activations: Mapping[str, Array]) -> Scalar:
        """`Σ_synapses E(g_1, g_2, ...)`."""
        return tree_sum(
            [synapse(*(activations[n] for n in synapse.layers)) for synapse in self.synapses.values()]
        )

    def drive(self, activations: Mapping[str, Array], names: Sequence[str]) -> States:
        """`-∂/∂g` of the interaction for the layers in `names`: what the others exert on them.

        An equilibrium is where the state of every free layer equals its drive. Source: [goemaere2024], eq. 6.
        """
        wanted = {name: activations[name] for name in names}
        analytic = any(jnp.iscomplexobj(g) for g in activations.values())
        # The sign is inside the gradient, where it costs no pass over the arrays.
        lowered = lambda some: -self.interaction({**activations, **some})
        return jax.grad(lowered, holomorphic=analytic)(wanted)

    def energy_tree(self, states: Mapping[str, Array]) -> dict[str, dict[str, Scalar]]:
        """The energy of one example, one entry for each layer and each synapse."""
        activations = self.activations(states)
        neurons = {name: self.layers[name].lagrangian.conjugate(state) for name, state in states.items()}
        synapses = {name: s(*(activations[n] for n in s.layers)) for name, s in self.synapses.items()}
        return {"layers": neurons, "synapses": synapses}

    def energy(self, states: Mapping[str, Array]) -> Scalar:
        """The sum of `energy_tree`."""
        return tree_sum(self.energy_tree(states))

    def residual(self, states: Mapping[str, Array]) -> States:
        """The dual residual `∂E/∂g = s - drive` of each layer: zero at an equilibrium, and not hidden by saturation."""
        drive = self.drive(self.activations(states), tuple(states))
        return {name: state - drive[name] for name, state in states.items()}

    def condition(self, clamp: Clamp) -> "HAM":
        """The memory over the free layers that is left when those in `clamp` are fixed at the given states.

        A clamped layer becomes a constant field on its neighbours, computed once and differentiable.
        """
        whole = {name: state for name, state in clamp.items() if not isinstance(state, Known)}
        known = self.activations(whole)
        constant = {f"clamped {name}": _conjugate(self.layers[name], state) for name, state in whole.items()}
        touched = lambda synapse: any(name in known for name in synapse.layers)
        synapses = {n: s.condition(known) if touched(s) else s for n, s in self.synapses.items()}
        layers = {n: _hold(n, self.layers[n], clamp.get(n)) for n in self.order if n not in whole}
        return HAM(layers, {**synapses, **constant})


def chain(
    sizes: Sequence[int],
    lagrangian: AbstractLagrangian | Sequence[AbstractLagrangian] | None = None,
    *,
    key: Key[Array, ""],
    bias_std: float = 0.01,
) -> HAM:
    """Layers in a row: `chain([784, 512, 10], key=key)` has layers "input", "hidden" and "output".

    Weights are Xavier uniform for each block, `U(±sqrt(6 / (fan_in + fan_out)))`; biases of all layers but the
    first are `N(0, bias_std²)`. Longer chains have hidden layers "hidden1", "hidden2", ...
    Args: `lagrangian` one for all layers, or one for each; `Sigmoid.paper()` by default.
    Source: [goemaere2024], section 4 (biases `N(0, 0.01²)`); the 2023 version starts them at 0.
    """
    if len(sizes) < 2:
        raise ValueError(
            f"`chain(sizes={list(sizes)})` needs at least two layers; give an input and an output size."
        )
    names = chain_names(len(sizes))
    lagrangians = _one_each(lagrangian, len(sizes))
    layers = {name: Layer(size, one) for name, size, one in zip(names, sizes, lagrangians, strict=True)}
    return connect(layers, list(itertools.pairwise(names)), key=key, bias_std=bias_std)


def connect(
    layers: Mapping[str, Layer],
    pairs: Sequence[tuple[str, str]],
    *,
    key: Key[Array, ""],
    bias_std: float = 0.01,
) -> HAM:
    """A HAM with a Xavier-uniform `Dense` synapse for each of `pairs` and a `Bias` on every layer but the first.

    Any graph: skip connections are pairs like any other. Source: [goemaere2024], section 4 and Appendix B.
    """
    _check_pairs(layers, pairs)
    weight_keys, bias_keys = (
        jr.split(jr.fold_in(key, 0), len(pairs)),
        jr.split(jr.fold_in(key, 1), len(layers)),
    )
    weights = [
        Dense(pair, xavier(k, layers[pair[0]].size, layers[pair[1]].size))
        for pair, k in zip(pairs, weight_keys, strict=True)
    ]
    biased = list(layers.items())[1:]
    biases = [
        Bias(name, bias_std * jr.normal(k, layer.shape, jnp.float32))
        for (name, layer), k in zip(biased, bias_keys[:-1], strict=True)
    ]
    return HAM(layers, [*weights, *biases])


def xavier(key: Key[Array, ""], fan_in: int, fan_out: int) -> Float[Array, "fan_in fan_out"]:
    """`U(±sqrt(6 / (fan_in + fan_out)))`."""
    bound = (6 / (fan_in + fan_out)) ** 0.5
    return jr.uniform(key, (fan_in, fan_out), jnp.float32, -bound, bound)


def chain_names(count: int) -> tuple[str, ...]:
    """The layer names of a chain: input, hidden (or hidden1, hidden2, ...), output."""
    hidden = ("hidden",) if count == 3 else tuple(f"hidden{i}" for i in range(1, count - 1))
    return ("input", *hidden, "output")


def _one_each(lagrangian, count: int) -> list[AbstractLagrangian]:
    if lagrangian is None:
        return [Sigmoid.paper()] * count
    if isinstance(lagrangian, AbstractLagrangian):
        return [lagrangian] * count
    if len(lagrangian) != count:
        raise ValueError(
            f"`chain(lagrangian=...)` has {len(lagrangian)} entries for {count} layers; give one for each."
        )
    return list(lagrangian)


def _named(synapses: Sequence[AbstractSynapse]) -> dict[str, AbstractSynapse]:
    """Names like "input-hidden"; a second synapse between the same layers gets a number."""
    named: dict[str, AbstractSynapse] = {}
    for synapse in synapses:
        base = "-".join(synapse.layers)
        taken = sum(name == base or name.startswith(f"{base} ") for name in named)
        named[f"{base} {taken + 1}" if taken else base] = synapse
    return named


def _conjugate(layer: Layer, state: Array) -> Constant:
    return Constant(layer.lagrangian.conjugate(state))


def _hold(name: str, layer: Layer, known: Array | Known | None) -> Layer:
    if not isinstance(known, Known):
        return layer
    if not isinstance(layer.lagrangian, AbstractElementwise):
        raise ValueError(
            f"layer {name!r} cannot be clamped in part: the neurons of `{type(layer.lagrangian).__name__}` are not "
            "independent; clamp the whole layer."
        )
    return Layer(layer.shape, Held(layer.lagrangian, known.state, known.mask))


def _check_names(model: HAM) -> None:
    for label, synapse in model.synapses.items():
        for name in synapse.layers:
            if name not in model.layers:
                raise ValueError(
                    f"synapse {label!r} names an unknown layer {name!r}; the layers are {list(model.order)}."
                )
        if len(set(synapse.layers)) < len(synapse.layers):
            raise ValueError(
                f"synapse {label!r} joins a layer to itself: {synapse.layers}; split the layer in two."
            )


def _check_pairs(layers: Mapping[str, Layer], pairs: Sequence[tuple[str, str]]) -> None:
    for pair in pairs:
        if unknown := [name for name in pair if name not in layers]:
            raise ValueError(
                f"pair {pair} names an unknown layer {unknown[0]!r}; the layers are {list(layers)}."
            )


def _check_connected(model: HAM) -> None:
    """One component, where layers that feel a clamped layer hang together through it."""
    components = model.graph.components()
    anchored = {name for synapse in model.synapses.values() if synapse.clamped for name in synapse.layers}
    adrift = [names for names in components if not anchored & set(names)]
    if len(adrift) > 1 or (adrift and anchored):
        lonely = min(adrift, key=len)
        raise ValueError(
            f"layers {list(lonely)} are disconnected from the rest; join them by a synapse or leave them out."
        )
