"""The task of the estimators: a weighted mean of a cost of the equilibrium."""

from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PyTree

from ...costs import AbstractCost
from ...gradients.base import AdjointStats
from ...method import Method
from ...networks.network import AbstractNetwork
from ...objective import cost_example
from ...training.classification import what_is_nonfinite
from ...training.task import AbstractTask


class WeightedLoss(AbstractTask):
    """`1/n Σ_i w_i C(equilibrium_i, target_i)` over a batch of `n`; the layer "input" is clamped at the features.

    The label of an example is its target with its weight `w` as last element, of shape (outputs + 1,).

    Args:
        method: how the network is relaxed and differentiated.
        cost: of one example.
    """

    method: Method
    cost: AbstractCost

    def check(self, model: AbstractNetwork, images: Any, labels: Any) -> None:
        outputs = model.layers[self.cost.layers[0]].size
        if jnp.shape(labels)[1:] != (outputs + 1,):
            raise ValueError(
                f"`labels` have shape {jnp.shape(labels)}; a row must hold {outputs} targets and a weight."
            )

    def draw(self, model, images, labels, key) -> tuple[Array, Array, Array]:
        return images, labels[:, :-1], labels[:, -1]

    def gradient(
        self, model: AbstractNetwork, examples: tuple[Array, Array, Array], step: Int[Array, ""]
    ) -> tuple[PyTree, Float[Array, ""]]:
        blank = AdjointStats.blank(len(examples[-1]))
        (gradient, _), loss = eqx.filter_grad(self._loss, has_aux=True)((model, blank), *examples)
        return gradient, loss

    def _loss(self, model_and_stats, inputs: Array, targets: Array, weights: Array) -> tuple[Array, Array]:
        model, stats = model_and_stats

        def example(features, target, stats):
            free = model.condition({"input": features.reshape(model.layers["input"].shape)})
            return cost_example(free, {}, self.cost, target, self.method, stats)[0]

        loss = jnp.mean(weights * jax.vmap(example)(inputs, targets, stats))
        return loss, loss

    def zero(self) -> Float[Array, ""]:
        return jnp.zeros((), jnp.float32)

    def means(self, sums: Float[Array, ""], batches: int, batch_size: int) -> dict[str, float]:
        return {"loss": float(sums) / batches}

    def saturation(self, model, images, labels) -> dict[str, Array]:
        return {}

    def explain_failure(self, before, after, examples, step) -> str:
        return what_is_nonfinite(after)
