"""The local problem of a continuous Hopfield neuron: its best state while the rest of the network stands still."""

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Inexact

from ...lagrangians import AbstractLagrangian

LONGEST = 100  # steps; bisection alone needs about 60 in float64

State = Inexact[Array, "*neurons"]


def slope(neurons: AbstractLagrangian, state: State) -> State:
    """`ρ'(s)`."""
    return jax.jvp(neurons.activation, (state,), (jnp.ones_like(state),))[1]


def curvature(neurons: AbstractLagrangian, state: State) -> State:
    """`ρ''(s)`."""
    return jax.jvp(lambda s: slope(neurons, s), (state,), (jnp.ones_like(state),))[1]


@eqx.filter_custom_jvp
def local_minimum(neurons: AbstractLagrangian, drive: State) -> State:
    """`argmin_s ½ s² - ρ(s) C` of each neuron at its drive `C`, where `s = ρ'(s) C`: a Newton step, in logarithms, if
    it stays in the bracket, else bisection.

    With several minima it is one of them. Differentiable in the drive and in the parameters of the neurons.
    """
    search = _Search.begin(neurons, drive)
    return jax.lax.while_loop(lambda s: s.going(), lambda s: s.advanced(neurons, drive), search).state


@local_minimum.def_jvp
def _implicit_derivative(primals, tangents):
    """`ds = (ρ'(s) dC + ∂_θ ρ'(s) C dθ) / (1 - ρ''(s) C)`."""
    neurons, drive = primals
    state = local_minimum(neurons, drive)
    push = lambda neurons, drive: slope(neurons, state) * drive
    _, slip = eqx.filter_jvp(push, primals, tangents)
    return state, slip / (1 - curvature(neurons, state) * drive)


class _Search(eqx.Module):
    """A state between two at which `φ(s) = s - ρ'(s) C` has different signs."""

    state: State
    low: State
    high: State
    done: Bool[Array, "*neurons"]
    count: Array

    @staticmethod
    def begin(neurons: AbstractLagrangian, drive: State) -> "_Search":
        reach = _reach(neurons, drive)
        far = 2 * reach  # room for Newton's steps around a state close to `reach`
        low, high = jnp.minimum(far, 0), jnp.maximum(far, 0)
        return _Search(reach / 2, low, high, drive == 0, jnp.zeros((), jnp.int32))

    def going(self) -> Bool[Array, ""]:
        return ~jnp.all(self.done) & (self.count < LONGEST)

    def advanced(self, neurons: AbstractLagrangian, drive: State) -> "_Search":
        at, bent = slope(neurons, self.state), curvature(neurons, self.state)
        push = at * drive
        error = self.state - push
        low = jnp.where(error <= 0, self.state, self.low)
        high = jnp.where(error >= 0, self.state, self.high)
        # Newton's step for log(s / ρ'(s)C) = 0 in log s. Where ρ' falls like an exponential, and where s is tiny,
        # that function is nearly straight.
        turn = jnp.log(self.state / push) / (1 - self.state * bent / at)
        newton = self.state * jnp.exp(-turn)
        inside = (newton >= low) & (newton <= high)
        eps = jnp.finfo(error.dtype).eps
        # What is left after a step is about its square.
        last = inside & (jnp.abs(turn) <= 0.25 * jnp.sqrt(eps))
        closed = high - low <= 2 * eps * jnp.maximum(jnp.abs(low), jnp.abs(high))
        settled = self.done | (error == 0) | closed | ~jnp.isfinite(error)
        new = jnp.where(inside, newton, (low + high) / 2)
        return _Search(jnp.where(settled, self.state, new), low, high, settled | last, self.count + 1)


def _reach(neurons: AbstractLagrangian, drive: State) -> State:
    """A state beyond the one sought, seen from zero: as `ρ' >= 0`, that one has the sign of the drive."""
    short = lambda reach: (reach - slope(neurons, reach) * drive) * jnp.sign(drive) < 0
    longer = lambda carry: (jnp.where(short(carry[0]), 2 * carry[0], carry[0]), carry[1] + 1)
    going = lambda carry: jnp.any(short(carry[0])) & (carry[1] < LONGEST)
    return jax.lax.while_loop(going, longer, (drive, jnp.zeros((), jnp.int32)))[0]
