"""One training step of 784-512-10 at batch 64, against its floor.

    python benchmarks/training_step.py

The floor is one jitted product with the input matrix, its weight gradient and the Madam update. As in training,
ours run many steps in one compiled loop; times are of one step. The hand-written step is the same arithmetic in
plain JAX for a fixed number of sweeps, with the gradient written out: what is left between it and the floor is not
hopfax's. Against the authors' code: `hopfax bench --peers --only train`.
"""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from common import arguments, interleaved, ratio, write

import hopfax
from hopfax.costs import StateSquaredError
from hopfax.training import Classification, Trainer, TrainState, make_step
from hopfax.training.madam import madam

LAYERS, BATCH, INNER = (784, 512, 10), 64, 20


def main() -> None:
    options = arguments(__doc__).parse_args()
    images = jr.uniform(jr.key(1), (BATCH, LAYERS[0]))
    labels = jr.randint(jr.key(2), (BATCH,), 0, LAYERS[-1])
    names = ("HAM", "HAM-DEQ", "HAM-EO", "HAM-EO-DEQ")
    calls = {"floor": floor(images)} | {
        name: step_of(hopfax.papers.paper_method(name), images, labels) for name in names
    }
    calls |= {"implicit, guarded Anderson": step_of(hopfax.Method(), images, labels)}
    calls |= {
        "by hand, 13 + 7 sweeps": _by_hand(images, labels, 13, 7),
        "by hand, no sweeps": _by_hand(images, labels, 0, 0),
    }
    times = of_one_step(interleaved(calls, options.rounds))
    ratios = {f"{name} / floor": ratio(times, name, "floor") for name in calls if name != "floor"}
    write("training_step", {"milliseconds": times, "ratios": ratios}, options.json)


def of_one_step(times):
    """The times of one step of those that a call makes."""
    return {name: {what: value / INNER for what, value in row.items()} for name, row in times.items()}


def _repeated(step, carry):
    """A call of `INNER` steps in one compiled loop, with a state of its own."""
    dynamic, static = eqx.partition(carry, eqx.is_array)
    once = lambda _, d: eqx.filter(step(eqx.combine(d, static)), eqx.is_array)
    compiled = jax.jit(lambda d: jax.lax.fori_loop(0, INNER, once, d), donate_argnums=0)
    dynamic = jax.tree.map(jnp.copy, dynamic)

    def call():
        nonlocal dynamic
        dynamic = jax.block_until_ready(compiled(dynamic))

    return call


def step_of(method, images, labels, cost=StateSquaredError()):
    """A call of training steps by `method`."""
    trainer = Trainer(madam(0.01, gradient_bound=10.0), Classification(method, cost))
    state = TrainState.begin(hopfax.chain(LAYERS, key=jr.key(0), bias_std=0.0), trainer, key=jr.key(3))
    step = make_step(trainer)
    return _repeated(lambda state: step(state, images, labels), state)


def floor(images):
    """A call of steps of the floor."""
    weight = hopfax.chain(LAYERS, key=jr.key(0)).synapses["input-hidden"].weight
    optimiser = madam(0.01, gradient_bound=10.0)

    def step(carry):
        weight, state = carry
        updates, state = optimiser.update(images.T @ jnp.tanh(images @ weight), state, weight)
        return weight + updates, state

    return _repeated(step, (weight, optimiser.init(weight)))


def _by_hand(images, labels, forward: int, backward: int):
    """Even-odd Picard and recurrent backprop of a three-layer network, sweeps counted, nothing judged."""
    synapses = hopfax.chain(LAYERS, key=jr.key(0)).synapses
    weights = (synapses["input-hidden"].weight, synapses["hidden-output"].weight)
    optimiser, target = madam(0.01, gradient_bound=10.0), jax.nn.one_hot(labels, LAYERS[-1])
    rho = lambda s: jax.nn.sigmoid(4 * s - 2)

    def step(carry):
        (w, v), state = carry
        x = rho(images)
        field = x @ w
        y = jax.lax.fori_loop(0, forward, lambda _, y: rho(field + rho(y) @ v.T) @ v, jnp.zeros_like(target))
        g_y = rho(y)
        g_h = rho(field + g_y @ v.T)
        d_y, d_h, pull = 4 * g_y * (1 - g_y), 4 * g_h * (1 - g_h), (y - target) / BATCH
        u = jax.lax.fori_loop(0, backward, lambda _, u: pull + d_y * (((u @ v.T) * d_h) @ v), pull)
        d_field = (u @ v.T) * d_h
        updates, state = optimiser.update((x.T @ d_field, g_h.T @ u + d_field.T @ g_y), state, (w, v))
        return jax.tree.map(jnp.add, (w, v), updates), state

    return _repeated(step, (weights, optimiser.init(weights)))


if __name__ == "__main__":
    main()
