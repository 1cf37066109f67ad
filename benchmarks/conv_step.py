"""One training step of convolutional networks at batch 64, against the gradient step of the same feed-forward layers.

    python benchmarks/conv_step.py

Both give the gradient of the mean cross-entropy in all weights; the networks have feedback 0.03 and are relaxed to a
relative residual of 1e-3, from the feed-forward states and from zero. The feed-forward network is plain JAX: the same
kernels, ReLU and softmax.
"""

import dataclasses

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
from common import arguments, interleaved, ratio, write

from hopfax.costs import CrossEntropy
from hopfax.gradients import ConjugateGradient, EquilibriumPropagation, Implicit, Positive, RecurrentBackprop
from hopfax.networks import ConvBlock
from hopfax.objective import cost_gradient
from hopfax.solvers import FeedForward, Zeros
from hopfax.training.recipes import low_feedback

BATCH = 64
NETWORKS = {
    "a": ((28, 28, 1), ConvBlock(32, 5, stride=2), ConvBlock(64, 3, stride=2), 10),
    "c": ((32, 32, 3), *(ConvBlock(channels, 3, stride=2) for channels in (32, 64, 128)), 10),
}


def main() -> None:
    options = arguments(__doc__).parse_args()
    times, ratios, steps = {}, {}, {}
    for name, layers in NETWORKS.items():
        calls = steps_of(layers)
        steps[name] = {label: result.pop() for label, (_, result) in calls.items() if result}
        rows = interleaved({label: call for label, (call, _) in calls.items()}, options.rounds)
        times[name] = rows
        ratios[name] = {
            label: ratio(rows, label, "feed-forward") for label in calls if label != "feed-forward"
        }
    write("conv_step", {"milliseconds": times, "ratios": ratios, "mean_steps": steps}, options.json)


def steps_of(layers):
    """By name: a call of a training step, and of those that relax the mean number of sweeps."""
    recipe = low_feedback(layers)
    model, depth = recipe.network(), len(layers) - 1
    images, targets = examples(layers)
    gradients = {
        f"recurrent backprop, {depth}": RecurrentBackprop(depth),
        "equilibrium propagation": EquilibriumPropagation(),
        "equilibrium propagation, one-sided": EquilibriumPropagation(variant=Positive()),
        "conjugate gradients, 1e-3": Implicit(ConjugateGradient(rtol=1e-3)),
    }
    calls = {"feed-forward": (_feed_forward(model, images, targets), [])}
    for start in (FeedForward(), Zeros()):
        for label, gradient in gradients.items():
            method = dataclasses.replace(recipe.method, gradient=gradient, start=start)
            name = label if isinstance(start, FeedForward) else f"{label}, from zero"
            call = gradient_call(model, images, targets, method)
            calls[name] = call, [float(call()[1])]
    return calls


def examples(layers):
    """Random images and targets of a batch."""
    images = jr.uniform(jr.key(1), (BATCH, *layers[0]))
    return images, jax.nn.one_hot(jr.randint(jr.key(2), (BATCH,), 0, layers[-1]), layers[-1])


def gradient_call(model, images, targets, method):
    """A call that gives the gradient of the mean cost and the mean number of sweeps."""

    @eqx.filter_jit
    def step(model, images):
        result = cost_gradient(model, {"input": images}, CrossEntropy(), targets, method=method)
        return result.gradient, jnp.mean(result.equilibrium.steps)

    return lambda: jax.block_until_ready(step(model, images))


def _feed_forward(model, images, targets):
    """The layers of `model` without feedback: every drive from the layer before."""
    synapses = [s.synapse for s in model.synapses.values() if len(s.layers) == 2]
    biases = [s.bias for s in model.synapses.values() if len(s.layers) == 1]
    kernels = [s.kernel if hasattr(s, "kernel") else s.weight for s in synapses]

    def logits(parameters, x):
        for index, (kernel, bias) in enumerate(zip(*parameters, strict=True)):
            if kernel.ndim == 4:
                pads = [(s, s) for s in (synapses[index].padding,) * 2]
                strides = (synapses[index].stride,) * 2
                dims = ("NHWC", "HWIO", "NHWC")
                x = jax.lax.conv_general_dilated(x, kernel, strides, pads, dimension_numbers=dims)
            else:
                x = x.reshape(len(x), -1) @ kernel
            x = x + bias.reshape((1,) * (x.ndim - 1) + bias.shape)
            x = jax.nn.relu(x) if index < len(kernels) - 1 else x
        return x

    def loss(parameters, x):
        return -jnp.mean(jnp.sum(targets * jax.nn.log_softmax(logits(parameters, x)), axis=1))

    step = jax.jit(jax.value_and_grad(loss))
    return lambda: jax.block_until_ready(step((kernels, biases), images))


if __name__ == "__main__":
    main()
