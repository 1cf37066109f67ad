"""A hierarchical associative memory as a scikit-learn regressor."""

import numpy as np
from sklearn.base import MultiOutputMixin, RegressorMixin
from sklearn.metrics import r2_score

from ...costs import AbstractCost, SquaredError
from .estimator import AbstractHAMEstimator, Data
from .passes import Rows


class HAMRegressor(MultiOutputMixin, RegressorMixin, AbstractHAMEstimator):
    """A regressor by the equilibrium of a network with clamped input: `y = mean + deviation * g_output`.

    It is trained as `HAMClassifier` is, with the cost `½ |g_output - z|²` for targets `z = (y - mean) / deviation`.
    Mean and deviation are those of the targets in `fit`, or of the first `partial_fit`.

    Args:
        hidden_layers, image_shape, model, gradient: as for `HAMClassifier`.
        epochs, learning_rate, batch_size, weight_decay: as for `HAMClassifier`.
        early_stopping: whether `fit` holds out a validation share and ends once its R² no longer rises. The network is
            the one with the best R². The learning rate decays as if all epochs were made.
        validation_fraction, n_iter_no_change, random_state: as for `HAMClassifier`.
    Attributes:
        network_: the network, a `HAM` with the layers "input" to "output".
        n_features_in_, feature_names_in_: as in scikit-learn, of the data in `fit`.
        n_iter_: the number of passes made.
        loss_curve_: the mean weighted cost per example in each pass.
        validation_scores_, best_validation_score_: R² of the validation share after each pass, and the best, where
            training stops early.
    """

    def fit(self, X, y, sample_weight=None) -> "HAMRegressor":
        """Train from new weights.

        Args:
            X: an array or a sparse matrix of shape (examples, features).
            y: a number for each example, or a row of numbers.
            sample_weight: a factor of the cost of each example, 0 or more, relative to the mean factor; 1 if None.
        Raises: `ValueError` for invalid parameters or data, `hopfax.training.Diverged` if a weight becomes NaN.
        """
        X, y, weights = self._numbered(X, y, sample_weight, reset=True)
        self._set_scale(y, weights)
        self._fit(X, y, weights)
        return self

    def partial_fit(self, X, y, sample_weight=None) -> "HAMRegressor":
        """Train for one pass through these examples, starting from the present weights.

        Args:
            X, y: as in `fit`.
            sample_weight: a factor of the cost of each example, 0 or more; 1 if None.
        Raises: as `fit`, and `ValueError` for another number of targets, or where `early_stopping` would need all the
            data.
        """
        first = "network_" not in vars(self)
        X, y, weights = self._numbered(X, y, sample_weight, reset=first)
        if first:
            self._set_scale(y, weights)
            self._begin_online()
        if y.shape[1:] != self._mean.shape:
            raise ValueError(
                f"`y` has shape {y.shape}; the first call had rows of shape {self._mean.shape}: keep their number."
            )
        self._pass(X, y, weights, self.learning_rate)
        return self

    def predict(self, X) -> np.ndarray:
        """The prediction for each row of `X`, in the shape and units of the targets."""
        return self._in_units(self._read(self._checked_rows(X)))

    def _numbered(self, X, y, sample_weight, *, reset: bool) -> Data:
        X, y, weights = self._checked(X, y, sample_weight, reset=reset, multi_output=True, y_numeric=True)
        return X, np.asarray(y, np.float64), weights

    def _set_scale(self, y: np.ndarray, weights: np.ndarray) -> None:
        self._mean = np.average(y, axis=0, weights=weights)
        deviation = np.sqrt(np.average((y - self._mean) ** 2, axis=0, weights=weights))
        self._deviation = np.where(deviation > 0, deviation, 1.0)

    def _in_units(self, outputs: np.ndarray) -> np.ndarray:
        return self._mean + self._deviation * outputs.reshape(-1, *self._mean.shape)

    def _cost(self) -> AbstractCost:
        return SquaredError()

    def _outputs(self) -> int:
        return self._mean.size

    def _targets(self, y: np.ndarray) -> np.ndarray:
        return ((y - self._mean) / self._deviation).reshape(len(y), -1)

    def _strata(self, y: np.ndarray) -> None:
        return None

    def _validation_score(self, X: Rows, y: np.ndarray, weights: np.ndarray) -> float:
        return float(r2_score(y, self._in_units(self._read(X)), sample_weight=weights))
