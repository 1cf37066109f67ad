"""A hierarchical associative memory as a scikit-learn classifier."""

from typing import Any

import numpy as np
from scipy.special import softmax
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets

from ...costs import AbstractCost, CrossEntropy
from .estimator import AbstractHAMEstimator, Data
from .passes import Rows


class HAMClassifier(ClassifierMixin, AbstractHAMEstimator):
    """A classifier by the equilibrium of a network with clamped input: `p = softmax(g_output)`.

    It is trained like `hopfax.training.recipes.low_feedback`: rectified hidden neurons, cross-entropy on a linear
    output, Adam. In `fit` the learning rate decays along a cosine to a hundredth; `partial_fit` makes one pass at the
    full rate. The last batch of a pass is filled up with the first examples of the pass. Features should be of order
    one, as after `StandardScaler`, or `MaxAbsScaler` where they are sparse. `fit` lets JAX keep compiled code in
    the user's cache folder, for all of the process, unless JAX has a folder already.

    Args:
        hidden_layers: the sizes of the hidden layers, from input to output; with `image_shape` also `ConvBlock`s of
            `hopfax.networks`.
        image_shape: the shape of an image whose flattened pixels are a row, with the channels last, such as (8, 8, 1);
            None for rows that are no images.
        model: HAM, HAM-DEQ, HAM-EO or HAM-EO-DEQ, as in `hopfax.training.recipes.Recipe`.
        gradient: a gradient of `hopfax.gradients`, such as `EquilibriumPropagation(0.02)`; recurrent backprop if None.
        epochs: the largest number of passes through the data in `fit`.
        learning_rate: the learning rate at the start.
        batch_size: the number of examples per step.
        weight_decay: each step subtracts `learning_rate * weight_decay` times every matrix from it.
        class_weight: a dictionary from labels to factors of the weights of their examples, or "balanced" for factors
            `n / (classes * n_class)`; all 1 if None.
        early_stopping: whether `fit` holds out a validation share and ends once its accuracy no longer rises. The
            network is the one with the best accuracy. The learning rate decays as if all epochs were made.
        validation_fraction: the validation share, in (0, 1).
        n_iter_no_change: how many passes without a better validation score end the training.
        random_state: seed of the initial weights and of the order of the examples, as in scikit-learn.
    Attributes:
        classes_: the labels, sorted.
        network_: the network, a `HAM` with the layers "input" to "output".
        n_features_in_, feature_names_in_: as in scikit-learn, of the data in `fit`.
        n_iter_: the number of passes made.
        loss_curve_: the mean weighted cost per example in each pass.
        validation_scores_, best_validation_score_: the accuracy of the validation share after each pass, and the
            best, where training stops early.
    """

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
        class_weight: Any = None,
        early_stopping: Any = False,
        validation_fraction: Any = 0.1,
        n_iter_no_change: Any = 10,
        random_state: Any = None,
    ):
        super().__init__(
            hidden_layers,
            image_shape=image_shape,
            model=model,
            gradient=gradient,
            epochs=epochs,
            learning_rate=learning_rate,
            batch_size=batch_size,
            weight_decay=weight_decay,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            random_state=random_state,
        )
        self.class_weight = class_weight

    def fit(self, X, y, sample_weight=None) -> "HAMClassifier":
        """Train from new weights.

        Args:
            X: an array or a sparse matrix of shape (examples, features).
            y: a label for each example.
            sample_weight: a factor of the cost of each example, 0 or more, relative to the mean factor; 1 if None.
        Raises: `ValueError` for invalid parameters or data, `hopfax.training.Diverged` if a weight becomes NaN.
        """
        X, y, weights = self._labelled(X, y, sample_weight, reset=True)
        self._set_classes(y)
        self._fit(X, y, weights * compute_sample_weight(self.class_weight, y))
        return self

    def partial_fit(self, X, y, classes=None, sample_weight=None) -> "HAMClassifier":
        """Train for one pass through these examples, starting from the present weights.

        Args:
            X, y: as in `fit`.
            classes: all labels, in the first call; those in `y` if None.
            sample_weight: a factor of the cost of each example, 0 or more; 1 if None.
        Raises: as `fit`, and `ValueError` for a label that is not among the classes, or where `early_stopping` or
            `class_weight="balanced"` would need all the data.
        """
        first = "network_" not in vars(self)
        X, y, weights = self._labelled(X, y, sample_weight, reset=first)
        if isinstance(self.class_weight, str):
            raise ValueError(
                f"`class_weight={self.class_weight!r}` needs all the data; in `partial_fit` give a dictionary, such "
                "as {0: 1.0, 1: 5.0}, or use `fit`."
            )
        if first:
            self._set_classes(y if classes is None else classes)
            self._begin_online()
        self._require_classes(y)
        factors = compute_sample_weight(self.class_weight, y)
        self._pass(X, y, weights * factors, self.learning_rate)
        return self

    def predict(self, X) -> np.ndarray:
        """The most probable label of each row of `X`."""
        return self._labels(self._read(self._checked_rows(X)))

    def predict_proba(self, X) -> np.ndarray:
        """`softmax(g_output)` for each row of `X`, of shape (examples, classes), in the order of `classes_`."""
        return softmax(self._read(self._checked_rows(X)), axis=1)

    def _labelled(self, X, y, sample_weight, *, reset: bool) -> Data:
        X, y, weights = self._checked(X, y, sample_weight, reset=reset)
        check_classification_targets(y)
        return X, y, weights

    def _set_classes(self, labels) -> None:
        classes = np.unique(labels)
        if len(classes) < 2:
            raise ValueError(
                f"`y` has only one class, {classes.tolist()}; a classifier needs at least 2 classes."
            )
        self.classes_ = classes

    def _require_classes(self, y: np.ndarray) -> None:
        unknown = np.setdiff1d(y, self.classes_)
        if unknown.size:
            raise ValueError(
                f"`y` has labels {unknown[:5].tolist()} that are not among the classes "
                f"{self.classes_[:20].tolist()}; name all in the first call: `partial_fit(X, y, classes=...)`."
            )

    def _cost(self) -> AbstractCost:
        return CrossEntropy()

    def _outputs(self) -> int:
        return len(self.classes_)

    def _targets(self, y: np.ndarray) -> np.ndarray:
        return (y[:, None] == self.classes_).astype(np.float32)

    def _strata(self, y: np.ndarray) -> np.ndarray:
        return y

    def _labels(self, outputs: np.ndarray) -> np.ndarray:
        return self.classes_[np.argmax(outputs, axis=1)]

    def _validation_score(self, X: Rows, y: np.ndarray, weights: np.ndarray) -> float:
        return float(accuracy_score(y, self._labels(self._read(X)), sample_weight=weights))
