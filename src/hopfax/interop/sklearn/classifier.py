"""A hierarchical associative memory as a scikit-learn classifier."""

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
from ...training import Classification, Diverged
from ...training.optimisers import Adam, CosineDecay
from ...training.recipes import Recipe, low_feedback
from ...training.trainer import Trainer, TrainState
from .passes import in_chunks, one_pass, optimiser, with_rates


class HAMClassifier(ClassifierMixin, BaseEstimator):
    """A classifier by the equilibrium of a network with clamped input: `p = softmax(g_output)`.

    It is trained like `hopfax.training.recipes.low_feedback`: rectified hidden neurons, cross-entropy on a linear
    output, Adam. In `fit` the learning rate decays along a cosine to a hundredth; `partial_fit` makes one pass at the
    full rate. The last batch of a pass is filled up with the first examples of the pass. Features should be of order
    one, as after `StandardScaler`.

    Args:
        hidden_layers: the sizes of the hidden layers, from input to output.
        model: HAM, HAM-DEQ, HAM-EO or HAM-EO-DEQ, as in `hopfax.training.recipes.Recipe`.
        gradient: a gradient of `hopfax.gradients`, such as `EquilibriumPropagation(0.02)`; recurrent backprop if None.
        epochs: the number of passes through the data in `fit`.
        learning_rate: the learning rate at the start.
        batch_size: the number of examples per step.
        weight_decay: each step subtracts `learning_rate * weight_decay` times every matrix from it.
        random_state: seed of the initial weights and of the order of the examples, as in scikit-learn.
    Attributes:
        classes_: the labels, sorted.
        network_: the network, a `HAM` with the layers "input" to "output".
        n_features_in_, feature_names_in_: as in scikit-learn, of the data in `fit`.
        n_iter_: the number of passes made.
        loss_curve_: the mean cost per example in each pass.
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
        """Train from new weights.

        Args:
            X: an array of shape (examples, features).
            y: a label for each example.
        Raises: `ValueError` for invalid parameters or data, `hopfax.training.Diverged` if a weight becomes NaN.
        """
        X, y = self._checked(X, y, reset=True)
        self._begin(X, np.unique(y))
        labels = np.searchsorted(self.classes_, y)
        for epoch in range(self.epochs):
            factor = CosineDecay().factor(epoch, 0.01, self.epochs, 1)
            self._pass(X, labels, self.learning_rate * float(factor))
        return self

    def partial_fit(self, X, y, classes=None) -> "HAMClassifier":
        """Train for one pass through these examples, starting from the present weights.

        Args:
            X, y: as in `fit`.
            classes: all labels, in the first call; those in `y` if None.
        Raises: as `fit`, and `ValueError` for a label that is not among the classes.
        """
        first = "network_" not in vars(self)
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
        """`softmax(g_output)` for each row of `X`, of shape (examples, classes), in the order of `classes_`."""
        check_is_fitted(self, "network_")
        X = np.asarray(validate_data(self, X, reset=False, dtype=np.float32))
        method = self._recipe().method
        return softmax(in_chunks(lambda rows: _outputs(self.network_, method, rows), X), axis=1)

    def _checked(self, X, y, *, reset: bool) -> tuple[np.ndarray, np.ndarray]:
        """Examples as float32 and their labels. Raises: `ValueError` for data that scikit-learn refuses."""
        images, labels = validate_data(self, X, y, reset=reset, dtype=np.float32)
        check_classification_targets(labels)
        return np.asarray(images), np.asarray(labels)

    def _recipe(self) -> Recipe:
        """The recipe of the parameters. Raises: `ValueError` for invalid parameters."""
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
        """Initialise the weights and the optimiser for these classes."""
        if len(classes) < 2:
            raise ValueError(
                f"`y` has only one class, {classes.tolist()}; a classifier needs at least 2 classes."
            )
        self.classes_ = classes
        self._random = check_random_state(self.random_state)
        recipe = dataclasses.replace(self._recipe(), seed=int(self._random.randint(2**31 - 1)))
        self.network_ = recipe.network()
        self._optimiser_state = optimiser().init(eqx.filter(self.network_, eqx.is_inexact_array))
        self.n_iter_, self.loss_curve_ = 0, []

    def _pass(self, X: np.ndarray, labels: np.ndarray, rate: float) -> None:
        """Train for one pass through all examples in random order."""
        recipe, steps = self._recipe(), jnp.zeros((), jnp.int32)
        trainer = Trainer(optimiser(), Classification(recipe.method, recipe.cost), recipe.batch_size)
        state = TrainState(self.network_, self._optimiser_state, jr.key(0), steps, trainer.task.zero())
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
    # Nothing is differentiated here, and equilibrium propagation cannot differentiate a state.
    method = dataclasses.replace(method, gradient=Method().gradient)
    return np.asarray(relax(network, {"input": rows}, method=method).activation["output"], float)
