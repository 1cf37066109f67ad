"""The classifier: the checks of scikit-learn, its pipelines and searches, and one pass through data."""

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import optax
import pytest
from scipy.special import softmax
from sklearn.datasets import load_iris
from sklearn.model_selection import GridSearchCV, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

import hopfax
from hopfax.gradients import EquilibriumPropagation
from hopfax.interop.sklearn import HAMClassifier, passes
from hopfax.training import Classification, Trainer, TrainState, loop, make_step

SMALL = HAMClassifier((8,), epochs=30, learning_rate=0.02, random_state=0)
FLOWERS = load_iris(return_X_y=True)


def scaled():
    return StandardScaler().fit_transform(FLOWERS[0]), FLOWERS[1]


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
@parametrize_with_checks([SMALL])
def test_checks_of_scikit_learn(estimator, check):
    check(estimator)


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
        for changed in ({"learning_rate": 0.01}, {"epochs": 2}, {"weight_decay": 0.1}, {"random_state": 3}):
            HAMClassifier(**{**SMALL.get_params(), **changed}).fit(X[20:], y[20:])
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
    trainer = Trainer(optimiser, Classification(method), batch_size=4)
    X, y = np.asarray(jr.normal(jr.key(0), (6, 3))), np.array([0, 1, 0, 1, 1, 0])
    order = np.array([5, 3, 1, 0, 2, 4])
    first = TrainState.begin(hopfax.chain((3, 4, 2), key=jr.key(1)), trainer, key=jr.key(2))
    step, expected, costs = eqx.filter_jit(make_step(trainer)), first, 0.0
    for batch in ([5, 3, 1, 0], [2, 4, 5, 3]):
        expected = step(expected, jnp.asarray(X[batch], jnp.float32), jnp.asarray(y[batch], jnp.int32))
    state, cost = passes.one_pass(trainer, first, X, y, order)
    costs = float(expected.sums.loss) / 2
    assert cost == pytest.approx(costs, rel=1e-5)
    for name, synapse in expected.model.synapses.items():
        assert eqx.tree_equal(state.model.synapses[name], synapse, rtol=1e-5, atol=1e-7)


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
    settings = {**SMALL.get_params(), "gradient": EquilibriumPropagation(0.05)}
    assert HAMClassifier(**settings).fit(X, y).score(X, y) > 0.9


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
