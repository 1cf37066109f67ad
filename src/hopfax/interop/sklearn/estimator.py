"""What the classifier and the regressor share: a network with clamped input, trained by passes through the data."""

import abc
import dataclasses
import math
from typing import Any

import equinox as eqx
import numpy as np
from jax import numpy as jnp
from jax import random as jr
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.utils import check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from ..._internal.checks import require_integer, require_number
from ..._internal.compiled import cache_compiled_code
from ...costs import AbstractCost
from ...method import Method
from ...networks.network import AbstractNetwork
from ...relax import relax
from ...training import Diverged
from ...training.optimisers import Adam, CosineDecay
from ...training.recipes import Recipe, low_feedback
from ...training.trainer import Trainer, TrainState
from .loss import WeightedLoss
from .passes import Rows, in_chunks, one_pass, optimiser, with_rates

Data = tuple[Rows, np.ndarray, np.ndarray]
"""Examples in rows, what is predicted of them, and their weights."""


class AbstractHAMEstimator(BaseEstimator, abc.ABC):
    """A network whose input layer is clamped at an example and whose output layer is read at equilibrium."""

    n_features_in_: int

    def __init__(
        self,
        hidden_layers: Any = (100,),
        *,
        image_shape: Any = None,
        model: Any = "HAM-EO",
        gradient: Any = None,
        epochs: Any = 50,
        learning_rate: Any = 0.01,
        batch_size: Any = 64,
        weight_decay: Any = 0.0,
        early_stopping: Any = False,
        validation_fraction: Any = 0.1,
        n_iter_no_change: Any = 10,
        random_state: Any = None,
    ):
        self.hidden_layers = hidden_layers
        self.image_shape = image_shape
        self.model = model
        self.gradient = gradient
        self.epochs = epochs
        self.learning_rate = learning_rate
        self.batch_size = batch_size
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.random_state = random_state

    @abc.abstractmethod
    def _cost(self) -> AbstractCost:
        """The cost of one example."""

    @abc.abstractmethod
    def _outputs(self) -> int:
        """How many neurons the output layer has."""

    @abc.abstractmethod
    def _targets(self, y: np.ndarray) -> np.ndarray:
        """What the output layer is compared with, of shape (examples, outputs)."""

    @abc.abstractmethod
    def _strata(self, y: np.ndarray) -> np.ndarray | None:
        """The groups that a validation share takes its examples from in proportion."""

    @abc.abstractmethod
    def _validation_score(self, X: Rows, y: np.ndarray, weights: np.ndarray) -> float:
        """Higher is better."""

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()  # how scikit-learn combines the tags of a class and its mixins
        tags.input_tags.sparse = True
        return tags

    def _checked(self, X, y, sample_weight, *, reset: bool, **options: bool) -> Data:
        """The data in float32 without examples of weight 0. Raises: `ValueError` for data that scikit-learn refuses."""
        X, y = validate_data(self, X, y, reset=reset, dtype=np.float32, accept_sparse="csr", **options)
        weights = np.asarray(
            _check_sample_weight(sample_weight, X, dtype=np.float64, ensure_non_negative=True)
        )
        counted = np.flatnonzero(weights)
        if not counted.size:
            raise ValueError("`sample_weight` is zero for every example; give one a positive weight.")
        whole = len(counted) == len(weights)
        return (
            (X, np.asarray(y), weights) if whole else (X[counted], np.asarray(y)[counted], weights[counted])
        )

    def _fit(self, X: Rows, y: np.ndarray, weights: np.ndarray) -> None:
        """Train a new network for all epochs, or until the validation score no longer rises."""
        weights = weights / np.mean(weights)
        self._begin()
        training, held_out = self._hold_out(X, y, weights)
        for epoch in range(self.epochs):
            factor = CosineDecay().factor(epoch, 0.01, self.epochs, 1)
            self._pass(*training, self.learning_rate * float(factor))
            if held_out is not None and self._ends_at(self._validation_score(*held_out)):
                break
        if held_out is not None:
            self.network_ = self._best_network

    def _hold_out(self, X: Rows, y: np.ndarray, weights: np.ndarray) -> tuple[Data, Data | None]:
        """The data to train on, and the validation share where training stops early."""
        if not self.early_stopping:
            return (X, y, weights), None
        name, fraction = type(self).__name__, self.validation_fraction
        require_number(f"{name}.validation_fraction", fraction, lambda x: 0 < x < 1, "in (0, 1)")
        require_integer(f"{name}.n_iter_no_change", self.n_iter_no_change, 1)
        parts: Any = train_test_split(
            *(X, y, weights),
            test_size=fraction,
            random_state=self._random,
            stratify=self._strata(y),
        )
        self.validation_scores_, self.best_validation_score_ = [], -np.inf
        return tuple(parts[::2]), tuple(parts[1::2])  # pyright: ignore[reportReturnType]

    def _ends_at(self, score: float) -> bool:
        """Record the score of a pass; whether the last `n_iter_no_change` passes brought no better one."""
        self.validation_scores_ = [*self.validation_scores_, score]
        if score > self.best_validation_score_:
            self.best_validation_score_, self._best_network = score, self.network_
        since = len(self.validation_scores_) - 1 - int(np.argmax(self.validation_scores_))
        return since >= self.n_iter_no_change

    def _recipe(self) -> Recipe:
        """The recipe of the parameters. Raises: `ValueError` for invalid parameters."""
        name = type(self).__name__
        if not self.model.startswith("HAM"):
            raise ValueError(f"`{name}(model={self.model!r})` must be a HAM, such as HAM-EO.")
        if isinstance(self.hidden_layers, str) or not np.iterable(self.hidden_layers):
            raise ValueError(f"`{name}(hidden_layers={self.hidden_layers!r})` must be sizes, such as (100,).")
        return dataclasses.replace(
            low_feedback((self._input(), *self.hidden_layers, self._outputs()), self.model),
            cost=self._cost(),
            gradient=self.gradient,
            smoothing=0.0,
            optimiser=Adam(self.weight_decay),
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            batch_size=self.batch_size,
        )

    def _input(self) -> int | tuple[int, ...]:
        """The size of the input layer, or its shape. Raises: `ValueError` where rows are no images of that shape."""
        if self.image_shape is None:
            return self.n_features_in_
        shape = tuple(self.image_shape)
        if math.prod(shape) != self.n_features_in_:
            raise ValueError(
                f"`{type(self).__name__}(image_shape={self.image_shape!r})` has {math.prod(shape)} numbers, but a row "
                f"has {self.n_features_in_} features."
            )
        return shape

    def _begin(self) -> None:
        """Initialise the weights and the optimiser."""
        cache_compiled_code()
        self._random = check_random_state(self.random_state)
        recipe = dataclasses.replace(self._recipe(), seed=int(self._random.randint(2**31 - 1)))
        self.network_ = recipe.network()
        self._optimiser_state = optimiser().init(eqx.filter(self.network_, eqx.is_inexact_array))
        self.n_iter_, self.loss_curve_ = 0, []

    def _begin_online(self) -> None:
        """As `_begin`, for `partial_fit`. Raises: `ValueError` with `early_stopping`, which needs all the data."""
        if self.early_stopping:
            raise ValueError(
                "`partial_fit` holds out no validation share; use `early_stopping=False`, or `fit`."
            )
        self._begin()

    def _pass(self, X: Rows, y: np.ndarray, weights: np.ndarray, rate: float) -> None:
        """Train for one pass through all examples in random order."""
        recipe, steps = self._recipe(), jnp.zeros((), jnp.int32)
        trainer = Trainer(optimiser(), WeightedLoss(recipe.method, recipe.cost), recipe.batch_size)
        state = TrainState(self.network_, self._optimiser_state, jr.key(0), steps, trainer.task.zero())
        state = with_rates(state, rate, self.weight_decay)
        labels = np.column_stack([self._targets(y), weights]).astype(np.float32)
        state, loss = one_pass(trainer, state, X, labels, self._random.permutation(len(labels)))
        if loss is None:
            raise Diverged(
                f"training diverged in pass {self.n_iter_ + 1}: a weight or the loss became NaN or infinite. "
                "Scale the features, with `StandardScaler` for example, or lower `learning_rate`."
            )
        self.network_, self._optimiser_state = state.model, state.optimiser_state
        self.n_iter_, self.loss_curve_ = self.n_iter_ + 1, [*self.loss_curve_, loss]

    def _checked_rows(self, X) -> Rows:
        """The features of fitted data. Raises: `ValueError` for data that do not fit, `NotFittedError`."""
        check_is_fitted(self, "network_")
        cache_compiled_code()
        return validate_data(self, X, reset=False, dtype=np.float32, accept_sparse="csr")

    def _read(self, X: Rows) -> np.ndarray:
        """The activation of the output layer at the equilibrium of each row, of shape (examples, outputs)."""
        method = self._recipe().method
        return in_chunks(lambda rows: _outputs_of(self.network_, method, rows), X)


def _outputs_of(network: AbstractNetwork, method: Method, rows: np.ndarray) -> np.ndarray:
    images = rows.reshape(-1, *network.layers["input"].shape)
    equilibrium = relax(network, {"input": images}, method=method)
    return np.asarray(equilibrium.activation["output"], float)
