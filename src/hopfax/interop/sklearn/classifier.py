"""A hierarchical associative memory as a classifier of scikit-learn."""

import dataclasses
from typing import Any

import equinox as eqx
import numpy as np
from jax import numpy as jnp
from jax import random as jr
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.utils import check_random_state
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted, validate_data

from ...method import Method
from ...networks.network import AbstractNetwork
from ...relax import relax
from ...training.optimisers import Adam, CosineDecay
from ...training.recipes import Recipe, low_feedback
from ...training.run import Diverged
from ...training.state import Totals, TrainState
from ...training.step import Trainer
from .passes import in_chunks, one_pass, optimiser, with_rates


class HAMClassifier(ClassifierMixin, BaseEstimator):
    """Classes by the equilibrium of a network whose input is held: `p = softmax(g_output)`.

    Trained as `hopfax.training.recipes.low_feedback`: rectified hidden neurons, cross-entropy on a linear output, Adam. In `fit` the
    learning rate falls along a cosine to a hundredth; `partial_fit` makes one pass at the full rate. The last batch of
    a pass is filled up with its first examples. Features should be of order one, as `StandardScaler` makes them.

    Args:
        hidden_layers: sizes of the hidden layers, first to last.
        model: HAM, HAM-DEQ, HAM-EO or HAM-EO-DEQ, as in `hopfax.training.recipes.Recipe`.
        gradient: of `hopfax.gradients`, in place of recurrent backprop, such as `EquilibriumPropagation(0.02)`.
        epochs: passes through the data of one `fit`.
        learning_rate: the largest.
        batch_size: examples a step.
        weight_decay: `learning_rate * weight_decay` of every matrix is taken off at each step.
        random_state: of the first weights and of the order of the examples.

    Attributes:
        classes_: the labels, sorted.
        network_: the network, a `HAM` with the layers "input" to "output".
        n_features_in_, feature_names_in_: of the data in `fit`.
        n_iter_: passes made.
        loss_curve_: the mean cost of an example in each.
    """

    n_features_in_: int

    def __init__(
        self,
        hidden_layers: Any = (100,),
        *,
        model: Any = "HAM-EO",
        gradient: Any = None,
        epochs: Any = 50,
        learning_rate: Any = 0.01,
        batch_size: Any = 64,
        weight_decay: Any = 0.0,
        random_state: Any = None,
    ):
        self.hidden_layers = hidden_layers
        self.model = model
        self.gradient = gradient
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.random_state = random_state

    def fit(self, X, y) -> "HAMClassifier":
        """Train from new weights. Args: `X` (examples, features); `y` a label for each.

        Raises: `ValueError` for parameters or data that cannot be, `hopfax.training.Diverged` if a weight becomes NaN.
        """
        X, y = self._checked(X, y, reset=True)
        self._begin(X, np.unique(y))
        labels = np.searchsorted(self.classes_, y)
        for epoch in range(self.epochs):
            left = CosineDecay().left(epoch, 0.01, self.epochs, 1)
            self._pass(X, labels, self.learning_rate * float(left))
        return self

    def partial_fit(self, X, y, classes=None) -> "HAMClassifier":
        """One pass through these examples from where training stands.

        Args: `classes` all labels there are, at the first call; those in `y` if not given.
        Raises: as `fit`, and `ValueError` for a label that is not one of them.
        """
        first = not hasattr(self, "network_")
        X, y = self._checked(X, y, reset=first)
        if first:
            self._begin(X, np.unique(y if classes is None else classes))
        unknown = np.setdiff1d(y, self.classes_)
        if unknown.size:
            raise ValueError(
                f"`y` has labels {unknown[:5].tolist()} that are not among the classes "
                f"{self.classes_[:20].tolist()}; name all in the first call: `partial_fit(X, y, classes=...)`."
            )
        self._pass(X, np.searchsorted(self.classes_, y), self.learning_rate)
        return self

    def predict(self, X) -> np.ndarray:
        """The most probable label of each row of `X`."""
        probabilities = self.predict_proba(X)
        return self.classes_[np.argmax(probabilities, axis=1)]

    def predict_proba(self, X) -> np.ndarray:
        """`softmax(g_output)` of each row of `X`, (examples, classes) in the order of `classes_`."""
        check_is_fitted(self, "network_")
        X = np.asarray(validate_data(self, X, reset=False, dtype=np.float32))
        method = self._recipe().method
        return softmax(in_chunks(lambda rows: _outputs(self.network_, method, rows), X), axis=1)

    def _checked(self, X, y, *, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        """Examples as float32 and their labels, once they and the parameters can be."""
        images, labels = validate_data(self, X, y, reset=reset, dtype=np.float32)
        check_classification_targets(labels)
        return np.asarray(images), np.asarray(labels)

    def _recipe(self) -> Recipe:
        """What the parameters say, and a check of them."""
        if not self.model.startswith("HAM"):
            raise ValueError(f"`HAMClassifier(model={self.model!r})` must be a HAM, such as HAM-EO.")
        if isinstance(self.hidden_layers, str) or not np.iterable(self.hidden_layers):
            raise ValueError(
                f"`HAMClassifier(hidden_layers={self.hidden_layers!r})` must be sizes, such as (100,)."
            )
        return dataclasses.replace(
            low_feedback((self.n_features_in_, *self.hidden_layers, len(self.classes_)), self.model),
            gradient=self.gradient,
            smoothing=0.0,
            optimiser=Adam(self.weight_decay),
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
        )

    def _begin(self, X: np.ndarray, classes: np.ndarray) -> None:
        """New weights for these classes."""
        if len(classes) < 2:
            raise ValueError(
                f"`y` has the one class {classes.tolist()}; a classifier needs at least 2 classes."
            )
        self.classes_ = classes
        self._random = check_random_state(self.random_state)
        recipe = dataclasses.replace(self._recipe(), seed=int(self._random.randint(2**31 - 1)))
        self.network_ = recipe.network()
        self._optimiser_state = optimiser().init(eqx.filter(self.network_, eqx.is_inexact_array))
        self.n_iter_, self.loss_curve_ = 0, []

    def _pass(self, X: np.ndarray, labels: np.ndarray, rate: float) -> None:
        """All examples once, in an order of its own."""
        recipe, steps = self._recipe(), jnp.zeros((), jnp.int32)
        trainer = Trainer(optimiser(), recipe.method, recipe.cost, batch_size=recipe.batch_size)
        state = TrainState(self.network_, self._optimiser_state, jr.key(0), steps, Totals.zero())
        state = with_rates(state, rate, self.weight_decay)
        state, loss = one_pass(trainer, state, X, labels, self._random.permutation(len(X)))
        if loss is None:
            raise Diverged(
                f"training diverged in pass {self.n_iter_ + 1}: a weight or the loss became NaN or infinite. "
                "Scale the features, with `StandardScaler` for example, or lower `learning_rate`."
            )
        self.network_, self._optimiser_state = state.model, state.optimiser_state
        self.n_iter_, self.loss_curve_ = self.n_iter_ + 1, [*self.loss_curve_, loss]


def _outputs(network: AbstractNetwork, method: Method, rows: np.ndarray) -> np.ndarray:
    """The activation of the output layer at the equilibrium of each row."""
    # Nothing is differentiated here, and a state could not be by equilibrium propagation.
    found = relax(network, {"input": rows}, method=dataclasses.replace(method, gradient=Method().gradient))
    return np.asarray(found.activation["output"], float)
