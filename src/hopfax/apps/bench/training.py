"""One training step of 784-512-10 by the recipe of 2023: our HAMs against the modules of the authors in PyTorch."""

import importlib
import importlib.util
from collections.abc import Mapping
from pathlib import Path

import equinox as eqx
import jax
import jax.random as jr
import numpy as np

from ...costs import StateSquaredError
from ...networks.ham import HAM, chain
from ...papers import paper_method
from ...training import Classification, Trainer, TrainState, make_step
from ...training.madam import madam
from .benchmark import Benchmark, Implementation
from .peers import Peers, path_to, quiet_torch

LAYERS, BATCH = (784, 512, 10), 64
FORWARD, BACKWARD = 40, 8  # Picard iterations in the code of the authors
OURS = "hopfax, HAM-EO"


def implementations(peers: Peers) -> Mapping[str, Implementation]:
    """Even-odd and synchronous networks, ours and theirs, from the same weights on the same batch."""
    model = chain(LAYERS, key=jr.key(0), bias_std=0.0)
    images = jr.uniform(jr.key(1), (BATCH, LAYERS[0]))
    labels = jr.randint(jr.key(2), (BATCH,), 0, LAYERS[-1])
    check = lambda loss: {"loss of the first step": loss()}
    ways = {OURS: "HAM-EO", "hopfax, HAM": "HAM"}
    entries = {
        name: Implementation(_ours(model, way, images, labels), check, ours=True)
        for name, way in ways.items()
    }
    if folder := peers.folder("hopdeq"):
        note = f"always {FORWARD} iterations forward and {BACKWARD} backward"
        theirs = _hopdeq(folder / "hopdeq", model, np.array(images), np.array(labels))
        entries |= {name: Implementation(call, check, note) for name, call in theirs.items()}
    return entries


def _ours(model: HAM, way: str, images, labels):
    """Each call makes a step from where the last one ended; its result is the loss before the first."""
    task = Classification(paper_method(way, steps=FORWARD, backward=BACKWARD), StateSquaredError())
    trainer = Trainer(madam(0.01, gradient_bound=3.0), task)
    state = TrainState.begin(model, trainer, key=jr.key(3))
    dynamic, static = eqx.partition(state, eqx.is_array)
    once = lambda d: eqx.filter(make_step(trainer)(eqx.combine(d, static), images, labels), eqx.is_array)
    compiled = jax.jit(once)
    first = compiled(dynamic).sums.loss

    def call():
        nonlocal dynamic
        dynamic = jax.block_until_ready(compiled(dynamic))
        return lambda: first

    return call


def _hopdeq(folder: Path, model: HAM, images, labels):
    """The models of the authors with their modules, solvers, loss and optimiser, but without their trainer."""
    torch = quiet_torch()
    with path_to(folder):
        deq, madam = (importlib.import_module(name) for name in ("deq_core.deq", "madam"))
    one_matrix = _module(folder / "deq_modules/onematrix/onematrixfunction.py").OneMatrixFunction(
        list(LAYERS), True
    )
    even_odd = _module(folder / "deq_modules/even_odd/evenoddfunction.py").EvenOddFunction(list(LAYERS), True)
    _give_weights(one_matrix, model)
    even_odd.from_OneMatrix(one_matrix)
    x, target = (
        torch.from_numpy(images),
        torch.nn.functional.one_hot(torch.from_numpy(labels).long(), LAYERS[-1]),
    )

    def implementation(function, width: int):
        start = torch.nn.Parameter(torch.zeros(BATCH, width), requires_grad=False)
        ways = (
            {"solver": "picard", "iter": FORWARD},
            {"solver": "picard", "iter": BACKWARD, "method": "backprop"},
        )
        network = deq.DEQ(function, start, lambda *args, **kwargs: None, *ways)
        optimiser = madam.Madam(function.parameters(), lr=0.01, p_scale=1024.0, g_bound=3.0)
        losses = []

        def call():
            optimiser.zero_grad()
            prediction = network(x.clone().requires_grad_(True))[:, -LAYERS[-1] :]
            loss = 0.5 * torch.nn.functional.mse_loss(prediction, target.float(), reduction="sum") / BATCH
            loss.backward()
            optimiser.step()
            losses.append(loss.item())
            return lambda: losses[0]

        return call

    kinds = {"even-odd": (even_odd, sum(LAYERS[2::2])), "synchronous": (one_matrix, sum(LAYERS[1:]))}
    return {f"the authors' hopdeq, {name}": implementation(*kind) for name, kind in kinds.items()}


def _give_weights(one_matrix, model: HAM) -> None:
    """Copy our weights into the one matrix of the authors; biases are zero in both."""
    torch = quiet_torch()
    tensor = lambda name: torch.from_numpy(np.array(model.synapses[name].weight))  # type: ignore[attr-defined]
    with torch.no_grad():
        one_matrix.U.copy_(tensor("input-hidden"))
        one_matrix.b.zero_()
        for rows, columns in one_matrix.layer_slices():
            one_matrix.W_tensor[rows, columns] = tensor("hidden-output")
            one_matrix.W_tensor[columns, rows] = tensor("hidden-output").T


def _module(location: Path):
    """One module of the authors, imported alone: their packages import their trainer."""
    spec = importlib.util.spec_from_file_location(location.stem, location)
    if spec is None or spec.loader is None:
        raise ValueError(f"there is no module {location}; name a checkout of hopdeq.")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TRAINING = Benchmark(
    "train",
    f"one step of 784-512-10 with the Madam optimiser, batch {BATCH}, forward to 1e-4 or {FORWARD} updates, {BACKWARD} "
    "backward",
    OURS,
    implementations,
)
