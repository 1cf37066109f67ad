"""The local problem of a continuous Hopfield neuron: its state of least energy at a fixed drive."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Inexact, Int

from ...lagrangians import AbstractLagrangian

MAX_STEPS = 100  # bisection alone needs about 60 in float64

State = Inexact[Array, "*neurons"]


def derivative(neurons: AbstractLagrangian, state: State) -> State:
    """`ρ'(s)` of each neuron."""
    return jax.jvp(neurons.activation, (state,), (jnp.ones_like(state),))[1]


def second_derivative(neurons: AbstractLagrangian, state: State) -> State:
    """`ρ''(s)` of each neuron."""
    return jax.jvp(lambda s: derivative(neurons, s), (state,), (jnp.ones_like(state),))[1]


@eqx.filter_custom_jvp
def local_minimum(neurons: AbstractLagrangian, drive: State) -> State:
    """`argmin_s ½ s² - ρ(s) C` of each neuron at its drive `C`, where `s = ρ'(s) C`.

    It is found by Newton steps in the logarithm of the state, and by bisection where these leave the bracket. Where
    there are several minima it is one of them. Differentiable in the drive and in the parameters of the neurons.
    """
    bracket = _Bracket.initial(neurons, drive)
    return jax.lax.while_loop(lambda b: b.running(), lambda b: b.step(neurons, drive), bracket).state


@local_minimum.def_jvp
def _local_minimum_jvp(primals, tangents):
    """`ds = (ρ'(s) dC + ∂_θ ρ'(s) C dθ) / (1 - ρ''(s) C)`, by the implicit function theorem."""
    neurons, drive = primals
    state = local_minimum(neurons, drive)
    image = lambda neurons, drive: derivative(neurons, state) * drive
    _, tangent = eqx.filter_jvp(image, primals, tangents)
    return state, tangent / (1 - second_derivative(neurons, state) * drive)


class _Bracket(eqx.Module):
    """A state of each neuron between two at which `s - ρ'(s) C` has different signs."""

    state: State
    low: State
    high: State
    done: Bool[Array, "*neurons"]
    steps: Int[Array, ""]

    @staticmethod
    def initial(neurons: AbstractLagrangian, drive: State) -> "_Bracket":
        bound = _bound(neurons, drive)
        end = 2 * bound  # leaves room for Newton steps around a state close to the bound
        low, high = jnp.minimum(end, 0), jnp.maximum(end, 0)
        return _Bracket(bound / 2, low, high, drive == 0, jnp.zeros((), jnp.int32))

    def running(self) -> Bool[Array, ""]:
        return ~jnp.all(self.done) & (self.steps < MAX_STEPS)

    def step(self, neurons: AbstractLagrangian, drive: State) -> "_Bracket":
        """One Newton step, or where it leaves the bracket one bisection."""
        first, second = derivative(neurons, self.state), second_derivative(neurons, self.state)
        image = first * drive
        error = self.state - image
        low = jnp.where(error <= 0, self.state, self.low)
        high = jnp.where(error >= 0, self.state, self.high)
        # Newton's step for log(s / ρ'(s)C) = 0 in log s. Where ρ' falls exponentially, and where s is tiny, that
        # function is nearly linear.
        log_step = jnp.log(self.state / image) / (1 - self.state * second / first)
        newton = self.state * jnp.exp(-log_step)
        inside = (newton >= low) & (newton <= high)
        eps = jnp.finfo(error.dtype).eps
        # The error after a Newton step is about the square of the one before.
        last = inside & (jnp.abs(log_step) <= 0.25 * jnp.sqrt(eps))
        closed = high - low <= 2 * eps * jnp.maximum(jnp.abs(low), jnp.abs(high))
        done = self.done | (error == 0) | closed | ~jnp.isfinite(error)
        new = jnp.where(inside, newton, (low + high) / 2)
        return _Bracket(jnp.where(done, self.state, new), low, high, done | last, self.steps + 1)


def _bound(neurons: AbstractLagrangian, drive: State) -> State:
    """A state beyond the minimum, seen from zero. As `ρ' >= 0`, the minimum has the sign of the drive."""
    short = lambda bound: (bound - derivative(neurons, bound) * drive) * jnp.sign(drive) < 0
    double = lambda carry: (jnp.where(short(carry[0]), 2 * carry[0], carry[0]), carry[1] + 1)
    running = lambda carry: jnp.any(short(carry[0])) & (carry[1] < MAX_STEPS)
    return jax.lax.while_loop(running, double, (drive, jnp.zeros((), jnp.int32)))[0]
