"""The gradient by centred equilibrium propagation: hopfax against the energy-based-learning code of Rain."""

import importlib
from collections.abc import Mapping
from pathlib import Path

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np

from ...costs import SquaredError
from ...gradients import EquilibriumPropagation
from ...lagrangians import HardSigmoid, Identity
from ...method import Method
from ...networks.ham import HAM
from ...networks.layers import Layer
from ...networks.synapses.dense import Bias, Dense
from ...objective import objective
from ...solvers import Picard
from .benchmark import Benchmark, Implementation
from .peers import Peers, path_to, quiet_torch

LAYERS, BATCH, BETA = (784, 512, 10), 64, 0.25
SCALE = 0.02  # of the weights; small, so that the map from hidden to output and back contracts
SWEEPS = 15  # in each phase of theirs, the default
OURS = "hopfax"


def implementations(peers: Peers) -> Mapping[str, Implementation]:
    """Ours and theirs, with the same weights, neurons, nudge and cost."""
    first, second, pixels, digits = jr.split(jr.key(0), 4)
    weights = [SCALE * jr.normal(first, LAYERS[:2]), SCALE * jr.normal(second, LAYERS[1:])]
    images = jr.uniform(pixels, (BATCH, LAYERS[0]))
    labels = jr.randint(digits, (BATCH,), 0, LAYERS[-1])
    exact = _ours(weights, images, labels, 1e-6)()
    size = float(np.max(np.abs(exact)))
    check = lambda output: {"largest relative difference": np.max(np.abs(np.asarray(output) - exact)) / size}
    entries = {
        OURS: Implementation(
            _ours(weights, images, labels), check, "each example to a tolerance of 1e-4 beta", ours=True
        )
    }
    if folder := peers.folder("energy-based-learning"):
        note = f"{SWEEPS} sweeps in each of three phases; nudges the output explicitly, hopfax implicitly"
        theirs = _energy_based_learning(folder, *(np.array(x) for x in (*weights, images, labels)))
        entries["energy-based-learning"] = Implementation(theirs, check, note)
    return entries


def _ours(weights, images, labels, tolerance: float = 1e-4):
    """The gradient in the weights between the hidden and the output layer."""
    neurons = {"input": Identity(), "hidden": HardSigmoid(), "output": Identity()}
    layers = {name: Layer(size, neuron) for (name, neuron), size in zip(neurons.items(), LAYERS, strict=True)}
    pairs = (("input", "hidden"), ("hidden", "output"))
    dense = [Dense(pair, weight) for pair, weight in zip(pairs, weights, strict=True)]
    biases = [
        Bias(name, jnp.zeros(size)) for name, size in zip(("hidden", "output"), LAYERS[1:], strict=True)
    ]
    model, targets = HAM(layers, [*dense, *biases]), jax.nn.one_hot(labels, LAYERS[-1])
    method = Method(solver=Picard(), gradient=EquilibriumPropagation(BETA), rtol=tolerance)

    @eqx.filter_jit
    def gradient(model, images, targets):
        cost = SquaredError("output")
        mean = lambda m: jnp.mean(objective(m, {"input": images}, cost, targets, method=method)[0])
        return eqx.filter_grad(mean)(model)

    call = lambda: jax.block_until_ready(gradient(model, images, targets))
    return lambda: np.asarray(call().synapses["hidden-output"].weight)  # type: ignore[attr-defined]


def _energy_based_learning(folder: Path, first, second, images, labels):
    torch = quiet_torch()
    with path_to(folder):
        names = ("hopfield.network", "hopfield.minimizer", "function.network", "function.cost")
        hopfield, minimizer, networks, costs = (importlib.import_module(f"model.{name}") for name in names)
        sgd = importlib.import_module("training.sgd")
    energy = hopfield.DeepHopfieldEnergy([(size,) for size in LAYERS], [1.0, 1.0])
    weights = energy.params()[-2:]
    for parameter, weight in zip(weights, (first, second), strict=True):
        parameter.state = torch.from_numpy(weight)
    network, cost = networks.Network(energy), costs.SquaredError(energy.layers()[-1])
    augmented = sgd.AugmentedFunction(energy, cost)
    relaxing = minimizer.FixedPointMinimizer(augmented, network.free_layers(), num_iterations=SWEEPS)
    arguments = (energy.params(), energy.layers()[1:], augmented, cost, relaxing)
    estimator = sgd.EquilibriumProp(*arguments, variant="centered", nudging=BETA)
    x, target = torch.from_numpy(images), torch.from_numpy(labels).long()

    def call():
        network.set_input(x, reset=True)
        cost.set_target(target)
        augmented.nudging = 0.0
        relaxing.compute_equilibrium()
        return estimator.compute_gradient()[-1].detach().numpy()

    return call


PROPAGATING = Benchmark(
    "propagate",
    f"784-512-10, hard sigmoid and linear neurons, batch {BATCH}: free phase, both nudged phases of {BETA}, gradient",
    OURS,
    implementations,
)
