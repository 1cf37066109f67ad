"""Even-odd splitting as the paper does it for continuous Hopfield networks: a few local steps, colour by colour."""

import jax
import jax.numpy as jnp

from ..networks.network import AbstractNetwork, States
from .base import AbstractBlockUpdate, BlockElimination


class LocalSteps(AbstractBlockUpdate):
    """One colour of layers after another takes `steps` steps `s ← (1 - step) s + step f(s)` under a fixed drive.

    In a `CHN` the best state of a layer is itself a fixed point, `s = ρ'(s) C`; these steps approach it. `EvenOdd`
    and `Coloured` go there at once. With `step=½` a sigmoid(4s - 2) neuron is stable only below `s = 0.9928`.
    Raises: `ValueError` for `steps` below 1 or a `step` outside (0, 1]. Source: [goemaere2024], section 4 and code.
    """

    steps: int = 10
    step: float = 0.5

    def __check_init__(self):
        if self.steps < 1:
            raise ValueError(f"`LocalSteps(steps={self.steps})` must be at least 1.")
        if not 0 < self.step <= 1:
            raise ValueError(f"`LocalSteps(step={self.step})` must lie in (0, 1]; 1 is no damping.")

    def image(self, model: AbstractNetwork, states: States) -> States:
        for names in model.graph.colours():
            drives = model.drive(model.activations(states), names)
            states = {**states, **self._approach(model, {n: states[n] for n in names}, drives)}
        return states

    def eliminated(self, model: AbstractNetwork) -> BlockElimination:
        return BlockElimination(())

    def _approach(self, model: AbstractNetwork, states: States, drives: States) -> States:
        mix = lambda old, new: old + jnp.asarray(self.step, old.dtype) * (new - old)
        step = lambda some, _: (jax.tree.map(mix, some, model.fixed_point_map(some, drives)), None)
        return jax.lax.scan(step, states, None, length=self.steps, unroll=True)[0]
