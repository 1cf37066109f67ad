"""The classifier: the checks of scikit-learn, its pipelines and searches, weights, and one pass through data."""

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from scipy.sparse import csr_array
from scipy.special import softmax
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import hopfax
from hopfax.costs import CrossEntropy
from hopfax.gradients import EquilibriumPropagation
from hopfax.interop.sklearn import HAMClassifier, passes
from hopfax.interop.sklearn.loss import WeightedLoss
from hopfax.networks import ConvBlock
from hopfax.training import Classification, Trainer, TrainState, loop, make_step

SMALL = HAMClassifier((8,), epochs=30, learning_rate=0.02, random_state=0)
FLOWERS = load_iris(return_X_y=True)


REPEATED = (
    "examples are taken in random order, so a weight of 2 is not the same as an example that occurs twice"
)


def scaled():
    return StandardScaler().fit_transform(FLOWERS[0]), FLOWERS[1]


def changed(**settings):
    """A small classifier with other settings."""
    return HAMClassifier(**{**SMALL.get_params(), **settings})


def expected_to_fail(estimator):
    kinds = ("dense", "sparse")
    return {f"check_sample_weight_equivalence_on_{kind}_data": REPEATED for kind in kinds}


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@parametrize_with_checks([SMALL], expected_failed_checks=expected_to_fail)
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_in_a_pipeline_it_is_validated_and_searched_over():
    pipeline = make_pipeline(StandardScaler(), SMALL)
    assert cross_val_score(pipeline, *FLOWERS, cv=3).mean() > 0.7
    search = GridSearchCV(pipeline, {"hamclassifier__learning_rate": [1e-9, 0.02]}, cv=2).fit(*FLOWERS)
    assert search.best_params_ == {"hamclassifier__learning_rate": 0.02}


def test_rates_and_epochs_do_not_compile_again():
    X, y = scaled()
    SMALL.fit(X, y)
    traced = []
    make = loop.make_step
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop, "make_step", lambda *arguments: traced.append(arguments) or make(*arguments))
        for setting in ({"learning_rate": 0.01}, {"epochs": 2}, {"weight_decay": 0.1}, {"random_state": 3}):
            changed(**setting).fit(X[20:], y[20:])
    assert not traced


def test_probabilities_are_the_softmax_of_the_equilibrium():
    X, y = scaled()
    fitted = HAMClassifier((8,), epochs=3, random_state=0).fit(X, np.array(["a", "b", "c"])[y])
    equilibrium = hopfax.relax(
        fitted.network_, {"input": X[:5].astype(np.float32)}, method=hopfax.Method(rtol=1e-6)
    )
    expected = softmax(np.asarray(equilibrium.activation["output"]), axis=1)
    np.testing.assert_allclose(fitted.predict_proba(X[:5]), expected, atol=2e-3)
    assert set(fitted.predict(X)) <= {"a", "b", "c"}


def test_a_pass_takes_every_example_and_fills_the_last_batch_with_the_first():
    optimiser, method = optax.sgd(0.1), hopfax.papers.paper_method("HAM-EO", steps=10, backward=2)
    X, y = np.asarray(jr.normal(jr.key(0), (6, 3))), np.array([0, 1, 0, 1, 1, 0])
    order = np.array([5, 3, 1, 0, 2, 4])
    plain = Trainer(optimiser, Classification(method, CrossEntropy()), batch_size=4)
    expected = TrainState.begin(hopfax.chain((3, 4, 2), key=jr.key(1)), plain, key=jr.key(2))
    trainer = Trainer(optimiser, WeightedLoss(method, CrossEntropy()), batch_size=4)
    first = TrainState.begin(expected.model, trainer, key=jr.key(2))
    step = eqx.filter_jit(make_step(plain))
    for batch in ([5, 3, 1, 0], [2, 4, 5, 3]):
        expected = step(expected, jnp.asarray(X[batch], jnp.float32), jnp.asarray(y[batch], jnp.int32))
    labels = np.column_stack([np.eye(2)[y], np.ones(6)])
    for rows in (X, csr_array(X)):
        state, cost = passes.one_pass(trainer, first, rows, labels, order)
        assert cost == pytest.approx(float(expected.sums.loss) / 2, rel=1e-5)
        for name, synapse in expected.model.synapses.items():
            assert eqx.tree_equal(state.model.synapses[name], synapse, rtol=1e-5, atol=1e-7)


def test_the_loss_is_linear_in_the_weights():
    task = WeightedLoss(hopfax.Method(rtol=1e-8), CrossEntropy())
    model, X, y = (
        hopfax.chain((3, 4, 2), key=jr.key(1)),
        jr.normal(jr.key(0), (5, 3)),
        jnp.eye(2)[jnp.arange(5) % 2],
    )
    a, b = jr.uniform(jr.key(2), (2, 5))
    gradient = eqx.filter_jit(lambda weights: task.gradient(model, (X, y, weights), jnp.asarray(0)))
    parts = [gradient(weights) for weights in (a, b, 2 * a + b)]
    sums = jax.tree.map(lambda x, y: 2 * x + y, *parts[:2])
    assert eqx.tree_equal(*(eqx.filter(p, eqx.is_array) for p in (sums, parts[2])), rtol=1e-5, atol=1e-7)


def test_sparse_rows_are_trained_in_pieces_as_dense_ones_are(monkeypatch):
    X, y = scaled()
    dense = SMALL.fit(X, y).predict_proba(X)
    np.testing.assert_array_equal(SMALL.fit(csr_array(X), y).predict_proba(csr_array(X)), dense)
    monkeypatch.setattr(passes, "SPARSE_ROWS", 64)
    np.testing.assert_array_equal(SMALL.fit(csr_array(X), y).predict_proba(X), dense)


def test_examples_of_weight_zero_are_left_out_and_a_common_factor_changes_nothing():
    X, y = scaled()
    kept = np.arange(150) % 3 > 0
    expected = SMALL.fit(X[kept], y[kept]).predict_proba(X)
    np.testing.assert_allclose(SMALL.fit(X, y, 7.0 * kept).predict_proba(X), expected, rtol=1e-4)
    with pytest.raises(ValueError, match="zero"):
        SMALL.fit(X, y, np.zeros(150))


@pytest.mark.slow
def test_class_weights_are_weights_of_the_examples_and_raise_the_recall_of_their_class():
    X, y = scaled()
    X, y = X[50:][:, 1:2], y[50:]  # two classes that overlap
    heavy = changed(class_weight={1: 1.0, 2: 10.0}).fit(X, y)
    weighted = SMALL.fit(X, y, np.where(y == 2, 10.0, 1.0)).predict_proba(X)
    np.testing.assert_array_equal(heavy.predict_proba(X), weighted)
    assert np.mean(heavy.predict(X)[y == 2] == 2) > np.mean(SMALL.fit(X, y).predict(X)[y == 2] == 2)
    with pytest.raises(ValueError, match="'balanced'.*dictionary"):
        changed(class_weight="balanced").partial_fit(X, y)


def test_early_stopping_ends_after_so_many_passes_without_a_better_score_and_returns_the_best():
    X, y = scaled()
    stopped = changed(epochs=200, early_stopping=True, validation_fraction=0.3, n_iter_no_change=4).fit(X, y)
    scores = stopped.validation_scores_
    assert stopped.n_iter_ == len(scores) == np.argmax(scores) + 1 + 4
    assert stopped.best_validation_score_ == max(scores)
    assert stopped.score(X, y) > 0.7
    with pytest.raises(ValueError, match="early_stopping=False"):
        changed(early_stopping=True).partial_fit(X, y)


def test_partial_fit_continues_and_remembers_the_classes_of_its_first_call():
    X, y = scaled()
    online = HAMClassifier((8,), learning_rate=0.02, random_state=0).partial_fit(X[:50], y[:50], [0, 1, 2])
    for _ in range(15):
        online.partial_fit(X, y)
    assert online.n_iter_ == len(online.loss_curve_) == 16
    assert online.score(X, y) > 0.8
    with pytest.raises(ValueError, match=r"labels \[7\].*partial_fit\(X, y, classes"):
        online.partial_fit(X, np.full(len(X), 7))


def test_equilibrium_propagation_learns_too():
    X, y = scaled()
    assert changed(gradient=EquilibriumPropagation(0.05)).fit(X, y).score(X, y) > 0.9


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"hidden_layers": (0,)}, "layers"),
        ({"model": "HUM"}, "must be a HAM"),
        ({"model": "HAM-X"}, "HAM-EO-DEQ"),
        ({"model": "CHN"}, "must be a HAM"),
        ({"epochs": 0}, "epochs"),
        ({"batch_size": 0}, "batch_size"),
        ({"learning_rate": -1.0}, "learning_rate"),
        ({"weight_decay": -1.0}, "weight_decay"),
        ({"early_stopping": True, "validation_fraction": 1.0}, "validation_fraction"),
        ({"early_stopping": True, "n_iter_no_change": 0}, "n_iter_no_change"),
    ],
)
def test_parameters_are_checked_before_training(settings, message):
    with pytest.raises(ValueError, match=message):
        HAMClassifier(**settings).fit(*FLOWERS)


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="at least 2 classes"):
        SMALL.fit(FLOWERS[0], np.zeros(150))


def test_divergence_says_what_to_do():
    with pytest.raises(hopfax.training.Diverged, match="StandardScaler"):
        HAMClassifier((8,), epochs=1).fit(np.asarray(FLOWERS[0]) * 1e37, FLOWERS[1])


@pytest.mark.slow
def test_rows_may_be_images_of_a_convolutional_network():
    digits = hopfax.data.digits()
    X, y = digits.train_images[:600], digits.train_labels[:600]
    blocks = (ConvBlock(8, 3), ConvBlock(8, 3, stride=2))
    classifier = HAMClassifier(blocks, image_shape=(8, 8, 1), epochs=8, random_state=0).fit(X, y)
    assert classifier.network_.layers["hidden2"].shape == (4, 4, 8)
    assert classifier.score(digits.test_images, digits.test_labels) > 0.8
    with pytest.raises(ValueError, match=r"image_shape=\(7, 7, 1\)\)` has 49 numbers, but a row has 64"):
        HAMClassifier(blocks, image_shape=(7, 7, 1)).fit(X, y)
